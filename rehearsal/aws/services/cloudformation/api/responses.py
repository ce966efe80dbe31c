"""How the API shows stacks, resources and change sets, and how it cuts lists into pages."""

import uuid
from collections.abc import Sequence
from typing import Any

from rehearsal.aws.calls import Call

from ..errors import ValidationError
from ..model import ChangeSet, Resource, Stack


class Pages:
    """Lists in pages; a token keeps the list as it was when its first page was asked for."""

    def __init__(self) -> None:
        self._listed: dict[str, tuple[Sequence[Any], int]] = {}

    def page(self, call: Call, key: str, items: Sequence[Any], size: int = 100) -> dict[str, Any]:
        """The page that a request asks for, under its key, and the token of the next one."""
        start = 0
        if call.get("NextToken"):
            if call["NextToken"] not in self._listed:
                raise ValidationError(f"The token {call['NextToken']} is invalid")
            items, start = self._listed.pop(call["NextToken"])
        shown = {key: items[start : start + size]}
        if start + size >= len(items):
            return shown
        token = str(uuid.uuid4())
        self._listed[token] = (items, start + size)
        return {**shown, "NextToken": token}


def shown_stack(stack: Stack) -> dict[str, Any]:
    """A stack as DescribeStacks shows it."""
    current = stack.deployment
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": description(stack),
        "Parameters": [parameter.shown(name) for name, parameter in current.parameters.items()] if current else [],
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.disable_rollback,
        "RetainExceptOnCreate": stack.retain_except_on_create,
        "Capabilities": list(current.capabilities) if current else [],
        "Outputs": stack.outputs or None,
        "RoleARN": stack.role_arn,
        "Tags": [{"Key": key, "Value": value} for key, value in current.tags.items()] if current else [],
        "EnableTerminationProtection": stack.termination_protection,
        "ParentId": stack.parent_id,
        "RootId": stack.root_id,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def shown_change_set(change_set: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": change_set.stack.id,
        "StackName": change_set.stack.name,
        "Description": change_set.description,
        "CreationTime": change_set.created,
        "ExecutionStatus": change_set.execution_status,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
        "IncludeNestedStacks": False,
    }


def shown_resource(stack: Stack, resource: Resource) -> dict[str, Any]:
    return {
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id or None,
        "ResourceType": resource.type,
        "Timestamp": resource.timestamp,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def description(stack: Stack) -> str | None:
    return stack.deployment.template.processed.get("Description") if stack.deployment else None
