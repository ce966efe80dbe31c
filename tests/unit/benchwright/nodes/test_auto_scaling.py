"""The conversation with EC2 Auto Scaling: what is asked for, and why nodes that did not come are missing."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchwright.errors import NodesNotReady
from benchwright.nodes import auto_scaling
from benchwright.nodes.auto_scaling import Node, Refresh, ReplacementStep, next_replacement_step
from rehearsal.aws.services.autoscaling.launch_failures import REFUSALS
from tests.unit.benchwright.conversation import Answer, Conversation, refusal

GROUP = "wb-blue-nodes-group"
NO_ROOM = REFUSALS["capacity"].format(type="m6i.xlarge", zone="us-east-1a")
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def activity(status: str, minute: float, message: str = "", *, ends: bool = False) -> dict[str, Any]:
    """A launch so many minutes after the execution began; one that goes on has no end."""
    reported: dict[str, Any] = {"StatusCode": status, "StartTime": BEGAN + timedelta(minutes=minute)}
    reported |= {"Description": "Terminating EC2 instance: i-1" if ends else "Launching a new EC2 instance"}
    reported |= {"StatusMessage": message} if message else {}
    return reported if status == "InProgress" else {**reported, "EndTime": reported["StartTime"]}


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
    error = auto_scaling.replacement_failure(GROUP, "The instance refresh r ended Failed.")
    assert str(error) == f"The nodes of {GROUP} are not as planned. The instance refresh r ended Failed.{reported}"


@pytest.mark.parametrize(
    ("activities", "shown", "lasting"),
    [
        ([], 0, False),
        ([activity("Failed", 1, NO_ROOM)], 1, False),
        ([activity("Failed", minute, NO_ROOM) for minute in (1, 1, 1, 1)], 4, False),  # four nodes, once
        ([activity("Failed", minute, NO_ROOM) for minute in (6, 1)], 2, False),
        ([activity("Failed", minute, NO_ROOM) for minute in (7, 6, 1)], 3, True),
        ([activity("Failed", minute, NO_ROOM) for minute in (9, 8, 7, 1, 1)], 4, True),
        (
            [activity("InProgress", 8), *(activity("Cancelled", minute, REFUSALS["key"]) for minute in (7, 4, 1))],
            3,
            True,
        ),
        (
            [
                *(
                    activity("Failed", 7 - minute, NO_ROOM.replace("1a", zone))
                    for minute, zone in enumerate(("1a", "1b"))
                ),
                activity("Successful", 5, ends=True),
                activity("Failed", 1, NO_ROOM),
            ],
            3,
            True,
        ),
        ([activity("Failed", 7, NO_ROOM), activity("Successful", 6), activity("Failed", 1, NO_ROOM)], 1, False),
        ([activity("Failed", 7, NO_ROOM), *(activity("Failed", each, REFUSALS["role"]) for each in (3, 1))], 1, False),
        ([activity("Failed", 3, NO_ROOM), *(activity("Failed", each, NO_ROOM) for each in (-3, -9))], 1, False),
        ([activity("Failed", minute, f"Unknown fault of i-0000000{minute}") for minute in (7, 6, 1)], 3, True),
        ([activity("Failed", minute, f"Fault number {minute}") for minute in (7, 6, 1)], 1, False),
    ],
)
def test_launches_that_fail_alike_for_minutes_end_the_step(
    aws: Conversation, activities: list[dict[str, Any]], shown: int, lasting: bool
) -> None:
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    failed = auto_scaling.failed_launches(GROUP, BEGAN)
    assert len(failed) == shown
    with pytest.raises(NodesNotReady) if lasting else contextlib.nullcontext():
        auto_scaling.raise_if_lasting(GROUP, failed)


def test_a_group_that_does_not_exist_yet_has_no_launches(aws: Conversation) -> None:
    aws.answers = {"DescribeScalingActivities": refusal("ValidationError", "Group not found")}
    assert auto_scaling.failed_launches(GROUP, BEGAN) == []


@pytest.mark.parametrize("word", REFUSALS)
def test_each_cause_has_its_own_remedy(aws: Conversation, word: str) -> None:
    message = REFUSALS[word].format(type="m6i.xlarge", zone="us-east-1a", subnet="subnet-1", image="ami-1", limit=8)
    activities = [activity("Failed", minute, message) for minute in (9, 5, 1)]
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    with pytest.raises(NodesNotReady) as caught:
        auto_scaling.raise_if_lasting(GROUP, auto_scaling.failed_launches(GROUP, BEGAN))
    reason, remedy = str(caught.value).splitlines()
    assert reason == f"Auto Scaling cannot launch nodes of {GROUP}. Since 12:01 UTC every launch failed: {message}"
    assert remedy.endswith("; then start the execution again.")
    others = {auto_scaling.REMEDIES[cause] for cause in auto_scaling.REMEDIES}
    assert [text for text in others if remedy.startswith(text)] == [
        remedy.removesuffix("; then start the execution again.")
    ]


@pytest.mark.parametrize(
    ("count", "most"), [(1, 200), (2, 150), (3, 134), (4, 125), (7, 115), (10, 110), (33, 104), (50, 102)]
)
def test_a_refresh_launches_one_node_before_another_one_goes(aws: Conversation, count: int, most: int) -> None:
    assert count * most // 100 == count + 1
    aws.answers = {"StartInstanceRefresh": {"InstanceRefreshId": "refresh"}}
    assert auto_scaling.start_refresh(GROUP, count) == "refresh"
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


def test_a_refresh_that_runs_already_is_not_ours(aws: Conversation) -> None:
    aws.answers = {"StartInstanceRefresh": refusal("InstanceRefreshInProgress")}
    assert auto_scaling.start_refresh(GROUP, 2) == ""


def test_the_newest_refresh_is_the_one_that_has_not_begun(aws: Conversation) -> None:
    refreshes = [
        {"InstanceRefreshId": "old", "Status": "Failed", "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
        {"InstanceRefreshId": "pending", "Status": "Pending"},
        {"InstanceRefreshId": "newer", "Status": "Failed", "StartTime": datetime(2026, 2, 1, tzinfo=UTC)},
    ]
    aws.answers = {"DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes}}
    assert auto_scaling.newest_refresh(GROUP) == Refresh("pending", "Pending")
    del refreshes[1]
    assert auto_scaling.newest_refresh(GROUP) == Refresh("newer", "Failed")


@pytest.mark.parametrize(("suspended", "asked"), [([], 1), (["Launch"], 1), (["AZRebalance"], 0)])
def test_no_healthy_node_ends_to_even_out_the_zones(aws: Conversation, suspended: list[str], asked: int) -> None:
    processes = [{"ProcessName": name} for name in suspended]
    group: Answer = {"AutoScalingGroups": [{"Instances": [], "SuspendedProcesses": processes}]}
    aws.answers = {"DescribeAutoScalingGroups": group, "SuspendProcesses": {}}
    auto_scaling.stop_rebalancing(auto_scaling.describe_group(GROUP))
    assert (
        aws.writes
        == [("SuspendProcesses", {"AutoScalingGroupName": GROUP, "ScalingProcesses": ["AZRebalance"]})] * asked
    )


def test_a_node_is_replaced_at_once(aws: Conversation) -> None:
    aws.answers = {"SetInstanceHealth": {}}
    assert auto_scaling.replace("i-1")
    unhealthy = {"InstanceId": "i-1", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    assert aws.calls == [("SetInstanceHealth", unhealthy)]


@pytest.mark.parametrize(("old", "new"), [("9", "10"), ("10", "9"), ("1", "11")])
def test_a_node_of_any_other_template_version_is_outdated(old: str, new: str) -> None:
    nodes = [Node("i-1", "InService", new), Node("i-2", "InService", old)]
    assert next_replacement_step(nodes, None, 2, new, "") == ReplacementStep(
        "refresh", "Auto Scaling: 1 nodes are replaced one at a time"
    )
    assert next_replacement_step(nodes[:1], None, 1, new, "") == ReplacementStep("done")


def test_a_node_that_is_launched_beside_a_full_group_is_waited_for() -> None:
    nodes = [Node("i-1", "InService", "1"), Node("i-2", "Pending", "1")]
    assert next_replacement_step(nodes, None, 1, "1", "") == ReplacementStep("wait", "Auto Scaling: i-2 Pending")


def test_a_node_that_left_the_group_meanwhile_hides_no_failure(aws: Conversation) -> None:
    aws.answers = {"SetInstanceHealth": refusal("ValidationError", "Instance Id not found - i-1")}
    assert not auto_scaling.replace("i-1")
