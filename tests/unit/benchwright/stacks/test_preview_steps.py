"""What a dry run says of stacks."""

from typing import Any

import pytest

from benchwright.nodes.preview import Nodes
from benchwright.stacks.decision import Desired, Stack
from benchwright.stacks.preview import Target
from benchwright.stacks.preview_steps import steps

WANTED = Desired("wb-blue-foundation", "text", {"Application": "wb", "Cluster": "blue"}, {})
LATER = "what would change in it can be said when that has ended."
OURS = {"Application": "wb", "Cluster": "blue"}


def change(action: str, name: str, **more: Any) -> dict[str, Any]:
    kind = "AWS::Logs::LogGroup"
    return {"ResourceChange": {"Action": action, "LogicalResourceId": name, "ResourceType": kind, **more}}


def said(stack: Stack | None, changes: list[dict[str, Any]]) -> list[str]:
    target = Target(WANTED, stack)
    return steps({"foundation": target}, {"foundation": changes}, Nodes(), [])[0].sentences


@pytest.mark.parametrize(
    ("stack", "changes", "sentences"),
    [
        (
            None,
            [change("Add", "A"), change("Add", "B")],
            ["The stack wb-blue-foundation is created, with 2 resources."],
        ),
        (
            Stack("ROLLBACK_COMPLETE", parameters=OURS),
            [change("Add", "A")],
            ["The stack wb-blue-foundation is ROLLBACK_COMPLETE: it is deleted, and created with 1 resource."],
        ),
        (
            Stack("UPDATE_IN_PROGRESS", parameters=OURS),
            [],
            [f"The stack wb-blue-foundation is UPDATE_IN_PROGRESS: {LATER}"],
        ),
        (
            Stack("CREATE_COMPLETE", parameters=OURS, template="text"),
            [],
            ["The stack wb-blue-foundation stays as it is."],
        ),
        (
            Stack("CREATE_COMPLETE", parameters=OURS, template="another"),
            [
                change("Modify", "B", Replacement="False"),
                change("Modify", "A", Replacement="Conditional"),
                change("Modify", "C", Replacement="True", PolicyAction="ReplaceAndDelete"),
                change("Remove", "D", PolicyAction="Retain"),
            ],
            [
                "The stack wb-blue-foundation changes A, B in place; replaces C; no longer has D, which stays.",
                "CloudFormation replaces A only if a value demands it that is not known yet.",
            ],
        ),
    ],
)
def test_what_becomes_of_a_stack(stack: Stack | None, changes: list[dict[str, Any]], sentences: list[str]) -> None:
    assert said(stack, changes) == sentences


@pytest.mark.parametrize(("at_once", "minutes"), [(1, 60), (2, 30), (5, 15), (12, 5)])
def test_nodes_that_are_replaced_at_the_same_time_take_the_time_of_one(at_once: int, minutes: int) -> None:
    stack = Stack("UPDATE_COMPLETE", parameters=OURS, template="text")
    nodes = Nodes(now=12, then=12, replaced=12, at_once=at_once)
    (step,) = steps({"nodes": Target(WANTED, stack)}, {}, nodes, [])
    assert step.minutes == minutes
