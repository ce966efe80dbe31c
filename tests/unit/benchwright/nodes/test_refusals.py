"""New nodes that cannot apply their configuration: what they say, and what follows from it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.errors import NodesNotReady
from benchwright.nodes import replacement
from benchwright.nodes.auto_scaling import Group, Node
from benchwright.nodes.refusals import Refusal, refusal
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.conversation import refusal as refused
from tests.unit.benchwright.nodes.test_launches import GROUP, activity
from tests.unit.benchwright.nodes.test_replacement import wanted

LOGS, BEGAN = "/benchwright/blue/nodes", datetime(2026, 11, 29, 12, tzinfo=UTC)
WHY = "Workbench refuses its configuration: unrecognised option 'no-such'."
NEW = Node("i-2", "Pending:Wait", "lt-1:2")
ABANDONED = "Instance failed to complete user's Lifecycle Action: it was abandoned"


def log(*lines: str, at: datetime = BEGAN) -> dict[str, Any]:
    return {"events": [{"message": line, "ingestionTime": round(at.timestamp() * 1000)} for line in lines]}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], None),
        (["=== 2026-11-29T12:00:00Z apply", "changed: nothing", "done"], None),
        (["=== 2026-11-29T12:00:00Z apply", f"FAILED: {WHY}", "the last lines of a log"], WHY),
        ([f"FAILED: {WHY}", "=== 2026-11-29T12:10:00Z apply"], None),  # it tries again
        (["=== x apply", "FAILED: an older reason", "=== x apply", f"FAILED: {WHY}\n"], WHY),
    ],
)
def test_the_reason_is_the_end_of_the_last_run_in_the_log_of_the_node(
    aws: Conversation, lines: list[str], said: str | None
) -> None:
    aws.answers = {"GetLogEvents": log(*lines)}
    assert refusal(LOGS, [Node("i-1", "InService", "1"), NEW]) == (Refusal("i-2", said, BEGAN) if said else None)
    stream = "i-2__var_log_benchwright_configure.log"
    asked = {"logGroupName": LOGS, "logStreamName": stream, "limit": 100, "startFromHead": False}
    assert aws.calls == [("GetLogEvents", asked)]


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_log_that_is_not_there_or_may_not_be_read_keeps_nothing_from_going_on(aws: Conversation, code: str) -> None:
    aws.answers = {"GetLogEvents": refused(code)}
    assert refusal(LOGS, [NEW]) is None


def test_only_nodes_that_wait_for_their_configuration_are_asked(aws: Conversation) -> None:
    assert refusal(LOGS, [Node("i-1", "InService", "1"), Node("i-2", "Terminating:Wait", "2")]) is None
    assert aws.calls == []


def test_of_many_nodes_that_wait_a_look_asks_some(aws: Conversation) -> None:
    """After another version of Workbench all 50 may; CloudWatch answers 25 such calls a second."""
    aws.answers = {"GetLogEvents": log()}
    assert refusal(LOGS, [Node(f"i-{number}", "Pending:Wait", "lt-1:2") for number in range(50)]) is None
    assert len(aws.calls) == 10


def look(
    aws: Conversation, said_at: datetime, *activities: dict[str, Any], runs: bool = True, answer: Any = None
) -> replacement.Progress:
    refreshes = [{"InstanceRefreshId": "r", "Status": "InProgress" if runs else "Successful"}]
    aws.answers = {
        "DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes},
        "DescribeScalingActivities": {"Activities": list(activities)},
        "GetLogEvents": log("=== x apply", f"FAILED: {WHY}", at=said_at),
        "CompleteLifecycleAction": answer or {},
    }
    group = Group(
        GROUP, (Node("i-1", "InService", "lt-1:1"), NEW), frozenset({"AZRebalance"}), template_version="lt-1:2"
    )
    return replacement.replace_outdated(group, wanted(1), "r", BEGAN, log_group=LOGS)


def abandoned(aws: Conversation) -> list[Any]:
    return [asked["InstanceId"] for asked in aws.asked("CompleteLifecycleAction")]


def test_another_node_is_tried_and_what_the_first_one_said_is_what_is_waited_for(aws: Conversation) -> None:
    progress = look(aws, BEGAN + timedelta(minutes=3))
    assert (progress.done, abandoned(aws)) == (False, ["i-2"])
    assert progress.waiting_for == f"Auto Scaling: another node in the place of i-2, which says: {WHY}"


def test_a_node_that_does_not_wait_any_more_is_another_one_s_work(aws: Conversation) -> None:
    """As after a first answer of Auto Scaling that was lost."""
    progress = look(aws, BEGAN + timedelta(minutes=3), answer=refused("ValidationError"))
    assert progress.waiting_for.startswith("Auto Scaling: another node in the place of i-2")
    with pytest.raises(ClientError, match="AccessDenied"):
        look(aws, BEGAN + timedelta(minutes=3), answer=refused("AccessDenied"))


def test_where_the_second_one_says_so_too_the_execution_ends_with_its_sentence(aws: Conversation) -> None:
    before = activity("Cancelled", 1, ABANDONED) | {"StartTime": BEGAN + timedelta(minutes=1)}
    with pytest.raises(NodesNotReady) as ended:
        look(aws, BEGAN + timedelta(minutes=6), before)
    assert str(ended.value).startswith(f"New nodes of {GROUP} cannot apply the configuration; the nodes before them ")
    assert f"i-2 says: {WHY}\nCorrect what it names" in str(ended.value)
    assert abandoned(aws) == []


def test_nodes_of_one_turn_are_all_first_tries(aws: Conversation) -> None:
    """Several come at the same time: the second one that fails is no second try, however late it says so."""
    first = activity("Cancelled", 1, ABANDONED) | {"Description": "Launching a new EC2 instance: i-9"}
    own = {"StatusCode": "InProgress", "Description": "Launching a new EC2 instance: i-2"}
    minutes = [BEGAN + timedelta(minutes=each) for each in range(8)]
    first |= {"StartTime": minutes[1], "EndTime": minutes[4]}
    look(aws, minutes[5], own | {"StartTime": minutes[1]}, first)
    assert abandoned(aws) == ["i-2"]
    with pytest.raises(NodesNotReady):
        look(aws, minutes[7], own | {"StartTime": minutes[4]}, first)


def test_what_a_node_said_before_this_execution_began_is_no_answer_to_it(aws: Conversation) -> None:
    """It had the configuration of before; another node gets the one of now."""
    before = activity("Cancelled", 1, ABANDONED) | {"StartTime": BEGAN + timedelta(minutes=1)}
    look(aws, BEGAN - timedelta(minutes=30), before)
    assert abandoned(aws) == ["i-2"]


def test_without_a_refresh_the_execution_configures_a_node_that_waits(aws: Conversation) -> None:
    look(aws, BEGAN + timedelta(minutes=3), runs=False)
    assert aws.asked("GetLogEvents") == []
