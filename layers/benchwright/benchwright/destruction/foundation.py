"""The deletion of a foundation with all its data: one action per call, from what is observed.

CloudFormation deletes, in its order and with its role: a first change set lets go of the resources and of deletion
protection, then the stack is deleted. The stack is the index of what is left, so that any execution can go on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from benchwright.aws import client
from benchwright.destruction import policies, secrets
from benchwright.settings import settings
from benchwright.stacks import change_sets, decision
from benchwright.stacks.decision import DELETION, SETTLED, Action, Desired, Stack


@dataclass(frozen=True)
class Progress:
    """waiting_for: empty once the stack is gone. begun: the change set that this execution executed, or DELETION."""

    waiting_for: str = ""
    begun: str = ""


def name_of(cluster: str) -> str:
    """Return the name of the stack that holds a cluster's data."""
    return settings().stack_name(cluster, "foundation")


def letting_go(cluster: str, stack: Stack, kept: Collection[str]) -> Desired:
    """Return the stack as it is, but of resources that go with it and of a database that can be deleted."""
    ours = {"Application": settings().application, "Cluster": cluster, "DeletionProtection": "false"}
    is_settled = stack.status in SETTLED  # of any other, the template was not read
    return Desired(
        name=name_of(cluster),
        template=policies.letting_go(stack.template, kept) if is_settled else "",
        parameters={**stack.parameters, **ours},
        tags=stack.tags,
        protected=True,
    )


def next_action(action: Action, stack: Stack, *, is_let_go: bool, is_last: bool) -> Action:
    """Decide what to do where a deployment would take this action.

    is_let_go: whether the template that the stack has lets go of what a failed deletion left. is_last: whether this is
    the last look: what still failed then needs a person.
    """
    if action in ("refuse", "wait"):
        return action
    if stack.status == "DELETE_FAILED" and is_let_go:  # an address that Lambda or EFS gives up late, for instance
        return "failed" if is_last else "delete stack"
    if action in ("done", "protect") or stack.status == "REVIEW_IN_PROGRESS":
        return "delete stack"
    return action


def delete(cluster: str, begun: str, kept: Collection[str], *, is_last: bool) -> Progress:
    """Do the next thing of the deletion.

    kept: names of resources that stay. Raises StackRefused for a stack of someone else, or one whose creation or
    deletion left what its template retains; StackFailed where CloudFormation cannot delete it.
    """
    stack = change_sets.describe(name_of(cluster))
    if stack is None:
        secrets.schedule_deletion(cluster)  # an execution may have ended right after it deleted the stack
        return Progress()
    desired = letting_go(cluster, stack, kept)
    change_set, name = change_sets.find_change_set(desired, stack, begun)
    action = decision.next_action(stack, change_set, desired, begun)
    template = _template(stack) if stack.status == "DELETE_FAILED" else ""
    action = next_action(action, stack, is_let_go=policies.MARK in template, is_last=is_last)
    if action == "delete stack":
        # What a failed deletion left has the policies of then, which cannot be changed any more.
        retains_key = policies.KEY in kept and policies.MARK in template and policies.is_let_go(template, policies.KEY)
        _delete(cluster, stack, [policies.KEY] if retains_key else [])
        return Progress(f"CloudFormation: {desired.name} is deleted", DELETION)
    waiting_for = change_sets.act(action, desired, stack, change_set, name)
    began = {"execute": name, "discard unused": ""}.get(action, begun)
    return Progress(waiting_for or f"the next look at {desired.name}", began)


def events(stack: str) -> list[Mapping[str, Any]]:
    """Return the events of a stack, also of one that is gone, by its ARN."""
    pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
    return [event for page in pages for event in page["StackEvents"]]


def _delete(cluster: str, stack: Stack, retained: Collection[str]) -> None:
    """Delete the stack, and then the secrets, which can be restored for 30 days.

    In this order: a deployment needs the secrets of a stack that CloudFormation did not begin to delete.
    """
    cloudformation = client("cloudformation")
    if stack.protected:
        cloudformation.update_termination_protection(StackName=stack.arn, EnableTerminationProtection=False)
    cloudformation.delete_stack(
        StackName=stack.arn, RoleARN=settings().cloudformation_role_arn, RetainResources=list(retained)
    )
    secrets.schedule_deletion(cluster)


def _template(stack: Stack) -> str:
    return str(client("cloudformation").get_template(StackName=stack.arn, TemplateStage="Original")["TemplateBody"])
