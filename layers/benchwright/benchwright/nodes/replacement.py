"""How the nodes of an old launch template are replaced: some at a time, by an instance refresh of their group
(docs/decisions/0031).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.dry_run import counted
from benchwright.errors import NodesNotReady, error_code
from benchwright.models import Nodes
from benchwright.nodes import launches, refusals
from benchwright.nodes.auto_scaling import (
    LIVING,
    REFRESH,
    Group,
    Node,
    pause_refresh,
    resume_refresh,
    stop_rebalancing,
)
from benchwright.nodes.target_health import HEALTHY, UNUSED, target_health

RUNNING_REFRESH = frozenset({"Pending", "InProgress", "Baking", "RollbackInProgress", "Cancelling"})
# Seconds after a node is in service before an old one leaves: Workbench's peers see it come Online, and this step,
# which looks at least twice meanwhile (waits.py), sees whether the load balancer finds it healthy.
WARM_UP = 60


class Refresh(NamedTuple):
    """The newest instance refresh of the group. began: None as long as it is pending."""

    id: str
    status: str
    reason: str = ""
    began: datetime | None = None


class Progress(NamedTuple):
    """How far the nodes are. refresh: the id of the instance refresh that this execution began; empty for none."""

    done: bool
    waiting_for: str
    refresh: str


class ReplacementStep(NamedTuple):
    """What to do next about the nodes, and what is waited for."""

    action: Literal["refresh", "pause", "resume", "wait", "fail", "done"]
    waiting_for: str = ""


def next_replacement_step(
    nodes: Sequence[Node],
    refresh: Refresh | None,
    wanted: Nodes,
    template_version: str,
    started: str,
    *,
    health: Mapping[str, str] | None = None,
    paused: bool = False,
) -> ReplacementStep:
    """Decide the next action.

    started: the refresh that this execution began. health: as in target_health; None where no load balancer forwards
    to the nodes, or no refresh runs. paused: whether a refresh would replace no node now.
    """
    if aside := [node.instance for node in nodes if node.state == "Standby"]:
        return ReplacementStep(
            "fail",
            f"{', '.join(aside)} is in Standby and does not count as a node. Put it back into service "
            "(aws autoscaling exit-standby), or terminate it, then start the execution again.",
        )
    runs = refresh is not None and refresh.status in RUNNING_REFRESH
    if refresh and runs and (unready := _unready(nodes, template_version, health)):
        return ReplacementStep("wait" if paused else "pause", _pause(unready, refresh))
    if paused:
        return ReplacementStep("resume", "Auto Scaling: instance refreshes go on")
    if refresh and runs:
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
    if leaving or len(living) != wanted.count:
        states = [f"{node.instance} {node.state}" for node in leaving] or [f"{len(living)} of {wanted.count} nodes"]
        return ReplacementStep("wait", f"Auto Scaling: {', '.join(states)}")
    if outdated:
        nodes_are = f"{counted(len(outdated), 'node')} {'is' if len(outdated) == 1 else 'are'}"
        return ReplacementStep("refresh", f"Auto Scaling: {nodes_are} replaced{manner(len(outdated), wanted.at_once)}")
    return ReplacementStep("done")


def replace_outdated(
    group: Group,
    wanted: Nodes,
    started: str,
    since: datetime | None,
    *,
    log_group: str,
) -> Progress:
    """Look at the nodes and do the next thing, until as many as wanted run the launch template of their group.

    started: as in next_replacement_step. since: failed launches before it do not count, nor those before the refresh
    that this execution began. log_group: of the nodes. Raises NodesNotReady where waiting is no use.
    """
    stop_rebalancing(group)
    refresh = newest_refresh(group.name)
    if refresh and refresh.id == started and refresh.began:
        since = max(since or refresh.began, refresh.began)
    # An instance refresh judges by the health checks of the group, which are EC2's: a load balancer never ends a node.
    watched = refresh and refresh.status in RUNNING_REFRESH and group.target_groups
    health = target_health(group.target_groups[0]) if watched else None
    paused = REFRESH in group.suspended
    step = next_replacement_step(
        group.nodes, refresh, wanted, group.template_version, started, health=health, paused=paused
    )
    failed: Sequence[launches.Activity] = ()
    waiting_for = step.waiting_for
    match step.action:
        case "fail":
            raise replacement_failure(group.name, step.waiting_for)
        case "refresh":
            started = start_refresh(group.name, wanted.count, wanted.at_once)
        case "pause":
            pause_refresh(group.name)
        case "resume":
            resume_refresh(group.name)
        case "wait":
            failed = launches.failed_launches(group.name, since)
            new = group.nodes if refresh and refresh.status in RUNNING_REFRESH else ()
            if found := refusals.refusal(log_group, new):
                waiting_for = refusals.another_try(group, found, since, failed)
            else:
                launches.raise_if_lasting(group.name, failed)
                waiting_for = launches.with_newest(failed, waiting_for)
    return Progress(step.action == "done", waiting_for, started)


def _unready(nodes: Sequence[Node], template_version: str, health: Mapping[str, str] | None) -> dict[str, str]:
    """Find the new nodes in service that the load balancer does not find healthy: what it says, by instance.

    One that it does not use, as it has no listener or is not in the zone of the node, serves no one before or after:
    its state never changes by waiting (Elastic Load Balancing user guide, "Target health status").
    """
    if health is None:
        return {}
    new = [node.instance for node in nodes if node.state == "InService" and node.template_version == template_version]
    states = {instance: health.get(instance, "not registered") for instance in new}
    return {instance: state for instance, state in states.items() if state.split(" ")[0] not in (HEALTHY, UNUSED)}


def _pause(unready: Mapping[str, str], refresh: Refresh) -> str:
    states = ", ".join(f"{instance} is {state}" for instance, state in unready.items())
    return (
        f"load balancer: {states}; instance refresh {refresh.id} is paused until it is healthy. If it stays so, read "
        "its log in the log group of the nodes; fix the cause or terminate it (aws ec2 terminate-instances "
        f"--instance-ids {' '.join(unready)}), and Auto Scaling launches another one"
    )


def manner(replaced: int, at_once: int) -> str:
    """Say how many of the nodes that are replaced are so at the same time; nothing of one node."""
    if replaced == 1:
        return ""
    if at_once >= replaced:
        return ", all at the same time"
    return f", {'one' if at_once == 1 else at_once} at a time"


def newest_refresh(group: str) -> Refresh | None:
    """Describe the newest instance refresh of a group."""
    refreshes = client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]
    if not refreshes:
        return None
    found = max(refreshes, key=_moment)
    reason = found.get("StatusReason", "")
    return Refresh(found["InstanceRefreshId"], found["Status"], reason, found.get("StartTime"))


def _moment(refresh: Mapping[str, Any]) -> str:
    """Return what puts instance refreshes in order: a pending one has no time yet, one that was cancelled while it was
    pending has at most that of its end.
    """
    if refresh["Status"] in RUNNING_REFRESH:
        return "9"
    return str(refresh.get("StartTime") or refresh.get("EndTime", ""))


def start_refresh(group: str, count: int, at_once: int) -> str:
    """Begin to replace the nodes that do not run the group's launch template version: first launch, then terminate.

    count: of the nodes; so many serve at any moment. at_once: the room above it. EC2 Auto Scaling user guide, "How an
    instance refresh works": with a minimum of 100 percent new instances come first, and the maximum is the percentage
    of the desired capacity to which the group may grow.
    """
    try:
        answer = client("autoscaling").start_instance_refresh(
            AutoScalingGroupName=group,
            Strategy="Rolling",
            Preferences={
                "MinHealthyPercentage": 100,
                "MaxHealthyPercentage": 100 + math.ceil(100 * at_once / count),
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
