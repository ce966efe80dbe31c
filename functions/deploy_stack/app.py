"""Deploy stack: brings one of a cluster's two stacks, and for the nodes also their instances, to what the plan says."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from benchwright import cluster_stacks, node_group, stacks
from benchwright.models import Plan
from benchwright.observability import StepEvent, step
from benchwright.record import confirm_lock, plan_of
from benchwright.settings import settings


class Event(StepEvent):
    """change_set, refresh: what this execution set going, from the step's previous result.

    change_set: or stacks.DELETION. began: when the execution began.
    """

    stack: Literal["foundation", "nodes"]
    ami: str = ""
    foundation: dict[str, str] = {}
    change_set: str = ""
    refresh: str = ""
    began: datetime | None = None


class Result(BaseModel):
    """outputs: the stack's outputs, once done. change_set, refresh: as in Event."""

    done: bool
    waiting_for: str = ""
    change_set: str = ""
    refresh: str = ""
    outputs: dict[str, str] = {}


@step(Event)
def handler(event: Event) -> Result:
    """Look at the stack and do the next thing."""
    plan = plan_of(confirm_lock(event.cluster, event.execution), event.cluster)
    stack = stacks.describe(settings().stack_name(plan.cluster, event.stack))
    desired, is_final = _desired(event, plan, stack)
    change_set, name = stacks.find_change_set(desired, stack, event.change_set)
    action = stacks.decide(stack, change_set, desired, event.change_set)
    waiting_for = stacks.act(action, desired, stack, change_set, name)
    if action in ("done", "protect", "discard") and is_final and stack:  # discard: the change set held no changes
        return _nodes(event, plan, stack) if event.stack == "nodes" else Result(done=True, outputs=dict(stack.outputs))
    if event.stack == "nodes" and action == "wait":
        waiting_for = _with_failed_launch(waiting_for, event)
    begun = {"execute": name, "delete stack": stacks.DELETION}.get(action, event.change_set)
    return Result(
        done=False,
        waiting_for=waiting_for or f"the next look at {desired.name}",
        change_set=begun,
        refresh=event.refresh,
    )


def _desired(event: Event, plan: Plan, current: stacks.Stack | None) -> tuple[stacks.Desired, bool]:
    """Return what the stack must be now, and whether that is what it must be in the end."""
    if event.stack == "foundation":
        desired = cluster_stacks.foundation(settings(), plan, current)
        return desired, desired.parameters["DeletionProtection"] == "true"
    group = current.outputs.get("AutoScalingGroupName", "") if current else ""
    instances = node_group.describe_nodes(group) if group else []
    if current and cluster_stacks.must_go_offline(plan, current, len(instances)):
        return cluster_stacks.nodes(settings(), plan, event.ami, event.foundation, offline_as=current), False
    return cluster_stacks.nodes(settings(), plan, event.ami, event.foundation), True


def _with_failed_launch(waiting_for: str, event: Event) -> str:
    """Say why the newest launch failed, too; raises NodesNotReady where waiting is no use.

    CloudFormation waits for the first nodes of a group, for an hour and without a word.
    """
    group = settings().group_name(event.cluster)
    failed = node_group.failed_launches(group, event.began)
    node_group.raise_if_lasting(group, failed)
    return f"{waiting_for}. The newest launch failed: {failed[0].message}" if failed else waiting_for


def _nodes(event: Event, plan: Plan, stack: stacks.Stack) -> Result:
    group = stack.outputs["AutoScalingGroupName"]
    node_group.stop_rebalancing(group)
    decision = node_group.decide(
        node_group.describe_nodes(group),
        node_group.newest_refresh(group),
        plan.wanted.nodes.count,
        stack.outputs["LaunchTemplateVersion"],
        event.refresh,
    )
    refresh = event.refresh
    if decision.action == "fail":
        raise node_group.describe_failure(group, decision.waiting_for)
    if decision.action == "refresh":
        refresh = node_group.start_refresh(group, plan.wanted.nodes.count)
    waits, done = decision.action == "wait", decision.action == "done"
    return Result(
        done=done,
        waiting_for=_with_failed_launch(decision.waiting_for, event) if waits else decision.waiting_for,
        change_set=event.change_set,
        refresh=refresh,
        outputs=dict(stack.outputs) if done else {},
    )
