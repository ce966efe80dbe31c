"""How nodes are replaced: what is asked for, and why nodes that did not come are missing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from benchwright.models import MOST_TURNS, Nodes, least_at_once
from benchwright.nodes import replacement
from benchwright.nodes.auto_scaling import Group, Node
from benchwright.nodes.replacement import Refresh, ReplacementStep, next_replacement_step
from rehearsal.aws.services.autoscaling import decisions
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.nodes.test_launches import GROUP, NO_ROOM, activity

MOST_NODES = 50


def wanted(count: int, at_once: int | None = None) -> Nodes:
    return Nodes(count=count, instance_type="m7i.xlarge", replace_at_once=at_once)


@pytest.mark.parametrize(
    ("activities", "reported"),
    [
        ([], ""),
        ([activity("Successful", 1), activity("InProgress", 2)], ""),
        (
            [activity("InProgress", 1), activity("Failed", 2, NO_ROOM), activity("Failed", 3, "an older one")],
            f"\nThe newest launch that failed: {NO_ROOM}",
        ),
        ([activity("Cancelled", 1)], "\nThe newest launch that failed: no reason given"),
        ([activity("Failed", 1, "of no weight", ends=True)], ""),
    ],
    ids=["none", "none failed", "newest failed", "no message", "no launch"],
)
def test_nodes_that_were_not_replaced_are_explained_by_the_newest_launch_that_failed(
    aws: Conversation, activities: list[dict[str, Any]], reported: str
) -> None:
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    error = replacement.replacement_failure(GROUP, "The instance refresh r ended Failed.")
    assert str(error) == f"The nodes of {GROUP} are not as planned. The instance refresh r ended Failed.{reported}"


@pytest.mark.parametrize(
    ("count", "at_once", "most"),
    [(1, 1, 200), (2, 1, 150), (3, 1, 134), (4, 2, 150), (10, 1, 110), (11, 2, 119), (33, 4, 113), (50, 5, 110)],
)
def test_a_refresh_launches_nodes_before_as_many_go(aws: Conversation, count: int, at_once: int, most: int) -> None:
    aws.answers = {"StartInstanceRefresh": {"InstanceRefreshId": "refresh"}}
    assert replacement.start_refresh(GROUP, count, at_once) == "refresh"
    preferences = {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": most,
        "InstanceWarmup": 60,
        "SkipMatching": True,
    }
    assert aws.calls == [
        (
            "StartInstanceRefresh",
            {"AutoScalingGroupName": GROUP, "Strategy": "Rolling", "Preferences": preferences},
        )
    ]


def test_of_any_number_of_nodes_a_tenth_or_what_is_wanted_comes_before_as_many_go(aws: Conversation) -> None:
    """Auto Scaling computes with whole percents."""
    aws.answers = {"StartInstanceRefresh": {"InstanceRefreshId": "refresh"}}
    for count in range(1, MOST_NODES + 1):
        assert -(-count // wanted(count).at_once) <= MOST_TURNS
        for given in range(least_at_once(count), MOST_NODES + 1):
            at_once = wanted(count, given).at_once
            assert at_once == min(given, count)
            replacement.start_refresh(GROUP, count, at_once)
            preferences = aws.calls.pop()[1]["Preferences"]
            most = preferences["MaxHealthyPercentage"]
            assert preferences["MinHealthyPercentage"] == 100
            assert most <= 200
            assert decisions.surplus(count, most) == at_once


def test_a_refresh_that_runs_already_is_not_ours(aws: Conversation) -> None:
    aws.answers = {"StartInstanceRefresh": refusal("InstanceRefreshInProgress")}
    assert replacement.start_refresh(GROUP, 2, 1) == ""


def test_the_newest_refresh_is_the_one_that_has_not_begun(aws: Conversation) -> None:
    refreshes = [
        {"InstanceRefreshId": "old", "Status": "Failed", "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
        {"InstanceRefreshId": "pending", "Status": "Pending"},
        {"InstanceRefreshId": "newer", "Status": "Failed", "StartTime": datetime(2026, 2, 1, tzinfo=UTC)},
    ]
    aws.answers = {"DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes}}
    assert replacement.newest_refresh(GROUP) == Refresh("pending", "Pending")
    del refreshes[1]
    began = datetime(2026, 2, 1, tzinfo=UTC)
    assert replacement.newest_refresh(GROUP) == Refresh("newer", "Failed", began=began)


@pytest.mark.parametrize("ended", [{}, {"EndTime": datetime(2026, 1, 15, tzinfo=UTC)}])
def test_a_refresh_that_was_cancelled_before_it_began_is_not_the_newest_for_ever(
    aws: Conversation, ended: dict[str, Any]
) -> None:
    began = datetime(2026, 2, 1, tzinfo=UTC)
    refreshes = [
        {"InstanceRefreshId": "newer", "Status": "Failed", "StartTime": began},
        {"InstanceRefreshId": "cancelled", "Status": "Cancelled"} | ended,
    ]
    aws.answers = {"DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes}}
    assert replacement.newest_refresh(GROUP) == Refresh("newer", "Failed", began=began)


def test_a_refresh_that_was_cancelled_before_it_began_is_the_newest_until_another_begins(aws: Conversation) -> None:
    refreshes = [
        {"InstanceRefreshId": "older", "Status": "Failed", "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
        {"InstanceRefreshId": "cancelled", "Status": "Cancelled", "EndTime": datetime(2026, 1, 15, tzinfo=UTC)},
    ]
    aws.answers = {"DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes}}
    assert replacement.newest_refresh(GROUP) == Refresh("cancelled", "Cancelled")


@pytest.mark.parametrize(("old", "new"), [("9", "10"), ("10", "9"), ("1", "11")])
def test_a_node_of_any_other_template_version_is_outdated(old: str, new: str) -> None:
    nodes = [Node("i-1", "InService", new), Node("i-2", "InService", old)]
    assert next_replacement_step(nodes, None, wanted(2), new, "") == ReplacementStep(
        "refresh", "Auto Scaling: 1 node is replaced"
    )
    assert next_replacement_step(nodes[:1], None, wanted(1), new, "") == ReplacementStep("done")


def test_a_node_that_is_launched_beside_a_full_group_is_waited_for() -> None:
    nodes = [Node("i-1", "InService", "1"), Node("i-2", "Pending", "1")]
    assert next_replacement_step(nodes, None, wanted(1), "1", "") == ReplacementStep(
        "wait", "Auto Scaling: i-2 Pending"
    )


RUNS = Refresh("r", "InProgress")
SERVING = [Node("i-1", "InService", "2"), Node("i-2", "InService", "1"), Node("i-3", "Pending:Wait", "2")]


@pytest.mark.parametrize(
    ("refresh", "health", "paused", "action"),
    [
        (RUNS, {"i-1": "initial (Elb.InitialHealthChecking)", "i-2": "healthy"}, False, "pause"),
        (RUNS, {"i-2": "healthy"}, False, "pause"),
        (RUNS, {"i-1": "unhealthy (Target.Timeout)", "i-2": "healthy"}, True, "wait"),
        (RUNS, {"i-1": "healthy", "i-2": "unhealthy (Target.Timeout)"}, False, "wait"),
        (RUNS, {"i-1": "healthy"}, True, "resume"),
        (RUNS, {"i-1": "unused (Target.NotInUse)", "i-2": "unused (Target.NotInUse)"}, False, "wait"),
        (RUNS, {"i-1": "unused (Target.NotInUse)", "i-2": "healthy"}, True, "resume"),
        (RUNS, None, True, "resume"),
        (Refresh("r", "Cancelled"), None, True, "resume"),
        (None, {}, True, "resume"),
        (None, {}, False, "wait"),
    ],
)
def test_a_refresh_pauses_until_each_new_node_in_service_is_healthy_for_the_load_balancer(
    refresh: Refresh | None, health: dict[str, str] | None, paused: bool, action: str
) -> None:
    step = next_replacement_step(SERVING, refresh, wanted(2), "2", "", health=health, paused=paused)
    assert step.action == action


def test_what_a_paused_refresh_waits_for_is_named() -> None:
    health = {"i-1": "unhealthy (Target.Timeout)"}
    step = next_replacement_step(SERVING, RUNS, wanted(2), "2", "", health=health, paused=True)
    assert step.waiting_for == (
        "load balancer: i-1 is unhealthy (Target.Timeout); instance refresh r is paused until it is healthy. If it "
        "stays so, read its log in the log group of the nodes; fix the cause or terminate it "
        "(aws ec2 terminate-instances --instance-ids i-1), and Auto Scaling launches another one"
    )


@pytest.mark.parametrize(
    ("state", "paused", "called"),
    [
        ("initial", False, "SuspendProcesses"),
        ("healthy", True, "ResumeProcesses"),
        ("unhealthy", True, None),
        ("unused", False, None),
        ("unused", True, "ResumeProcesses"),
    ],
)
def test_auto_scaling_is_asked_to_pause_and_to_go_on(
    aws: Conversation, state: str, paused: bool, called: str | None
) -> None:
    aws.answers = {
        "DescribeInstanceRefreshes": {"InstanceRefreshes": [{"InstanceRefreshId": "r", "Status": "InProgress"}]},
        "DescribeTargetHealth": {
            "TargetHealthDescriptions": [{"Target": {"Id": "i-1"}, "TargetHealth": {"State": state}}]
        },
        "DescribeScalingActivities": {"Activities": []},
        "SuspendProcesses": {},
        "ResumeProcesses": {},
    }
    suspended = frozenset({"AZRebalance", *(["InstanceRefresh"] if paused else [])})
    group = Group(
        GROUP, (Node("i-1", "InService", "lt-1:2"), Node("i-2", "InService", "lt-1:1")), suspended, ("tg",), 2, "lt-1:2"
    )
    progress = replacement.replace_outdated(group, wanted(2), "r", None, log_group="")
    assert (progress.done, progress.refresh) == (False, "r")
    changed = [call for call in aws.calls if not call[0].startswith("Describe")]
    asked = {"AutoScalingGroupName": GROUP, "ScalingProcesses": ["InstanceRefresh"]}
    assert changed == ([(called, asked)] if called else [])


def nodes(*states: str, version: str = "2") -> list[Node]:
    return [Node(f"i-{number}", state, version) for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("group", "refresh", "started", "action"),
    [
        ([], None, "", "wait"),
        (nodes("InService", "Pending"), None, "", "wait"),
        (nodes("InService", "InService"), None, "", "done"),
        (nodes("InService", "Pending:Wait"), None, "", "done"),
        (nodes("InService", "InService", "Terminating:Wait"), None, "", "wait"),
        (nodes("InService", "InService", version="1"), None, "", "refresh"),
        (nodes("InService", "InService", version="1"), Refresh("r", "InProgress"), "r", "wait"),
        (nodes("InService", "InService"), Refresh("r", "Successful"), "r", "done"),
        (nodes("InService", "InService", version="1"), Refresh("r", "Failed"), "r", "fail"),
        (nodes("InService", "InService", version="1"), Refresh("r", "Failed"), "", "refresh"),
        (nodes("InService", "InService", "InService"), None, "", "wait"),
        (nodes("InService", "Standby"), None, "", "fail"),
        (nodes("InService", "Standby"), Refresh("r", "InProgress"), "r", "fail"),
    ],
)
def test_the_next_step_follows_from_the_group_and_its_refresh(
    group: Sequence[Node], refresh: Refresh | None, started: str, action: str
) -> None:
    assert replacement.next_replacement_step(group, refresh, wanted(2), "2", started).action == action
