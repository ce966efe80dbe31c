"""The conversation with CloudFormation: one stack brought to what is wanted, by change sets, one action per call.

`decide` is pure: from what was observed of the stack to the next action. Change sets tell "nothing to do" apart, work
for creation and update alike, and show a replacement before it happens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from benchwright.errors import StackFailed, StackRefused, error_code, error_message
from benchwright.observability import client
from benchwright.settings import settings

# Stack states, from the CloudFormation user guide, "Stack status codes".
SETTLED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
NEVER_CREATED = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"})
FAILED_OUTCOMES = NEVER_CREATED | {
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_FAILED",
    "UPDATE_FAILED",
    "DELETE_FAILED",
}
# What may hold data, or what data is unreadable without: a change set that replaces or removes one of these is refused.
STATEFUL_TYPES = frozenset(
    {
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::RDS::DBSubnetGroup",
        "AWS::EFS::FileSystem",
        "AWS::EFS::AccessPoint",
        "AWS::KMS::Key",
        "AWS::SecretsManager::Secret",
    }
)
# What CloudFormation says of the resources that it gave up because another one failed.
CANCELLED = re.compile(r"Resource (creation|update) cancelled")
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Desired:
    """What a stack shall be: template text, parameters and tags. `tags` reach every resource."""

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool = False


@dataclass(frozen=True)
class Stack:
    """What a stack is."""

    status: str
    arn: str = ""
    last_event: str = ""
    template: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False
    reason: str = ""


@dataclass(frozen=True)
class ChangeSet:
    """A change set under the name that belongs to what is desired and to what was observed."""

    status: str
    execution_status: str = ""
    reason: str = ""
    changes: tuple[Mapping[str, Any], ...] = ()


Action = Literal["create change set", "execute", "discard", "delete stack", "protect", "wait", "done", "failed", "ask"]


def decide(stack: Stack | None, change_set: ChangeSet | None, desired: Desired, executed: bool) -> Action:
    """Decide the next action; `executed` tells that this execution already executed a change set on the stack."""
    if stack is None or stack.status in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS"):
        return _next_of(change_set)
    if stack.status.endswith("_IN_PROGRESS"):
        return "wait"
    if executed and stack.status in FAILED_OUTCOMES:
        return "failed"
    if stack.status in NEVER_CREATED:
        return "delete stack"  # it never held anything: what a failed creation made was removed with it
    if stack.status not in SETTLED:
        return "ask"
    # CloudFormation also lists the parameters that were left to the template's defaults.
    parameters_hold = desired.parameters.items() <= stack.parameters.items()
    if stack.template == desired.template and parameters_hold and stack.tags == desired.tags:
        return "protect" if desired.protected and not stack.protected else "done"
    return _next_of(change_set)


def _next_of(change_set: ChangeSet | None) -> Action:
    if change_set is None:
        return "create change set"
    if change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS") or change_set.execution_status.startswith(
        "EXECUTE_"
    ):
        return "wait"
    if change_set.status == "FAILED":
        return "discard"
    return "execute"


def refused_changes(changes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the changes that would lose something: replaced or removed stateful resources, regenerated secrets."""
    refused = []
    for change in (item["ResourceChange"] for item in changes if "ResourceChange" in item):
        name = f"{change['LogicalResourceId']} ({change['ResourceType']})"
        touched = {detail.get("Target", {}).get("Name") for detail in change.get("Details", [])}
        if change["ResourceType"] not in STATEFUL_TYPES:
            continue
        if change["Action"] == "Remove":
            refused.append(f"{name} would be removed")
        elif change.get("Replacement") in ("True", "Conditional"):
            refused.append(f"{name} would be replaced (Replacement: {change['Replacement']})")
        elif change["Action"] == "Modify" and "GenerateSecretString" in touched:
            refused.append(f"{name} would get a newly generated value")
    return refused


def observe(desired: Desired) -> tuple[Stack | None, ChangeSet | None, str]:
    """Look at the stack, and at the change set that belongs to this desire; return both and the change set's name."""
    stack = describe(desired.name)
    name = _change_set_name(desired, stack)
    return stack, _describe_change_set(desired.name, name) if stack else None, name


def describe(name: str) -> Stack | None:
    """Describe a stack; None when there is none."""
    cloudformation = client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    template = ""
    if found["StackStatus"] in SETTLED:
        body = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
        template = body if isinstance(body, str) else json.dumps(body)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return Stack(
        status=found["StackStatus"],
        arn=found["StackId"],
        last_event=events[0]["EventId"] if events else "",
        template=template,
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])},
        tags={item["Key"]: item["Value"] for item in found.get("Tags", [])},
        outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
        protected=found.get("EnableTerminationProtection", False),
        reason=found.get("StackStatusReason", ""),
    )


