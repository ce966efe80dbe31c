"""The conversation with CloudFormation: one stack brought to what is wanted, by change sets, one action per call.

`next_action` is pure: from what was observed of the stack to the next action. Change sets show that there is nothing to
do, work for creation and update alike, and show a replacement before it happens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from benchwright import bucket
from benchwright.aws import client
from benchwright.errors import BenchwrightError, StackFailed, StackRefused, TransientError, error_code, error_message
from benchwright.settings import settings

# Stack states, from the CloudFormation user guide, "Stack status codes".
SETTLED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
# CloudFormation takes no change of a stack in one of these: it can only be deleted.
ONLY_TO_DELETE = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"})
FAILED_OUTCOMES = ONLY_TO_DELETE | {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"}
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
OUR_CHANGE_SETS = "benchwright-"
BEING_COMPUTED = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
BEING_EXECUTED = ("EXECUTE_PENDING", "EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE")
BEING_DELETED = ("DELETE_PENDING", "DELETE_IN_PROGRESS")
ABSENT = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
DELETION = "deletion"
"""In place of a change set's name, where an execution deleted the stack."""
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


@dataclass(frozen=True)
class Desired:
    """What a stack must be: template text, parameters and tags. `tags` reach every resource.

    protected: it holds data, so every resource of it stays when the stack is deleted.
    """

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool = False


@dataclass(frozen=True)
class Stack:
    """What a stack is.

    changed: when it was last updated, or created (ISO 8601). reviewed: of one that was not created yet, and has no
    parameters, those of each change set that could create it. left: of one that can only be deleted, each resource that
    is still there: its name, type, id, and why.
    """

    status: str
    arn: str = ""
    changed: str = ""
    template: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False
    reason: str = ""
    reviewed: tuple[Mapping[str, str], ...] = ()
    left: tuple[str, ...] = ()

    @property
    def changed_at(self) -> datetime:
        """`changed` as a time."""
        return datetime.fromisoformat(self.changed)

    @property
    def is_changing(self) -> bool:
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status not in ABSENT


@dataclass(frozen=True)
class ChangeSet:
    """A change set: the one that this execution executed, or the one that leads to what is desired."""

    name: str
    status: str
    execution_status: str = ""
    reason: str = ""
    changes: tuple[Mapping[str, Any], ...] = ()
    arn: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


Action = Literal[
    "create change set",
    "execute",
    "discard",
    "discard unused",
    "delete stack",
    "cancel update",
    "protect",
    "wait",
    "done",
    "failed",
    "leave to a person",
    "refuse",
]


def next_action(stack: Stack | None, change_set: ChangeSet | None, desired: Desired, begun: str = "") -> Action:
    """Decide the next action.

    begun: the name of the change set that this execution executed last, or DELETION where it deleted the stack. That
    change set alone says whether its execution failed: the stack keeps its old state, which can be that of an earlier
    failure, until the execution has really begun.
    """
    if stack and _strangers(stack, desired):
        return "refuse"
    if stack and stack.is_changing:
        return "wait"
    if change_set and change_set.name == begun:
        ended: Mapping[str, Action] = {"EXECUTE_FAILED": "failed", "OBSOLETE": "discard unused"}
        return ended.get(change_set.execution_status, "wait")
    if stack is None or stack.status in ABSENT:
        return _next_of(change_set)
    if begun and stack.status in ({"DELETE_FAILED"} if begun == DELETION else FAILED_OUTCOMES):
        return "failed"
    if stack.status in ONLY_TO_DELETE:
        return "leave to a person" if _would_orphan(desired, stack) else "delete stack"
    if stack.status not in SETTLED:
        return "leave to a person"
    if _is(stack, desired):
        return "protect" if desired.protected and not stack.protected else "done"
    return _next_of(change_set)


def _is(stack: Stack, desired: Desired) -> bool:
    is_template = stack.template == _as_given_back(desired.template)
    return is_template and has_parameters(stack, desired) and stack.tags == desired.tags


def lacks_protection_alone(stack: Stack | None, desired: Desired) -> bool:
    """Return whether all that a stack lacks is that its data, or its load balancer, cannot be deleted."""
    if stack is None or desired.parameters.get("DeletionProtection") != "true":
        return False
    return _is(stack, replace(desired, parameters={**desired.parameters, "DeletionProtection": "false"}))


def _as_given_back(template: str) -> str:
    """Return a template as GetTemplate answers it: with a question mark for each character beyond ASCII.

    Source: `mangleLikeCloudFormation` in aws/aws-cdk-cli.
    """
    return re.sub(r"[^\x00-\x7f]", "?", template)


