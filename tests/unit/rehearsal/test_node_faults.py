"""Faults of nodes without hosts: which node is meant, and how often what was ordered happens to it."""

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.services.ec2 import node_faults
from rehearsal.faults import Faults


@dataclass
class Node:
    """An instance whose host does nothing, and remembers what it was asked to do."""

    id: str
    group: str | None = "workbench"
    ending: bool = False
    faults: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    @property
    def host(self) -> Any:
        return SimpleNamespace(reboot=lambda: self.done.append("reboot"))

    def run(self, script: str, **_: Any) -> None:
        self.done.append(script.partition(" ")[0])


def account(order: str, *nodes: Node) -> Any:
    """An account with these instances, in its first execution."""
    faults = Faults([order])
    faults.begin()
    machines = SimpleNamespace(by_id={node.id: node for node in nodes})
    return SimpleNamespace(clock=Clock(math.inf), faults=faults, machines=machines)


@pytest.mark.parametrize(("number", "met"), [(1, "i-2"), (2, "i-4"), (3, None)])
def test_a_node_is_counted_among_the_living_of_its_group(number: int, met: str | None) -> None:
    others = [Node("i-0", group="another"), Node("i-1", ending=True), Node("i-3", group=None)]
    nodes: list[Any] = [Node("i-4"), Node("i-2"), *others]
    aws = account(f"node:hang,node={number}", *nodes)
    for node in nodes[:2] + nodes[4:]:
        node_faults.begin(aws, node, "command")
    assert [node.id for node in nodes if node.faults] == ([met] if met else [])


def test_a_node_boots_once_in_an_execution_without_the_file_systems_that_answer_later() -> None:
    node: Any = Node("i-1")
    aws = account("node:mounts,seconds=60,times=2", node)
    with aws.clock.busy():
        node_faults.begin(aws, node, "command")
        assert node.done == ["mkdir", "systemctl", "reboot"]
        aws.clock.sleep(70)
        assert node.done == ["mkdir", "systemctl", "reboot", "rm"]
        node_faults.begin(aws, node, "command")
    assert node.done == ["mkdir", "systemctl", "reboot", "rm"]
    aws.faults.end()
    assert node.faults == set()
