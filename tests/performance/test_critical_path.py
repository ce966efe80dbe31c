"""The longest chain of AWS's operations, what a machine waited too long, and the path of someone without one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rehearsal.aws.operations import Operation, Operations
from tests.performance.critical_path import chain, lost, one_after_another

STACK = "benchwright-workbench-"
IMAGE = Operation("image", "benchwright-image", "", 1, 1001)
FOUNDATION = [
    Operation("change set", f"{STACK}foundation", "", 2, 5),
    Operation("stack", f"{STACK}foundation", "CREATE", 6, 706),
    Operation("change set", f"{STACK}foundation", "", 710, 713),
    Operation("stack", f"{STACK}foundation", "UPDATE", 714, 734),
]
NODES = [
    Operation("change set", f"{STACK}nodes", "", 1003, 1006),
    Operation("stack", f"{STACK}nodes", "CREATE", 1010, 1040),
    Operation("boot", f"{STACK}nodes-group", "", 1015, 1090),
    Operation("boot", f"{STACK}nodes-group", "", 1016, 1080),
    Operation("command", f"{STACK}nodes-Document", "apply", 1092, 1097),
    Operation("command", f"{STACK}nodes-Document", "report", 1099, 1102),
]
OTHERS = [
    Operation("boot", "i-of-the-build", "", 30, 100),
    Operation("stack", "benchwright-second-foundation", "CREATE", 0, 5000),
]
ALL = [*NODES, IMAGE, *OTHERS, *FOUNDATION]


def entered(name: str, *seconds: float) -> list[dict[str, Any]]:
    return [{"name": name, "entered": datetime.fromtimestamp(each, UTC).isoformat()} for each in seconds]


def test_the_chain_goes_through_the_slower_branch_and_the_slower_node() -> None:
    links = chain(ALL, "workbench")
    assert [(link.name, link.counted, link.overlapped) for link in links] == [
        ("image", 1000, False),
        ("change set of nodes", 3, False),
        ("CREATE of nodes", 5, True),  # until the instance began to boot
        ("boot", 75, False),
        ("apply", 5, False),
        ("report", 3, False),
    ]


def test_without_an_image_nodes_need_the_foundation_and_not_its_protection() -> None:
    nodes = [replace(each, begun=each.begun - 200, ended=each.ended - 200) for each in (*NODES, *OTHERS)]
    links = chain([*FOUNDATION, *nodes], "workbench")
    assert [link.name for link in links][:3] == [
        "change set of foundation",
        "CREATE of foundation",
        "change set of nodes",
    ]
    assert sum(link.counted for link in links) == 3 + 700 + 3 + 5 + 75 + 5 + 3


def test_of_nothing_there_is_no_chain() -> None:
    assert chain(OTHERS, "workbench") == []


def test_what_is_lost_is_the_time_to_the_next_look_of_the_state_that_waits() -> None:
    states = [
        *entered("Build image", 1, 990, 1002),
        *entered("Deploy nodes", 1002, 1008, 1050),
        *entered("Configure nodes", 1051, 1091, 1098.5),
        *entered("Verify cluster", 1098.5, 1106),
    ]
    assert lost(chain(ALL, "workbench"), states) == {
        "image": 1,
        "change set of nodes": 2,
        "boot": 1,
        "apply": 1.5,
        "report": 4,
    }


def test_one_branch_after_another_counts_what_goes_on_at_once_in_a_branch_once() -> None:
    assert one_after_another(ALL, "workbench") == {
        "image": 1000,
        "foundation": 3 + 700 + 3 + 20,
        "nodes": 3 + (1090 - 1010) + 5 + 3,
    }


def test_an_operation_that_fails_has_ended_too() -> None:
    moments = iter((3.0, 10.0))
    operations = Operations(lambda: next(moments))
    with pytest.raises(ValueError, match="broken"), operations.during("stack", "one", "CREATE"):
        raise ValueError("broken")
    assert operations.ended == [Operation("stack", "one", "CREATE", 3.0, 10.0)]