def has_parameters(stack: Stack, desired: Desired) -> bool:
    """Return whether CloudFormation lists the desired parameters, apart from those with the template's defaults.

    No page says whether it lists the new ones while an update is in progress.
    """
    return desired.parameters.items() <= stack.parameters.items()


def _owner(parameters: Mapping[str, str]) -> tuple[str, str]:
    """Whose stack it is. Names alone do not say: cluster `b-c` of `a` and cluster `c` of `a-b` have the same."""
    return parameters.get("Application", ""), parameters.get("Cluster", "")


def _strangers(stack: Stack, desired: Desired) -> list[tuple[str, str]]:
    """List the other owners of the stack, or of the change sets that could create it."""
    found = {"DELETE_COMPLETE": (), "REVIEW_IN_PROGRESS": stack.reviewed}.get(stack.status, (stack.parameters,))
    return [owner for owner in map(_owner, found) if owner != _owner(desired.parameters)]


def _would_orphan(desired: Desired, stack: Stack) -> bool:
    """Return whether a deletion of the stack would keep something that nothing knows of any more.

    RetainExceptOnCreate removes when a creation is rolled back; on every deletion of a stack it retains, also after a
    rollback that failed. Source: CloudFormation template reference, "DeletionPolicy attribute".
    """
    return desired.protected and bool(stack.left)


def _next_of(change_set: ChangeSet | None) -> Action:
    if change_set is None:
        return "create change set"
    if change_set.status == "FAILED":
        return "discard"
    if change_set.execution_status == "AVAILABLE":
        return "execute"
    if change_set.status in BEING_COMPUTED + BEING_DELETED or change_set.execution_status in BEING_EXECUTED:
        return "wait"
    # An earlier execution failed, another change of the stack overtook it, or it could not be deleted. The next one has
    # the same name.
    return "discard unused"


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


def find_change_set(desired: Desired, stack: Stack | None, begun: str) -> tuple[ChangeSet | None, str]:
    """Look for the change set that counts now, and return it with its name.

    That is the one that this execution executed last, `begun`, until its execution is complete; otherwise the one that
    leads from the stack as it is to what is desired. None counts while the stack changes.
    """
    if stack and stack.is_changing:
        return None, begun
    if stack and begun not in ("", DELETION):
        executed = describe_change_set(stack.arn, begun)
        if executed and executed.execution_status != "EXECUTE_COMPLETE":
            return executed, begun
    name = _change_set_name(desired, stack)
    return describe_change_set(stack.arn, name) if stack else None, name


def describe(name: str) -> Stack | None:
    """Describe a stack; None when there is none."""
    cloudformation = client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    template, arn = "", found["StackId"]  # by its name alone, a stack whose deletion ends meanwhile is an error
    if found["StackStatus"] in SETTLED:
        body = cloudformation.get_template(StackName=arn, TemplateStage="Original")["TemplateBody"]
        template = body if isinstance(body, str) else json.dumps(body)
    return Stack(
        status=found["StackStatus"],
        arn=arn,
        changed=str(found.get("LastUpdatedTime") or found["CreationTime"]),
        template=template,
        parameters=_parameters(found),
        tags={item["Key"]: item["Value"] for item in found.get("Tags", [])},
        outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
        protected=found.get("EnableTerminationProtection", False),
        reason=found.get("StackStatusReason", ""),
        reviewed=_reviewed(arn) if found["StackStatus"] == "REVIEW_IN_PROGRESS" else (),
        left=_left(arn) if found["StackStatus"] in ONLY_TO_DELETE else (),
    )


def _reviewed(arn: str) -> tuple[Mapping[str, str], ...]:
    """Return the parameters of each change set of the stack that was computed."""
    pages = client("cloudformation").get_paginator("list_change_sets").paginate(StackName=arn)
    try:
        listed = [found for page in pages for found in page["Summaries"] if found["Status"] == "CREATE_COMPLETE"]
    except ClientError as error:
        if _is_missing(error):
            return ()
        raise
    described = [describe_change_set(arn, found["ChangeSetName"]) for found in listed]
    return tuple(change_set.parameters for change_set in described if change_set)


