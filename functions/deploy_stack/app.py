"""Deploy stack: brings one of a cluster's two stacks, and for the nodes also their instances, to what the plan says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from benchwright.models import Plan
from benchwright.nodes import auto_scaling
from benchwright.nodes.auto_scaling import Activity, Group
from benchwright.record import confirm_lock, plan_of
from benchwright.settings import settings
from benchwright.stacks import change_sets, desired_state
from benchwright.step import StepEvent, step


class Event(StepEvent):
    """change_set, refresh: what this execution set going, from the step's previous result.

    change_set: or change_sets.DELETION. began: when the execution began. node_script: its hash, as it was published.
    """

    stack: Literal["foundation", "nodes"]
    ami: str = ""
    foundation: dict[str, str] = {}
    node_script: str = ""
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
    stack = change_sets.describe(settings().stack_name(plan.cluster, event.stack))
    group = _group(stack) if event.stack == "nodes" else None
    desired, is_final = _desired(event, plan, stack, group)
    change_set, name = change_sets.find_change_set(desired, stack, event.change_set)
    action = change_sets.next_action(stack, change_set, desired, event.change_set)
    failed: list[Activity] = []
    if event.stack == "nodes" and action == "wait" and stack:
        action, failed = _with_failed_launches(event, stack, desired)
    waiting_for = change_sets.act(action, desired, stack, change_set, name)
    if action in ("done", "protect", "discard") and is_final and stack:  # discard: the change set held no changes
        if event.stack == "foundation":
            return Result(done=True, outputs=dict(stack.outputs))
        return _nodes(event, plan, stack, group)
    begun = {"execute": name, "discard unused": "", "delete stack": change_sets.DELETION}.get(action, event.change_set)
    return Result(
        done=False,
        waiting_for=_with_newest(failed, waiting_for or f"the next look at {desired.name}"),
        change_set=begun,
        refresh=event.refresh,
    )


def _group(stack: change_sets.Stack | None) -> Group | None:
    """Describe the group of the stack of the nodes, once it has one."""
    name = stack.outputs.get("AutoScalingGroupName") if stack else None
    return auto_scaling.describe_group(name) if name else None


def _desired(
    event: Event, plan: Plan, current: change_sets.Stack | None, group: Group | None
) -> tuple[change_sets.Desired, bool]:
    """Return what the stack must be now, and whether that is what it must be in the end."""
    if event.stack == "foundation":
        desired = desired_state.foundation(settings(), plan, current)
        return desired, desired.parameters["DeletionProtection"] == "true"
    goes_offline = current and desired_state.must_go_offline(plan, current, len(group.nodes) if group else 0)
    desired = desired_state.nodes(
        *(settings(), plan, event.ami, event.foundation, event.node_script),
        offline_as=current if goes_offline else None,
    )
    return desired, not goes_offline


def _with_failed_launches(
    event: Event, stack: change_sets.Stack, desired: change_sets.Desired
) -> tuple[change_sets.Action, list[Activity]]:
    """Decide whether to wait for the stack, and list the launches that fail meanwhile.

    CloudFormation waits an hour for nodes that cannot be launched, and gives no reason. If another execution began that
    with other parameters, this execution may bring the remedy: what this one wants was not tried yet. A first creation
    is then deleted, which CloudFormation allows while it is in progress: the nodes hold no data. An update rolls back
    by itself. Raises NodesNotReady where what this execution wants cannot be launched.
    """
    is_ours = event.change_set not in ("", change_sets.DELETION) and stack.status.endswith("_IN_PROGRESS")
    if is_ours or change_sets.has_parameters(stack, desired):
        return "wait", _failed_launches(event, stack)
    failed = auto_scaling.failed_launches(settings().group_name(event.cluster), _changed(stack))
    is_superseded = failed and stack.status == "CREATE_IN_PROGRESS" and not event.change_set
    return "delete stack" if is_superseded else "wait", failed


def _failed_launches(event: Event, stack: change_sets.Stack) -> list[Activity]:
    """List the launches that failed alike since the execution began, but none of what the stack was before its last
    change. Raises NodesNotReady where waiting is no use.
    """
    group, changed = settings().group_name(event.cluster), _changed(stack)
    failed = auto_scaling.failed_launches(group, max(event.began, changed) if event.began else changed)
    auto_scaling.raise_if_lasting(group, failed)
    return failed


def _changed(stack: change_sets.Stack) -> datetime:
    return datetime.fromisoformat(stack.changed)


def _with_newest(failed: Sequence[Activity], waiting_for: str) -> str:
    """Say why the newest launch failed, too."""
    return f"{waiting_for}. The newest launch failed: {failed[0].message}" if failed else waiting_for


def _nodes(event: Event, plan: Plan, stack: change_sets.Stack, group: Group | None) -> Result:
    group = group or auto_scaling.describe_group(stack.outputs["AutoScalingGroupName"])
    auto_scaling.stop_rebalancing(group)
    decision = auto_scaling.next_replacement_step(
        group.nodes,
        auto_scaling.newest_refresh(group.name),
        plan.wanted.nodes.count,
        f"{stack.outputs['LaunchTemplateId']}:{stack.outputs['LaunchTemplateVersion']}",
        event.refresh,
    )
    refresh = event.refresh
    if decision.action == "fail":
        raise auto_scaling.replacement_failure(group.name, decision.waiting_for)
    if decision.action == "refresh":
        refresh = auto_scaling.start_refresh(group.name, plan.wanted.nodes.count)
    waits, done = decision.action == "wait", decision.action == "done"
    return Result(
        done=done,
        waiting_for=_with_newest(_failed_launches(event, stack) if waits else [], decision.waiting_for),
        change_set=event.change_set,
        refresh=refresh,
        outputs=dict(stack.outputs) if done else {},
    )