def outputs(name: str) -> dict[str, str]:
    """Return the outputs of a stack; empty when there is none, or none yet."""
    try:
        found = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if _is_missing(error):
            return {}
        raise
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def act(action: Action, desired: Desired, stack: Stack | None, change_set: ChangeSet | None, name: str) -> str:
    """Carry out one action; return what is waited for afterwards.

    Raises StackFailed or StackRefused where the outcome is final.
    """
    cloudformation = client("cloudformation")
    match action:
        case "create change set":
            creates = stack is None or stack.status in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
            _create_change_set(desired, name, "CREATE" if creates else "UPDATE")
            return f"CloudFormation: what would change in {desired.name}"
        case "execute" if change_set:
            if refused := refused_changes(change_set.changes):
                cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
                raise StackRefused(
                    f"The change of {desired.name} was refused, because it would lose data: {'; '.join(refused)}. "
                    "Undo the change of the template or the parameter that causes it; nothing was changed."
                )
            token = hashlib.sha256(f"{name} {stack.arn if stack else ''}".encode()).hexdigest()
            cloudformation.execute_change_set(StackName=desired.name, ChangeSetName=name, ClientRequestToken=token)
            return f"CloudFormation: {desired.name}, {len(change_set.changes)} changes"
        case "discard" if change_set:
            cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
            if any(text in change_set.reason for text in NO_CHANGES):  # only the text of the template differs
                return (
                    act("protect", desired, stack, None, name)
                    if desired.protected and stack and not stack.protected
                    else ""
                )
            raise StackFailed(f"CloudFormation refused the change of {desired.name}: {change_set.reason}")
        case "delete stack":
            cloudformation.delete_stack(StackName=desired.name, RoleARN=settings().cloudformation_role_arn)
            return f"CloudFormation: {desired.name} is removed after its failed creation"
        case "protect":
            cloudformation.update_termination_protection(StackName=desired.name, EnableTerminationProtection=True)
            return ""
        case "failed" if stack:
            raise describe_failure(desired.name, stack)
        case "ask" if stack:
            raise StackRefused(
                f"The stack {desired.name} is {stack.status} ({stack.reason or 'no reason given'}), which needs a "
                "person: "
                "open it in the CloudFormation console, continue its rollback or mend it, then start the "
                "execution again."
            )
        case _:
            return f"CloudFormation: {desired.name} is {stack.status if stack else 'being prepared'}"


def describe_failure(name: str, stack: Stack) -> StackFailed:
    """Name the root event: the first failure since the last operation began, not the cancellations that it caused."""
    if stack.status in NEVER_CREATED:
        left = "Its creation was rolled back: the next execution removes what is left of it and begins anew."
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        left = "The change was rolled back: the stack is as it was before."
    else:
        left = "CloudFormation gave up half-way: mend the stack in the console, as its last events say."
    return StackFailed(f"The stack {name} ended {stack.status}: {root_event(name)}\n{left}")


def root_event(name: str) -> str:
    """Return the failure that began it all, as one sentence."""
    failures: list[str] = []
    for page in client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=name):
        for event in page["StackEvents"]:  # newest first
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            begins = (
                event["ResourceType"] == "AWS::CloudFormation::Stack"
                and event.get("PhysicalResourceId") == event["StackId"]
            )
            if begins and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                return failures[-1] if failures else "no failed event was found; look at the stack's events"
            if status.endswith("_FAILED") and not begins and not CANCELLED.match(reason):
                failures.append(f"{event['LogicalResourceId']} ({event['ResourceType']}) is {status}: {reason}")
    return failures[-1] if failures else "no failed event was found; look at the stack's events"


def _change_set_name(desired: Desired, stack: Stack | None) -> str:
    """Name the change set by what is desired and by the stack's last event.

    So a retry finds the change set that it made, while a new attempt after a failure, which left new events, makes a
    new one.
    """
    predecessor = stack.last_event if stack and stack.status != "REVIEW_IN_PROGRESS" else ""
    content = json.dumps([desired.template, dict(desired.parameters), dict(desired.tags), predecessor], sort_keys=True)
    return f"benchwright-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def _describe_change_set(stack: str, name: str) -> ChangeSet | None:
    cloudformation = client("cloudformation")
    changes: list[Mapping[str, Any]] = []
    arguments = {"StackName": stack, "ChangeSetName": name}
    while True:
        try:
            page = cloudformation.describe_change_set(**arguments)
        except ClientError as error:
            if error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException"):
                return None
            raise
        changes += page.get("Changes", [])
        if not page.get("NextToken"):
            break
        arguments["NextToken"] = page["NextToken"]
    return ChangeSet(page["Status"], page.get("ExecutionStatus", ""), page.get("StatusReason", ""), tuple(changes))


def _is_missing(error: ClientError) -> bool:
    """Tell whether a stack does not exist, which is a ValidationError and no error of its own."""
    return error_code(error) == "ValidationError" and "does not exist" in error_message(error)


def _create_change_set(desired: Desired, name: str, kind: str) -> None:
    """Create the change set.

    Its name makes it unique. A token of our own could meet that of a deleted change set, or of a deleted stack, with
    the same content.
    """
    try:
        client("cloudformation").create_change_set(
            StackName=desired.name,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=desired.template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in desired.parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in desired.tags.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            RoleARN=settings().cloudformation_role_arn,
        )
    except ClientError as error:
        if error_code(error) != "AlreadyExistsException":  # a retry of this very call
            raise
