"""The conversation with EC2 Auto Scaling: the nodes as the group sees them, and their replacement one at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import NodesNotReady, error_code
from benchwright.observability import logger

# An instance that waits in the launching hook runs, and is configured like one in service.
LIVING = frozenset({"InService", "Pending:Wait"})
RUNNING_REFRESH = frozenset({"Pending", "InProgress", "Baking", "RollbackInProgress", "Cancelling"})
REBALANCING = "AZRebalance"
# So many launches in a row that failed alike, over so long a time, are no passing fault. Many nodes fail at once, and
# Auto Scaling tries again every minute or so.
FAILURES, OVER = 3, timedelta(minutes=5)
# What differs between two failures of one cause.
PARTICULARS = re.compile(
    r"\b(?:i|subnet)-[0-9a-f]{8,17}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\S+"
)
# What a person does about a launch that fails, by what AWS says of it. Sources: Amazon EC2 Auto Scaling user guide,
# "Troubleshoot: EC2 instance launch failures"; Amazon EC2 API reference, "Error codes".
REMEDIES: Mapping[str, str] = {
    r"vCPU capacity|instance limit of": (
        "Ask for a higher quota in Service Quotas (Amazon EC2, Running On-Demand instances of the type's family), or "
        "choose a smaller type (nodes.instance_type) or fewer nodes (nodes.count)"
    ),
    r"not have sufficient|InsufficientInstanceCapacity": (
        "Choose another instance type (nodes.instance_type), or wait: Auto Scaling keeps trying"
    ),
    r"InvalidKMSKey|Client error on launch": (
        "Volumes are encrypted with the account's default key of EBS (EC2 console, Settings, EBS encryption). Enable "
        "that key, and let the role AWSServiceRoleForAutoScaling use it and create grants for it, or make aws/ebs the "
        "default again"
    ),
    r"AMI ID|image id .*(does|do) not exist|InvalidAMIID": (
        "The AMI of the nodes is gone, or no longer shared with this account. Start again with "
        '{"image": {"rebuild": true}}, or with another image.ami'
    ),
    r"free addresses|FreeAddresses": "Free addresses in the subnet, or give the application larger subnets",
    r"Authentication Failure|assume role": (
        "The role AWSServiceRoleForAutoScaling is missing, or too new to work: make it with `aws iam "
        "create-service-linked-role --aws-service-name autoscaling.amazonaws.com`, and wait some minutes"
    ),
    r"not supported in your requested Availability Zone": (
        "Choose an instance type that each zone of the subnets has (nodes.instance_type)"
    ),
    r"is being validated|PendingVerification": (
        "AWS still validates this account. Wait for its e-mail, at most four hours"
    ),
    r"not authorized|UnauthorizedOperation|explicit deny": (
        "A policy keeps Auto Scaling from launching, often a service control policy of the organisation: allow "
        "ec2:RunInstances for AWSServiceRoleForAutoScaling"
    ),
    r"Lifecycle Action": "The new node did not configure itself in time. Read its log in the log group of the nodes",
}
UNKNOWN_CAUSE = "Fix what AWS names"
# Seconds after a node is in service before the next one is replaced: Workbench's peers see it come Online.
WARM_UP = 60


@dataclass(frozen=True)
class Node:
    """An instance of the group. `template_version` is the id and the version of its launch template: "lt-0a1b:3"."""

    instance: str
    state: str
    template_version: str


@dataclass(frozen=True)
class Group:
    """The Auto Scaling group of a cluster: its instances by id, and which of its processes are suspended."""

    name: str
    nodes: tuple[Node, ...] = ()
    suspended: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Refresh:
    """The newest instance refresh of the group."""

    id: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Activity:
    """A launch: how it ended, and what AWS said of it."""

    status: str
    message: str
    started: datetime
    ended: bool


@dataclass(frozen=True)
class ReplacementStep:
    """What to do next about the nodes, and what is waited for."""

    action: Literal["refresh", "wait", "fail", "done"]
    waiting_for: str = ""


def next_replacement_step(
    nodes: Sequence[Node], refresh: Refresh | None, wanted: int, template_version: str, started: str
) -> ReplacementStep:
    """Decide the next action; `started` is the refresh that this execution began."""
    if aside := [node.instance for node in nodes if node.state == "Standby"]:
        return ReplacementStep(
            "fail",
            f"{', '.join(aside)} is in Standby and does not count as a node. Put it back into service "
            "(aws autoscaling exit-standby), or terminate it, then start the execution again.",
        )
    if refresh and refresh.status in RUNNING_REFRESH:
        return ReplacementStep("wait", f"Auto Scaling: instance refresh {refresh.id} is {refresh.status}")
    living = [node for node in nodes if node.state in LIVING]
    leaving = [node for node in nodes if node not in living and node.state != "Terminated"]
    outdated = [node for node in living if node.template_version != template_version]
    if outdated and refresh and refresh.id == started and refresh.status != "Successful":
        return ReplacementStep(
            "fail",
            f"The instance refresh {refresh.id} ended {refresh.status}: {refresh.reason or 'no reason given'}. The "
            "nodes before it still serve. Read the log of the new node in the log group of the nodes, fix what it "
            "names, then start the execution again.",
        )
    if leaving or len(living) != wanted:
        states = ", ".join(f"{node.instance} {node.state}" for node in leaving) or f"{len(living)} of {wanted} nodes"
        return ReplacementStep("wait", f"Auto Scaling: {states}")
    if outdated:
        return ReplacementStep("refresh", f"Auto Scaling: {len(outdated)} nodes are replaced one at a time")
    return ReplacementStep("done")


def describe_group(name: str) -> Group:
    """Describe a group; an absent one has no instances."""
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not groups:
        return Group(name)
    nodes = sorted((_node(instance) for instance in groups[0]["Instances"]), key=lambda node: node.instance)
    return Group(name, tuple(nodes), frozenset(each["ProcessName"] for each in groups[0].get("SuspendedProcesses", [])))


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


def stop_rebalancing(group: Group) -> None:
    """Have Auto Scaling never end a healthy node only to even out the zones: people's sessions run on it.

    No property of the resource AWS::AutoScaling::AutoScalingGroup says so, so it is said to the group itself.
    """
    if REBALANCING not in group.suspended:
        client("autoscaling").suspend_processes(AutoScalingGroupName=group.name, ScalingProcesses=[REBALANCING])


def replace(instance: str) -> bool:
    """Have Auto Scaling replace a node: it leaves through the terminating hook, and a new one is launched.

    A failure is being explained: a refusal, such as of a node that left the group meanwhile, must not hide it. It is
    logged, and False returned.
    """
    try:
        client("autoscaling").set_instance_health(
            InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
        )
    except ClientError as error:
        logger.warning("node not replaced", instance=instance, reason=str(error))
        return False
    return True


def failed_launches(group: str, since: datetime | None) -> list[Activity]:
    """List the launches that failed alike, newest first, since the last one that succeeded or failed otherwise.

    since: what happened before counts no more: the cause may be fixed. None where the group does not exist yet.
    """
    row: list[Activity] = []
    try:
        for activity in _launches(group):
            if activity.ended and (activity.status == "Successful" or (since and activity.started < since)):
                break
            if activity.status not in ("Failed", "Cancelled"):
                continue
            if row and _cause(activity.message) != _cause(row[0].message):
                break
            row.append(activity)
            if _is_lasting(row):
                break
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
    return row


def raise_if_lasting(group: str, failed: Sequence[Activity]) -> None:
    """Raise NodesNotReady, with AWS's reason and the remedy, where launches fail alike again and again."""
    if _is_lasting(failed):
        remedy = REMEDIES.get(_cause(failed[0].message), UNKNOWN_CAUSE)
        raise NodesNotReady(
            f"Auto Scaling cannot launch nodes of {group}. Since {failed[-1].started:%H:%M} UTC every launch failed: "
            f"{failed[0].message}\n{remedy}; then start the execution again."
        )


