"""The replacement of a node whose Workbench does not answer, with a fault and then again without."""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.deployment.metrics import report_answers
from tests.faults.account import Account
from tests.faults.ended import Ended

ATTEMPTS: Final = 3
"""How often Lambda calls a function that a schedule calls, until it succeeds: Lambda developer guide, "Asynchronous
invocation".
"""
LOOKS: Final = 60
PAUSE: Final = 60
"""AWS seconds between two looks at the group."""

_silent: list[str] = []
_before: list[str] = []
"""The node that does not answer, and all of them, in the process of a case."""


def let_one_be_silent(account: Account) -> None:
    """Let CloudWatch have what nodes reported within a quarter of an hour: all answered but one."""
    nodes = sorted(_nodes(account))
    _before[:], _silent[:] = nodes, nodes[:1]
    report_answers(account.aws, account.application.name, {node: node not in _silent for node in nodes})


def heal(account: Account, content: Any, started: list[str]) -> Ended:
    """Call the function as its schedule does, again if it fails. There is no execution that could be `started`."""
    (name,) = [physical for physical, logical in account.application.functions.items() if logical == "HealNodes"]
    said: dict[str, str] = {}
    for _ in range(ATTEMPTS):
        answer = account.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(content))
        said = json.loads(answer["Payload"].read())
        if "FunctionError" not in answer:
            return Ended("SUCCEEDED")
    return Ended("FAILED", said.get("errorType", ""), said.get("errorMessage", ""))


def problems(account: Account) -> Iterator[str]:
    """Say what is wrong of the nodes: the silent one must have been replaced, and no other."""
    for _ in range(LOOKS):
        states = _nodes(account)
        if len(states) == len(_before) and set(states.values()) == {"InService"} and not set(states) & set(_silent):
            break
        account.aws.clock.wait(PAUSE)
    replaced = set(_before) - set(_nodes(account))
    if replaced != set(_silent):
        yield f"replaced {sorted(replaced)}, where {_silent} does not answer: {_nodes(account)}"


def _nodes(account: Account) -> dict[str, str]:
    (group,) = account.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {each["InstanceId"]: each["LifecycleState"] for each in group["Instances"]}
