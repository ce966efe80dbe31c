"""The conversation with CloudFormation: one stack brought to what is wanted, by change sets, one action per call.

Change sets show that there is nothing to do, work for creation and update alike, and show a replacement before it
happens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from botocore.exceptions import ClientError

from benchwright import bucket
from benchwright.aws import client
from benchwright.errors import BenchwrightError, TransientError, error_code, error_message
from benchwright.settings import settings
from benchwright.stacks import failures
from benchwright.stacks.decision import (
    ABSENT,
    BEING_COMPUTED,
    DELETION,
    ONLY_TO_DELETE,
    SETTLED,
    Action,
    ChangeSet,
    Desired,
    Stack,
    request_token,
)

OUR_CHANGE_SETS = "benchwright-"


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
            refused = failures.refusal(desired, change_set)
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
        return failures.stack_failure(desired, _as_it_ended(stack) if change_set else stack, change_set)
    if action == "refuse":
        return failures.belongs_to_another(desired, stack)
    return failures.needs_a_person(desired, stack)


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


def _execute(desired: Desired, stack: Stack | None, change_set: ChangeSet) -> None:
    cloudformation, name = client("cloudformation"), change_set.name
    if refused := failures.guard(desired, change_set.changes):
        cloudformation.delete_change_set(StackName=desired.name, ChangeSetName=name)
        raise refused
    cloudformation.execute_change_set(
        StackName=desired.name, ChangeSetName=name, ClientRequestToken=request_token(name, stack)
    )


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
