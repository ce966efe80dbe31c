"""What CloudFormation remembers: stacks, their resources and events, and change sets."""

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .parameters import Parameter
from .templates import Template

STACK = "AWS::CloudFormation::Stack"

DEFAULT_POLICIES = {"AWS::RDS::DBCluster": "Snapshot"}
"""DeletionPolicy where a template has none, Delete for the others (user guide, "DeletionPolicy attribute")."""


@dataclass(frozen=True)
class Deployment:
    """What a stack is, or is to become: a template with its parameters and tags."""

    template: Template
    parameters: Mapping[str, Parameter]
    tags: Mapping[str, str]
    capabilities: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What `Ref` of each parameter answers."""
        return {name: parameter.value for name, parameter in self.parameters.items()}


@dataclass
class Resource:
    """One resource of a stack, as it was last created or updated."""

    logical_id: str
    type: str
    definition: Mapping[str, Any]
    dependencies: frozenset[str]
    physical_id: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str | None = None
    timestamp: datetime | None = None

    def policy(self, attribute: str) -> str:
        """The resource's DeletionPolicy or UpdateReplacePolicy."""
        default = DEFAULT_POLICIES.get(self.type, "Delete") if attribute == "DeletionPolicy" else "Delete"
        if self.type == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in self.properties:
            default = "Snapshot" if attribute == "DeletionPolicy" else default
        return str(self.definition.get(attribute, default))


@dataclass(frozen=True)
class Event:
    """One line of a stack's history."""

    stack_id: str
    stack_name: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    timestamp: datetime
    reason: str | None = None
    token: str | None = None
    properties: str | None = None
    hook: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def shown(self) -> dict[str, Any]:
        """The event as DescribeStackEvents shows it."""
        return {
            "StackId": self.stack_id,
            "EventId": self.id,
            "StackName": self.stack_name,
            "LogicalResourceId": self.logical_id,
            "PhysicalResourceId": self.physical_id,
            "ResourceType": self.type,
            "Timestamp": self.timestamp,
            "ResourceStatus": self.status,
            "ResourceStatusReason": self.reason,
            "ResourceProperties": self.properties,
            "ClientRequestToken": self.token,
            "HookType": self.hook,
            "HookStatus": "HOOK_COMPLETE_SUCCEEDED" if self.hook else None,
        }


@dataclass
class Stack:
    """A stack, also one that is deleted: that can still be asked for by its id."""

    id: str
    name: str
    created: datetime
    status: str
    reason: str | None = None
    updated: datetime | None = None
    deleted: datetime | None = None
    deployment: Deployment | None = None
    """What the stack last became; None until its creation began."""
    resources: dict[str, Resource] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    change_sets: list["ChangeSet"] = field(default_factory=list)
    role_arn: str | None = None
    caller_role: str | None = None
    """The role of who began the last operation, whose keys are used when the stack has no service role."""
    token: str | None = None
    termination_protection: bool = False
    disable_rollback: bool = False
    retain_except_on_create: bool = False
    parent_id: str | None = None
    root_id: str | None = None
    unfinished: list["Undo"] = field(default_factory=list)
    """What a failed rollback left to do, for ContinueUpdateRollback."""
    operation: threading.Thread | None = None

    @property
    def reported(self) -> list[Resource]:
        """The resources that its events have named: others are just being begun, by threads of their own."""
        return [resource for resource in list(self.resources.values()) if resource.status]

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass
class Undo:
    """How an update's rollback returns one resource to what it was (None: the update created it)."""

    logical_id: str
    before: Resource | None
    after: Resource
    called: bool = True
    """Whether the resource was really touched; a cancelled update may not have been."""


@dataclass
class ChangeSet:
    """A change set and, once it is computed, its changes."""

    id: str
    name: str
    stack: Stack
    type: str
    created: datetime
    wanted: Deployment
    role_arn: str | None
    token: str | None
    description: str | None = None
    on_failure: str | None = None
    status: str = "CREATE_PENDING"
    execution_status: str = "UNAVAILABLE"
    reason: str | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    """Failed validations, for DescribeEvents."""
