"""The conversation with EC2 Auto Scaling: the nodes as the group sees them, and their replacement one at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from benchwright.errors import NodesNotReady, error_code
from benchwright.observability import client

# An instance that waits in the launching hook runs, and is configured like one in service.
LIVING = frozenset({"InService", "Pending:Wait"})
RUNNING_REFRESH = frozenset({"Pending", "InProgress", "Baking", "RollbackInProgress", "Cancelling"})
REBALANCING = "AZRebalance"
# Seconds after a node is in service before the next one is replaced: Workbench's peers see it come Online.
WARM_UP = 60


@dataclass(frozen=True)
class Node:
    """An instance of the group."""

    instance: str
    state: str
    template_version: str


@dataclass(frozen=True)
class Refresh:
    """The newest instance refresh of the group."""

    id: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Decision:
    """What to do next about the nodes, and what is waited for."""

    action: Literal["refresh", "wait", "fail", "done"]
    waiting_for: str = ""


def decide(
    nodes: Sequence[Node], refresh: Refresh | None, wanted: int, template_version: str, started: str
) -> Decision:
    """Decide the next action; `started` is the refresh that this execution began."""
    if refresh and refresh.status in RUNNING_REFRESH:
        return Decision("wait", f"Auto Scaling: instance refresh {refresh.id} is {refresh.status}")
    living = [node for node in nodes if node.state in LIVING]
    leaving = [node for node in nodes if node not in living and node.state != "Terminated"]
    outdated = [node for node in living if node.template_version != template_version]
    if outdated and refresh and refresh.id == started and refresh.status != "Successful":
        return Decision(
            "fail", f"the instance refresh {refresh.id} ended {refresh.status}: {refresh.reason or 'no reason given'}"
        )
    if leaving or len(living) != wanted:
        states = ", ".join(f"{node.instance} {node.state}" for node in leaving) or f"{len(living)} of {wanted} nodes"
        return Decision("wait", f"Auto Scaling: {states}")
    if outdated:
        return Decision("refresh", f"Auto Scaling: {len(outdated)} nodes are replaced one at a time")
    return Decision("done")


def describe_nodes(group: str) -> list[Node]:
    """List the instances of a group by id; an absent group has none."""
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    instances = groups[0]["Instances"] if groups else []
    return sorted((_node(instance) for instance in instances), key=lambda node: node.instance)


def newest_refresh(group: str) -> Refresh | None:
    """Describe the newest instance refresh of a group."""
    refreshes = client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]
    if not refreshes:
        return None
    found = max(refreshes, key=lambda refresh: str(refresh.get("StartTime", "9")))  # a pending one has no time yet
    return Refresh(found["InstanceRefreshId"], found["Status"], found.get("StatusReason", ""))


def start_refresh(group: str, count: int) -> str:
    """Begin to replace the nodes that do not run the group's launch template version: first launch, then terminate.

    count: of the nodes; the room above it is that of one node.
    """
    try:
        answer = client("autoscaling").start_instance_refresh(
            AutoScalingGroupName=group,
            Strategy="Rolling",
            Preferences={
                "MinHealthyPercentage": 100,
                "MaxHealthyPercentage": 100 + math.ceil(100 / count),
                "InstanceWarmup": WARM_UP,
                "SkipMatching": True,
            },
        )
    except ClientError as error:
        if error_code(error) in ("InstanceRefreshInProgress", "InstanceRefreshInProgressFault"):
            return ""
        raise
    return str(answer["InstanceRefreshId"])


def stop_rebalancing(group: str) -> None:
    """Have Auto Scaling never end a healthy node only to even out the zones: people's sessions run on it.

    No property of the resource AWS::AutoScaling::AutoScalingGroup says so, so it is said to the group itself.
    """
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    suspended = {process["ProcessName"] for found in groups for process in found.get("SuspendedProcesses", [])}
    if REBALANCING not in suspended:
        client("autoscaling").suspend_processes(AutoScalingGroupName=group, ScalingProcesses=[REBALANCING])


def replace(instance: str) -> None:
    """Have Auto Scaling replace a node: it leaves through the terminating hook, and a new one is launched."""
    client("autoscaling").set_instance_health(
        InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
    )


def describe_failure(group: str, why: str) -> NodesNotReady:
    """Say why the nodes are not there, with the group's newest failed activity."""
    activities = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=20)[
        "Activities"
    ]
    failed = next((item for item in activities if item["StatusCode"] in ("Failed", "Cancelled")), None)
    reason = failed.get("StatusMessage") or "no reason given" if failed else ""
    activity = f"\nThe newest failed activity: {failed['Description']}: {reason}" if failed else ""
    return NodesNotReady(
        f"The nodes of {group} were not replaced: {why}{activity}\nThe nodes before them still serve. Look at the "
        "log of the "
        "configuration on the new node (log group of the nodes), mend it, then start the execution again."
    )


def _node(instance: dict[str, Any]) -> Node:
    return Node(
        instance["InstanceId"], instance["LifecycleState"], str(instance.get("LaunchTemplate", {}).get("Version", ""))
    )
