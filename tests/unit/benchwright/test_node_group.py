"""The conversation with EC2 Auto Scaling: what is asked for, and why nodes that did not come are missing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchwright import node_group
from benchwright.node_group import Decision, Node, Refresh, decide
from tests.unit.benchwright.conversation import Answer, Conversation, refusal

GROUP = "wb-blue-nodes-group"
NO_ROOM = "We currently do not have sufficient m6i.xlarge capacity in the Availability Zone you requested."
LEFT = (
    "\nThe nodes before them still serve. Look at the log of the configuration on the new node (log group of the "
    "nodes), mend it, then start the execution again."
)


def activity(status: str, number: int, message: str | None = None) -> dict[str, Any]:
    """An activity, newest first as Auto Scaling lists them; one that goes on has no message."""
    told = {"StatusCode": status, "Description": f"Launching a new EC2 instance: i-{number}"}
    return told if message is None else {**told, "StatusMessage": message}


@pytest.mark.parametrize(
    ("activities", "told"),
    [
        ([], ""),
        ([activity("Successful", 1), activity("InProgress", 2)], ""),
        (
            [activity("InProgress", 1), activity("Failed", 2, NO_ROOM), activity("Failed", 3, "an older one")],
            f"\nThe newest failed activity: Launching a new EC2 instance: i-2: {NO_ROOM}",
        ),
        (
            [activity("Cancelled", 1)],
            "\nThe newest failed activity: Launching a new EC2 instance: i-1: no reason given",
        ),
    ],
    ids=["none", "none failed", "newest failed", "no message"],
)
def test_nodes_that_were_not_replaced_are_explained_by_the_newest_failed_activity(
    aws: Conversation, activities: list[dict[str, Any]], told: str
) -> None:
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    error = node_group.describe_failure(GROUP, "the instance refresh r ended Failed: no reason given")
    assert str(error) == (
        f"The nodes of {GROUP} were not replaced: the instance refresh r ended Failed: no reason given{told}{LEFT}"
    )
    assert aws.calls == [("DescribeScalingActivities", {"AutoScalingGroupName": GROUP, "MaxRecords": 20})]


@pytest.mark.parametrize(
    ("count", "most"), [(1, 200), (2, 150), (3, 134), (4, 125), (7, 115), (10, 110), (33, 104), (50, 102)]
)
def test_a_refresh_launches_one_node_before_another_one_goes(aws: Conversation, count: int, most: int) -> None:
    assert count * most // 100 == count + 1
    aws.answers = {"StartInstanceRefresh": {"InstanceRefreshId": "refresh"}}
    assert node_group.start_refresh(GROUP, count) == "refresh"
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
    assert node_group.start_refresh(GROUP, 2) == ""


def test_the_newest_refresh_is_the_one_that_has_not_begun(aws: Conversation) -> None:
    refreshes = [
        {"InstanceRefreshId": "old", "Status": "Failed", "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
        {"InstanceRefreshId": "pending", "Status": "Pending"},
        {"InstanceRefreshId": "newer", "Status": "Failed", "StartTime": datetime(2026, 2, 1, tzinfo=UTC)},
    ]
    aws.answers = {"DescribeInstanceRefreshes": {"InstanceRefreshes": refreshes}}
    assert node_group.newest_refresh(GROUP) == Refresh("pending", "Pending")
    del refreshes[1]
    assert node_group.newest_refresh(GROUP) == Refresh("newer", "Failed")


@pytest.mark.parametrize(("suspended", "asked"), [([], 1), (["Launch"], 1), (["AZRebalance"], 0)])
def test_no_healthy_node_ends_to_even_out_the_zones(aws: Conversation, suspended: list[str], asked: int) -> None:
    group: Answer = {"AutoScalingGroups": [{"SuspendedProcesses": [{"ProcessName": name} for name in suspended]}]}
    aws.answers = {"DescribeAutoScalingGroups": group, "SuspendProcesses": {}}
    node_group.stop_rebalancing(GROUP)
    assert (
        aws.writes
        == [("SuspendProcesses", {"AutoScalingGroupName": GROUP, "ScalingProcesses": ["AZRebalance"]})] * asked
    )


def test_a_node_is_replaced_at_once(aws: Conversation) -> None:
    aws.answers = {"SetInstanceHealth": {}}
    node_group.replace("i-1")
    unhealthy = {"InstanceId": "i-1", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    assert aws.calls == [("SetInstanceHealth", unhealthy)]


@pytest.mark.parametrize(("old", "new"), [("9", "10"), ("10", "9"), ("1", "11")])
def test_a_node_of_any_other_template_version_is_outdated(old: str, new: str) -> None:
    nodes = [Node("i-1", "InService", new), Node("i-2", "InService", old)]
    assert decide(nodes, None, 2, new, "") == Decision("refresh", "Auto Scaling: 1 nodes are replaced one at a time")
    assert decide(nodes[:1], None, 1, new, "") == Decision("done")


def test_a_node_that_is_launched_beside_a_full_group_is_waited_for() -> None:
    nodes = [Node("i-1", "InService", "1"), Node("i-2", "Pending", "1")]
    assert decide(nodes, None, 1, "1", "") == Decision("wait", "Auto Scaling: i-2 Pending")