def _left(arn: str) -> tuple[str, ...]:
    """Say what of a stack is still there. DescribeStackResources lists the first 100, and a stack has at most 40."""
    resources = client("cloudformation").describe_stack_resources(StackName=arn)["StackResources"]
    return tuple(
        f"{found['LogicalResourceId']} ({found['ResourceType']}) {found['PhysicalResourceId']} is "
        f"{found['ResourceStatus']}{f': {reason}' if (reason := found.get('ResourceStatusReason')) else ''}"
        for found in resources
        if found["ResourceStatus"] != "DELETE_COMPLETE" and found.get("PhysicalResourceId")
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
            creates = stack is None or stack.status in ABSENT
            create_change_set(desired, name, "CREATE" if creates else "UPDATE")
            return f"CloudFormation: what would change in {desired.name}"
        case "execute" if change_set:
            _execute(desired, stack, change_set)
            count = len(change_set.changes)
            return f"CloudFormation: {desired.name}, {count} change{'' if count == 1 else 's'}"
        case "discard unused":
            cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
            return f"CloudFormation: a new change set of {desired.name}"
        case "discard" if change_set:
            refused = refusal(desired, change_set)
            cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
            if refused:
                raise refused
            unprotected = desired.protected and stack and not stack.protected
            return act("protect" if unprotected else "done", desired, stack, None, name)
        case "delete stack":
            cloudformation.delete_stack(StackName=desired.name, RoleARN=settings().cloudformation_role_arn)
            return f"CloudFormation: {desired.name} is deleted, and then created again"
        case "cancel update":
            _cancel_update(desired.name)
            return f"CloudFormation: {desired.name} is returned to what it was before, and then changed"
        case "protect":
            cloudformation.update_termination_protection(StackName=desired.name, EnableTerminationProtection=True)
            return act("done", desired, stack, None, name)
        case "done":
            _delete_unneeded_change_sets(desired.name)
            return ""
        case "refuse" | "failed" | "leave to a person" if stack:
            raise _final_error(action, desired, stack, change_set)
        case _:
            return f"CloudFormation: {desired.name} is {stack.status if stack else 'being prepared'}"


def _final_error(action: Action, desired: Desired, stack: Stack, change_set: ChangeSet | None) -> BenchwrightError:
    if action == "failed":
        return stack_failure(desired, _as_it_ended(stack) if change_set else stack, change_set)
    if action == "refuse":
        return StackRefused(_describe_stranger(desired, stack))
    return StackRefused(
        f"The stack {desired.name} is {stack.status} ({stack.reason or 'no reason given'}), which needs a person. "
        f"{_remedy(stack)}"
    )


def _as_it_ended(stack: Stack) -> Stack:
    """Describe a stack again, since its change may have ended after it was described."""
    stack = describe(stack.arn) or stack
    if stack.is_changing:
        raise TransientError(f"The stack {stack.arn} is {stack.status}; it is looked at again.")
    return stack


def _cancel_update(name: str) -> None:
    try:
        client("cloudformation").cancel_update_stack(StackName=name)
    except ClientError as error:
        if error_code(error) != "ValidationError":  # the update ended meanwhile
            raise


def refusal(desired: Desired, change_set: ChangeSet) -> StackFailed | None:
    """Say why CloudFormation could not make a change set; None where only the text of the template differs."""
    return None if any(text in change_set.reason for text in NO_CHANGES) else _describe_refusal(desired, change_set)


def guard(desired: Desired, changes: Iterable[Mapping[str, Any]]) -> StackRefused | None:
    """Refuse changes that would lose data."""
    refused = refused_changes(changes)
    if not refused:
        return None
    return StackRefused(
        f"The change of {desired.name} was refused, because it would lose data: {'; '.join(refused)}. "
        "Undo the change of the template or the parameter that causes it; nothing was changed."
    )


def _execute(desired: Desired, stack: Stack | None, change_set: ChangeSet) -> None:
    cloudformation, name = client("cloudformation"), change_set.name
    if refused := guard(desired, change_set.changes):
        cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
        raise refused
    cloudformation.execute_change_set(
        StackName=desired.name, ChangeSetName=name, ClientRequestToken=_token(name, stack)
    )


def _describe_stranger(desired: Desired, stack: Stack) -> str:
    """Say whose the stack is that has the name of ours."""
    application, cluster = _strangers(stack, desired)[0]
    whose = "is not Benchwright's: it has no parameters Application and Cluster"
    if application and cluster:
        whose = f"is of the cluster {cluster} of the application {application}"
    return (
        f"The stack {desired.name} {whose}. It was not touched. Name this cluster otherwise: the name of a stack is "
        "made of the application's and the cluster's."
    )


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


def stack_failure(desired: Desired, stack: Stack, change_set: ChangeSet | None = None) -> StackFailed:
    """Name the root event: the first failure since the last operation began, not the cancellations that it caused.

    change_set: what was executed, where that failed; if the newest operation is another one, it never began.
    """
    root = root_event(stack.arn, _token(change_set.name, stack) if change_set else "")
    if root is None and change_set:
        return StackFailed(
            f"CloudFormation could not begin the change of {desired.name}: {change_set.reason or 'no reason given'}. "
            f"The stack is as it was before: {stack.status}. Fix what the reason names, often a permission of the role "
            "that CloudFormation assumes, and start again."
        )
    root = root or "no failed event was found; look at the stack's events"
    if stack.status in ONLY_TO_DELETE and not _would_orphan(desired, stack):
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


def _token(change_set: str, stack: Stack | None) -> str:
    """Return the token by which CloudFormation recognises a repeated execution, and which it notes in the events."""
    return hashlib.sha256(f"{change_set} {stack.arn if stack else ''}".encode()).hexdigest()


def _change_set_name(desired: Desired, stack: Stack | None) -> str:
    """Name the change set by what is desired and by the stack as it is.

    So a retry finds the change set that it made, while a new attempt after a failure, which changed the stack's time or
    status, makes a new one. Events do not count: a hook of the account adds some at any time.
    """
    predecessor = [stack.arn, stack.changed, stack.status] if stack and stack.status not in ABSENT else []
    content = json.dumps([desired.template, dict(desired.parameters), dict(desired.tags), predecessor], sort_keys=True)
    return f"{OUR_CHANGE_SETS}{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def describe_change_set(stack: str, name: str) -> ChangeSet | None:
    """Describe a change set with all its changes; None where there is none."""
    cloudformation = client("cloudformation")
    changes: list[Mapping[str, Any]] = []
    token: Any = {}
    while True:
        try:
            page = cloudformation.describe_change_set(StackName=stack, ChangeSetName=name, **token)
        except ClientError as error:
            if error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException") or _is_missing(error):
                return None
            raise
        changes += page.get("Changes", [])
        if not page.get("NextToken"):
            break
        token = {"NextToken": page["NextToken"]}
    return ChangeSet(
        name,
        page["Status"],
        page.get("ExecutionStatus", ""),
        page.get("StatusReason", ""),
        tuple(changes),
        page.get("ChangeSetId", ""),
        _parameters(page),
    )


def _parameters(described: Mapping[str, Any]) -> dict[str, str]:
    return {item["ParameterKey"]: item.get("ParameterValue", "") for item in described.get("Parameters", [])}


def _delete_unneeded_change_sets(stack: str) -> None:
    """Delete the change sets of executions that ended between making and executing one.

    A person could execute them by mistake. Called where a stack is as it must be: executing one of them deletes the
    others.
    """
    cloudformation = client("cloudformation")
    for page in cloudformation.get_paginator("list_change_sets").paginate(StackName=stack):
        for found in page["Summaries"]:
            name = found["ChangeSetName"]
            if not name.startswith(OUR_CHANGE_SETS) or found["ExecutionStatus"].startswith("EXECUTE_"):
                continue
            if found["Status"] in BEING_COMPUTED:  # CloudFormation would refuse
                raise TransientError(f"CloudFormation still computes the change set {name} of an earlier execution")
            cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)


