"""How the nodes of an old launch template are replaced: one at a time, by an instance refresh of their group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import NodesNotReady, error_code
from benchwright.nodes import launches
from benchwright.nodes.auto_scaling import LIVING, Group, Node, describe_group, stop_rebalancing

RUNNING_REFRESH = frozenset({"Pending", "InProgress", "Baking", "RollbackInProgress", "Cancelling"})
# Seconds after a node is in service before the next one is replaced: Workbench's peers see it come Online.
WARM_UP = 60


@dataclass(frozen=True)
class Refresh:
    """The newest instance refresh of the group."""

    id: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """How far the nodes are. refresh: the id of the instance refresh that this execution began; empty for none."""

    done: bool
    waiting_for: str
    refresh: str


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


def replace_outdated(
    group: Group | None, stack: Mapping[str, str], wanted: int, started: str, since: datetime | None
) -> Progress:
    """Look at the nodes and do the next thing, until `wanted` of them run the newest version of the launch template.

    group: None where it was not described yet. stack: the outputs of the stack of the nodes. started: as in
    next_replacement_step. since: failed launches before it do not count. Raises NodesNotReady where waiting is no use.
    """
    group = group or describe_group(stack["AutoScalingGroupName"])
    stop_rebalancing(group)
    template_version = f"{stack['LaunchTemplateId']}:{stack['LaunchTemplateVersion']}"
    step = next_replacement_step(group.nodes, newest_refresh(group.name), wanted, template_version, started)
    failed: Sequence[launches.Activity] = ()
    match step.action:
        case "fail":
            raise replacement_failure(group.name, step.waiting_for)
        case "refresh":
            started = start_refresh(group.name, wanted)
        case "wait":
            failed = launches.failed_launches(group.name, since)
            launches.raise_if_lasting(group.name, failed)
    return Progress(step.action == "done", launches.with_newest(failed, step.waiting_for), started)


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


def replacement_failure(group: str, why: str) -> NodesNotReady:
    """Say why the nodes are not there, with the group's newest failed launch."""
    return NodesNotReady(f"The nodes of {group} are not as planned. {why}{launches.newest_failure(group)}")