def replacement_failure(group: str, why: str) -> NodesNotReady:
    """Say why the nodes are not there, with the group's newest failed launch."""
    failed = next((item for item in _launches(group) if item.status in ("Failed", "Cancelled")), None)
    newest = f"\nThe newest launch that failed: {failed.message}" if failed else ""
    return NodesNotReady(f"The nodes of {group} are not as planned. {why}{newest}")


def _launches(group: str) -> Iterator[Activity]:
    """The launches of a group, newest first."""
    pages = client("autoscaling").get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=group)
    for item in (item for page in pages for item in page["Activities"]):
        if item["Description"].startswith("Launching"):
            message = item.get("StatusMessage") or "no reason given"
            yield Activity(item["StatusCode"], message, item["StartTime"], ended="EndTime" in item)


def _cause(message: str) -> str:
    """What two failures of one cause have in common."""
    return next((cause for cause in REMEDIES if re.search(cause, message)), PARTICULARS.sub("", message))


def _is_lasting(row: Sequence[Activity]) -> bool:
    return len(row) >= FAILURES and row[0].started - row[-1].started >= OVER


def _node(instance: Mapping[str, Any]) -> Node:
    made_of = instance.get("LaunchTemplate", {})
    template = f"{made_of.get('LaunchTemplateId', '')}:{made_of.get('Version', '')}"
    return Node(instance["InstanceId"], instance["LifecycleState"], template)