def _is_missing(error: ClientError) -> bool:
    """Return whether a stack does not exist, which is a ValidationError and no error of its own."""
    return error_code(error) == "ValidationError" and "does not exist" in error_message(error)


def _uploaded(desired: Desired) -> str:
    """Store the template in the bucket, where it may be as long as CloudFormation allows; return its address.

    The address names the version: CloudFormation makes what is written here, not what someone writes there meanwhile.
    """
    content = desired.template.encode()
    key = f"templates/{desired.name}/{hashlib.sha256(content).hexdigest()}.yaml"
    return bucket.url(key, bucket.write(key, content))


def create_change_set(desired: Desired, name: str, kind: Literal["CREATE", "UPDATE"], *, uploads: bool = True) -> None:
    """Create the change set.

    Its name makes it unique. A token of our own could meet that of a deleted change set, or of a deleted stack, with
    the same content. uploads: whether the template goes into the bucket, and not with the request.
    """
    template: Any = {"TemplateURL": _uploaded(desired)} if uploads else {"TemplateBody": desired.template}
    try:
        client("cloudformation").create_change_set(
            StackName=desired.name,
            ChangeSetName=name,
            ChangeSetType=kind,
            **template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in desired.parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in desired.tags.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            RoleARN=settings().cloudformation_role_arn,
        )
    except ClientError as error:
        if error_code(error) != "AlreadyExistsException":  # a retry of this very call
            raise
