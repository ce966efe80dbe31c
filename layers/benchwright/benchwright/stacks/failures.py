"""Why a change of a stack was refused, or failed, and what a person does about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import StackFailed, StackRefused, error_message
from benchwright.stacks.decision import (
    ONLY_TO_DELETE,
    ChangeSet,
    Desired,
    Stack,
    refused_changes,
    request_token,
    strangers,
    would_orphan,
)

# What CloudFormation says of the resources that it gave up because another one failed.
CANCELLED = re.compile(r"Resource (creation|update) cancelled")
TAKEN = re.compile(r"already exists|already scheduled for deletion")
KEPT = (
    "What exists may be what an earlier stack of this name kept when it was deleted: docs/operations.md (StackFailed) "
    "says how to keep its data, and how to give it up."
)
# What a resource fails with whose service cannot work with its service-linked role. Sources: answers of RDS and of AWS
# Backup that others met; of EFS, the state in which a mount target is that could not be made.
SERVICE_ROLES: Mapping[str, str] = {
    r"permission to create service linked role": "rds",
    r"AWSServiceRoleForBackup cannot be assumed": "backup",
    r"[Mm]ount target.* error": "elasticfilesystem",
}
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# What a person does about a stack that Benchwright leaves alone.
REMEDIES: Mapping[str, str] = {
    "CREATE_FAILED": "Roll it back, which removes what it made",
    "ROLLBACK_FAILED": "Its creation never ended, so what it left holds no data: delete that, and only then the stack, "
    "whose deletion alone would keep it and forget it",
    "DELETE_FAILED": "Someone deleted it, and what it left holds the data of the cluster. Finish the deletion, which "
    "keeps that, and import it into a new stack of this name, or give the cluster up",
    "UPDATE_ROLLBACK_FAILED": "Fix what its last events name, and continue its rollback",
    "UPDATE_FAILED": "Roll it back",
}


def guard(desired: Desired, changes: Iterable[Mapping[str, Any]]) -> StackRefused | None:
    """Refuse changes that would lose data."""
    refused = refused_changes(changes)
    if not refused:
        return None
    return StackRefused(
        f"The change of {desired.name} was refused, because it would lose data: {'; '.join(refused)}. "
        "Undo the change of the template or the parameter that causes it; nothing was changed."
    )


def refusal(desired: Desired, change_set: ChangeSet) -> StackFailed | None:
    """Say why CloudFormation could not make a change set; None where only the text of the template differs."""
    return None if any(text in change_set.reason for text in NO_CHANGES) else _describe_refusal(desired, change_set)


def _describe_refusal(desired: Desired, change_set: ChangeSet) -> StackFailed:
    """Say why CloudFormation could not make a change set.

    What its validation found, such as a name that is taken, is in no status: DescribeEvents alone shows it, as long as
    the change set is there, and knows it by its ARN only. Source: CloudFormation user guide, "Validate stack
    deployments", and the issue aws-cloudformation/cloudformation-cli#1116.
    """
    lines = [f"CloudFormation refused the change of {desired.name}: {change_set.reason}"]
    try:
        events = client("cloudformation").describe_events(ChangeSetName=change_set.arn, Filters={"FailedEvents": True})[
            "OperationEvents"
        ]
    except ClientError as error:  # what explains a failure must not hide it
        events = []
        lines.append(f"The findings of its validation cannot be read: {error_message(error)}")
    lines += [
        f"- {event.get('LogicalResourceId')} ({event.get('ResourceType')}): {event['ValidationStatusReason']}"
        for event in events
        if event.get("ValidationStatusReason") and event.get("ValidationFailureMode") != "WARN"
    ]
    if desired.protected and any(TAKEN.search(line) for line in lines):
        lines.append(KEPT)
    return StackFailed("\n".join(lines))


def belongs_to_another(desired: Desired, stack: Stack) -> StackRefused:
    """Say whose the stack is that has the name of ours."""
    application, cluster = strangers(stack, desired)[0]
    whose = "is not Benchwright's: it has no parameters Application and Cluster"
    if application and cluster:
        whose = f"is of the cluster {cluster} of the application {application}"
    return StackRefused(
        f"The stack {desired.name} {whose}. It was not touched. Name this cluster otherwise: the name of a stack is "
        "made of the application's and the cluster's."
    )


def needs_a_person(desired: Desired, stack: Stack) -> StackRefused:
    """Say what a person does about a stack that Benchwright leaves alone."""
    return StackRefused(
        f"The stack {desired.name} is {stack.status} ({stack.reason or 'no reason given'}), which needs a person. "
        f"{_remedy(stack)}"
    )


def stack_failure(desired: Desired, stack: Stack, change_set: ChangeSet | None = None) -> StackFailed:
    """Name the root event: the first failure since the last operation began, not the cancellations that it caused.

    change_set: what was executed, where that failed; if the newest operation is another one, it never began.
    """
    root = root_event(stack.arn, request_token(change_set.name, stack) if change_set else "")
    if root is None and change_set:
        return StackFailed(
            f"CloudFormation could not begin the change of {desired.name}: {change_set.reason or 'no reason given'}. "
            f"The stack is as it was before: {stack.status}. Fix what the reason names, often a permission of the role "
            "that CloudFormation assumes, and start again."
        )
    root = root or "no failed event was found; look at the stack's events"
    if stack.status in ONLY_TO_DELETE and not would_orphan(desired, stack):
        left = "Its creation was rolled back: the next execution removes what is left of it and starts again."
        if stack.status == "DELETE_FAILED":
            left = (
                "The next execution tries its deletion again. If that fails, too, delete by hand what the event names, "
                "and start again."
            )
        if desired.protected and TAKEN.search(root):
            left += f" {KEPT}"
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        left = "The change was rolled back: the stack is as it was before."
    else:
        left = _remedy(stack)
    return StackFailed("\n".join([f"The stack {desired.name} ended {stack.status}: {root}", left, *_about_role(root)]))


def _about_role(root: str) -> Iterable[str]:
    """Say which service-linked role may be what the failed resource lacked."""
    for text, service in SERVICE_ROLES.items():
        if re.search(text, root):
            name = f"{service}.amazonaws.com"
            yield (
                f"The service-linked role of {name} may be missing, or too new to work: start again after a minute. If "
                f"it fails again: aws iam create-service-linked-role --aws-service-name {name}"
            )


def _remedy(stack: Stack) -> str:
    """Say what a person does about a stack, and what it left."""
    what = REMEDIES.get(stack.status, "Fix it in the CloudFormation console, as its last events say")
    lines = [f"{what}; then start the execution again (docs/operations.md, StackRefused)."]
    return "\n".join([*lines, *(["What it left:"] if stack.left else []), *(f"- {line}" for line in stack.left)])


def root_event(arn: str, token: str = "") -> str | None:
    """Return the failure that began it all, as one sentence.

    That is the first failure of a resource. Without one, as where a person cancelled an update, it is the reason of the
    stack's own first event after the beginning; empty if there is none.
    token: of the operation in question, where it has one. None if the newest operation has another one, or none began.
    """
    failures: list[str] = []
    ends = ""
    for page in client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=arn):
        for event in page["StackEvents"]:  # newest first
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            is_stack = (
                event["ResourceType"] == "AWS::CloudFormation::Stack"
                and event.get("PhysicalResourceId") == event["StackId"]
            )
            if is_stack and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                is_ours = not token or event.get("ClientRequestToken", token) == token
                return (failures[-1] if failures else ends) if is_ours else None
            sentence = f"{event['LogicalResourceId']} ({event['ResourceType']}) is {status}: {reason}"
            if is_stack:
                ends = sentence if reason else ends
            elif status.endswith("_FAILED") and not CANCELLED.match(reason):
                failures.append(sentence)
    return failures[-1] if failures else None
