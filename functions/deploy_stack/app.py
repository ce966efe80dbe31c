"""Deploy stack: brings one of a cluster's stacks, and for the nodes also their instances, to what the plan says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from benchwright.dry_run import Step, unpack
from benchwright.errors import StackRefused
from benchwright.models import Plan
from benchwright.nodes import auto_scaling, launches, replacement
from benchwright.nodes.node_script import load_script
from benchwright.nodes.preview import Nodes
from benchwright.record import Record, confirm_lock, plan_of
from benchwright.settings import settings
from benchwright.stacks import change_sets, desired_state, preview, preview_steps, waiting
from benchwright.stacks.decision import (
    DELETED_IN_PART,
    DELETION,
    Action,
    Stack,
    has_parameters,
    lacks_protection_alone,
    next_action,
)
from benchwright.step import LoopEvent, LoopResult, step
from benchwright.waits import CREATION, CREATION_BESIDE_BUILD, WAITS, Waits


class Event(LoopEvent):
    """change_set, refresh: what this execution set going, from the step's previous result.

    change_set: or decision.DELETION. began: when the execution began. node_script: its hash, as it was published.
    access: the outputs of the stack of the address; empty for none. protects: whether deletion protection is waited
    for, too. removes: whether the stack must be deleted; the one that holds data never is. plan: of a dry run, which
    looks at all stacks.
    """

    stack: Literal["foundation", "access", "nodes", "all"]
    plan: str = ""
    protects: bool = False
    removes: bool = False
    ami: str = ""
    foundation: dict[str, str] = {}
    access: dict[str, str] = {}
    certificate_arn: str = ""
    node_script: str = ""
    change_set: str = ""
    refresh: str = ""
    began: datetime | None = None


class Result(LoopResult):
    """outputs: the stack's outputs, once done. change_set, refresh: as in Event. is_protected: False while the stack is
    only being given deletion protection, for which nothing has to wait.
    """

    change_set: str = ""
    refresh: str = ""
    outputs: dict[str, str] = {}
    is_protected: bool = True


class Preview(LoopResult):
    """What a deployment would do. standing: the parameters of the stacks as they are, of which the bill is made."""

    steps: list[Step] = []
    nodes: Nodes = Nodes()
    foundation: dict[str, str] = {}
    standing: dict[str, str] = {}


@step(Event)
def handler(event: Event) -> Result | Preview:
    """Look at the stack, and at the nodes once it is as it must be, and do the next thing."""
    if event.stack == "all":
        return _preview(event)
    record = confirm_lock(event.cluster, event.execution)
    if event.removes:
        return _remove(event)
    plan = plan_of(record, event.cluster)
    if event.refresh:
        # It was begun when the stack was as it must be, and no one else changes the stack as long as the lock is ours.
        refreshed = auto_scaling.describe_group(settings().group_name(event.cluster))
        result = _replace(event, plan, refreshed, event.began)
        if not result.done:
            return result
    stack = change_sets.describe(settings().stack_name(event.cluster, event.stack))
    # Failed launches of what the stack was before its last change do not count.
    since = max(stack.changed_at, event.began or stack.changed_at) if stack else None
    group_name = stack.outputs.get("AutoScalingGroupName") if stack and event.stack == "nodes" else None
    group = auto_scaling.describe_group(group_name) if group_name else None
    desired, is_final = desired_state.current_aim(
        *(settings(), plan, event.stack, stack),
        instances=len(group.nodes) if group else 0,
        ami=event.ami,
        foundation_outputs=event.foundation,
        certificate_arn=event.certificate_arn,
        access_outputs=event.access,
        node_script=event.node_script,
    )
    change_set, name = change_sets.find_change_set(desired, stack, event.change_set)
    action = next_action(stack, change_set, desired, event.change_set)
    failed: Sequence[launches.Activity] = ()
    if event.stack == "nodes" and action == "wait" and stack:
        is_desired = has_parameters(stack, desired)
        group_of_stack = settings().group_name(event.cluster)
        action, failed = waiting.next_action_while_waiting(stack, is_desired, event.change_set, group_of_stack, since)
    _free(event, action, stack)
    waiting_for = change_sets.act(action, desired, stack, change_set, name)
    if group and stack and stack.is_changing and action == "wait":  # before that, this execution may bring the remedy
        log_group = settings().log_group_of_nodes(event.cluster)
        waiting_for = waiting.another_try(group, since, failed, log_group=log_group) or waiting_for
    if stack and action == "execute" and not event.protects and lacks_protection_alone(stack, desired):
        return Result(done=True, outputs=dict(stack.outputs), is_protected=False)
    if not (action in ("done", "protect", "discard") and is_final and stack):  # discard: the change set held no changes
        return Result(
            done=False,
            waiting_for=launches.with_newest(failed, waiting_for or f"the next look at {desired.name}"),
            wait_seconds=_wait(event, action, group.nodes if group else (), _creation(event, stack, record)),
            change_set=_begun(event, action, name),
            refresh=event.refresh,
        )
    if event.stack != "nodes":
        return Result(done=True, outputs=dict(stack.outputs))
    group = group or auto_scaling.describe_group(settings().group_name(event.cluster))
    result = _replace(event, plan, group, since)
    return result.model_copy(update={"outputs": dict(stack.outputs)}) if result.done else result


def _replace(event: Event, plan: Plan, group: auto_scaling.Group, since: datetime | None) -> Result:
    log_group = settings().log_group_of_nodes(event.cluster)
    progress = replacement.replace_outdated(group, plan.wanted.nodes, event.refresh, since, log_group=log_group)
    return Result(
        done=progress.done,
        waiting_for=progress.waiting_for,
        wait_seconds=_wait(event),
        change_set=event.change_set,
        refresh=progress.refresh,
    )


def _preview(event: Event) -> Preview:
    """Make the change sets of all stacks, read them, and delete them."""
    plan, names = unpack(event.plan), ("foundation", "access", "nodes")
    found = {name: change_sets.describe(settings().stack_name(plan.cluster, name)) for name in names}
    targets = preview.targets(
        *(settings(), plan, found),
        ami=event.ami,
        certificate_arn=event.certificate_arn,
        node_script=load_script().sha256,
    )
    changes = preview.look(targets, event.execution)
    if changes is None:
        wait = WAITS["Preview stacks"].after(event.wait_seconds)
        return Preview(done=False, waiting_for="CloudFormation: what would change", wait_seconds=wait)
    group = auto_scaling.describe_group(settings().group_name(event.cluster))
    after = preview.nodes_after(plan, targets["nodes"], changes.get("nodes", []), group)
    removed = preview.removal(found["access"]) if plan.removes_access and found["access"] else []
    standing = {name: stack for name, stack in found.items() if stack and stack.outputs}
    return Preview(
        done=True,
        steps=preview_steps.steps(targets, changes, after, removed),
        nodes=after,
        foundation=dict(standing["foundation"].outputs) if "foundation" in standing else {},
        standing={f"{name}.{key}": value for name, each in standing.items() for key, value in each.parameters.items()},
    )


def _remove(event: Event) -> Result:
    """Take deletion protection from the load balancer of an address, then delete the stack; nodes hold no data."""
    match event.stack:
        case "access" | "nodes" as which:
            stack = change_sets.describe(settings().stack_name(event.cluster, which))
        case _:
            raise StackRefused("The stack of the foundation holds data: the state machine destroy alone deletes it.")
    if stack is None:
        for name in (event.stack, *(["foundation"] if event.stack == "nodes" else [])):
            preview.remove_beside(settings().stack_name(event.cluster, name))  # of a dry run that was stopped
        return Result(done=True)
    desired = desired_state.to_remove(settings(), event.cluster, which, stack)
    change_set, name = change_sets.find_change_set(desired, stack, event.change_set)
    action = next_action(stack, change_set, desired, event.change_set)
    is_of_nodes = event.stack == "nodes" and action not in ("refuse", "wait", "failed")
    if action == "done" or (action != "refuse" and stack.status == "REVIEW_IN_PROGRESS") or is_of_nodes:
        action = "delete stack"
    _free(event, action, stack)
    waiting_for = change_sets.act(action, desired, stack, change_set, name)
    if action == "delete stack":
        waiting_for = f"CloudFormation: {desired.name} is deleted"
    return Result(
        done=False,
        waiting_for=waiting_for,
        wait_seconds=_wait(event, action),
        change_set=_begun(event, action, name),
    )


def _free(event: Event, action: Action, stack: Stack | None) -> None:
    """Delete what would keep CloudFormation from deleting the stack of the nodes, where it could not before."""
    if event.stack == "nodes" and action == "delete stack" and stack and stack.status in DELETED_IN_PART:
        auto_scaling.delete_empty_group(settings().group_name(event.cluster))


def _creation(event: Event, stack: Stack | None, record: Record) -> Waits | None:
    """Return the waits while a foundation is created, else None. An image is recorded as soon as it is there."""
    if event.stack != "foundation" or stack is None or stack.status != "CREATE_IN_PROGRESS":
        return None
    return CREATION if record.ami else CREATION_BESIDE_BUILD


def _wait(
    event: Event,
    action: Action = "wait",
    nodes: Sequence[auto_scaling.Node] = (),
    creation: Waits | None = None,
) -> int:
    """Return how long to wait: what this look has just set going may be over soon, and a node takes minutes to come."""
    state = "Protect stacks" if event.protects else f"{'Remove' if event.removes else 'Deploy'} {event.stack}"
    waits = creation or WAITS[state]
    if action == "wait" and any(node.state.startswith("Pending") for node in nodes):
        return waits.longest
    return waits.after(event.wait_seconds if action == "wait" else 0)


def _begun(event: Event, action: Action, name: str) -> str:
    """What this execution has set going after an action: the name of a change set, or DELETION."""
    begun = {"execute": name, "discard unused": "", "delete stack": DELETION}
    return begun.get(action, event.change_set)
