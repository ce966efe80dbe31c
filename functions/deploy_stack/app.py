"""Deploy stack: brings one of a cluster's two stacks, and for the nodes also their instances, to what the plan says."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from benchwright import cluster_stacks, node_group, stacks
from benchwright.models import Plan
from benchwright.observability import StepEvent, step
from benchwright.record import confirm_lock, plan_of
from benchwright.settings import settings


class Event(StepEvent):
    """change_set, refresh: what this execution set going, from the step's previous result.

    change_set: or stacks.DELETION.
    """

    stack: Literal["foundation", "nodes"]
    ami: str = ""
    foundation: dict[str, str] = {}
    change_set: str = ""
    refresh: str = ""


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
    done = decision.action == "done"
    return Result(
        done=done,
        waiting_for=decision.waiting_for,
        change_set=event.change_set,
        refresh=refresh,
        outputs=dict(stack.outputs) if done else {},
    )
