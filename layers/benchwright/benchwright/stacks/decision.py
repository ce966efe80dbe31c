"""What a stack needs next: from what was observed of it to the next action. Nothing here calls AWS."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

# Stack states, from the CloudFormation user guide, "Stack status codes".
SETTLED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
# CloudFormation takes no change of a stack in one of these: it can only be deleted.
DELETED_IN_PART = frozenset({"ROLLBACK_FAILED", "DELETE_FAILED"})
ONLY_TO_DELETE = DELETED_IN_PART | {"ROLLBACK_COMPLETE", "CREATE_FAILED"}
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
BEING_COMPUTED = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
BEING_EXECUTED = ("EXECUTE_PENDING", "EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE")
BEING_DELETED = ("DELETE_PENDING", "DELETE_IN_PROGRESS")
ABSENT = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
DELETION = "deletion"
"""In place of a change set's name, where an execution deleted the stack."""


class Desired(NamedTuple):
    """What a stack must be: template text, parameters and tags. `tags` reach every resource.

    protected: it holds data, so every resource of it stays when the stack is deleted.
    """

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    protected: bool = False


class Stack(NamedTuple):
    """What a stack is.

    changed: when it was last updated, or created (ISO 8601). reviewed: of one that was not created yet, and has no
    parameters, those of each change set that could create it. left: of one that can only be deleted, each resource that
    is still there: its name, type, id, and why.
    """

    status: str
    arn: str = ""
    changed: str = ""
    template: str = ""
    parameters: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    outputs: Mapping[str, str] = {}
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


class ChangeSet(NamedTuple):
    """A change set: the one that this execution executed, or the one that leads to what is desired."""

    name: str
    status: str
    execution_status: str = ""
    reason: str = ""
    changes: tuple[Mapping[str, Any], ...] = ()
    arn: str = ""
    parameters: Mapping[str, str] = {}


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
    if stack and strangers(stack, desired):
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
        return "leave to a person" if would_orphan(desired, stack) else "delete stack"
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
    return _is(stack, desired._replace(parameters={**desired.parameters, "DeletionProtection": "false"}))


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


def strangers(stack: Stack, desired: Desired) -> list[tuple[str, str]]:
    """List the other owners of the stack, or of the change sets that could create it."""
    found = {"DELETE_COMPLETE": (), "REVIEW_IN_PROGRESS": stack.reviewed}.get(stack.status, (stack.parameters,))
    return [owner for owner in map(_owner, found) if owner != _owner(desired.parameters)]


def would_orphan(desired: Desired, stack: Stack) -> bool:
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


def request_token(change_set: str, stack: Stack | None) -> str:
    """Return the token by which CloudFormation recognises a repeated execution, and which it notes in the events."""
    return hashlib.sha256(f"{change_set} {stack.arn if stack else ''}".encode()).hexdigest()
