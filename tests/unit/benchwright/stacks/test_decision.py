"""From what was observed of a stack to the next action, and which changes are refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.stacks.decision import DELETION, ChangeSet, Desired, Stack, next_action, refused_changes

DESIRED = Desired("s", "template", {"a": "1"}, {"t": "v"}, protected=True)


def change_set(execution_status: str, status: str = "CREATE_COMPLETE", name: str = "next") -> ChangeSet:
    return ChangeSet(name, status, execution_status)


READY = change_set("AVAILABLE")


def stack(status: str, **changed: Any) -> Stack:
    values: dict[str, Any] = {"template": "template", "parameters": {"a": "1"}, "tags": {"t": "v"}, "protected": True}
    return Stack(status, "arn", "2026-01-01", **(values | changed))


@pytest.mark.parametrize(
    ("found", "change_set", "begun", "action"),
    [
        (None, None, "", "create change set"),
        (stack("DELETE_COMPLETE"), None, "", "create change set"),
        (stack("DELETE_COMPLETE"), None, DELETION, "create change set"),
        (stack("REVIEW_IN_PROGRESS"), None, "", "create change set"),
        (stack("REVIEW_IN_PROGRESS"), change_set("UNAVAILABLE", "CREATE_IN_PROGRESS"), "", "wait"),
        (stack("REVIEW_IN_PROGRESS"), READY, "", "execute"),
        (stack("REVIEW_IN_PROGRESS"), READY, "next", "wait"),  # executed, and CloudFormation does not say so yet
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_IN_PROGRESS"), "next", "wait"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_IN_PROGRESS"), "", "wait"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_FAILED"), "next", "failed"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_FAILED"), "", "discard unused"),
        (stack("CREATE_IN_PROGRESS"), None, "one", "wait"),
        (stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), None, "one", "wait"),
        (stack("CREATE_COMPLETE"), None, "one", "done"),
        (stack("CREATE_COMPLETE"), change_set("EXECUTE_COMPLETE", name="one"), "one", "wait"),  # it is about to change
        (stack("CREATE_COMPLETE", protected=False), None, "one", "protect"),
        (stack("CREATE_COMPLETE", parameters={"a": "1", "left to its default": "x"}), None, "", "done"),
        (stack("CREATE_COMPLETE", template="other"), None, "", "create change set"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), READY, "", "execute"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), READY, "one", "execute"),  # the first one is complete
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("OBSOLETE"), "", "discard unused"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE"), "", "discard unused"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("EXECUTE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("EXECUTE_COMPLETE"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "CREATE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "DELETE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "DELETE_IN_PROGRESS"), "", "wait"),
        (
            stack("CREATE_COMPLETE", parameters={"a": "2"}),
            change_set("UNAVAILABLE", "DELETE_FAILED"),
            "",
            "discard unused",
        ),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("OBSOLETE", name="one"), "one", "discard unused"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("OBSOLETE", name="one"), "one", "discard unused"),
        (stack("UPDATE_COMPLETE", tags={}), change_set("UNAVAILABLE", "FAILED"), "", "discard"),
        (stack("ROLLBACK_IN_PROGRESS"), None, "one", "wait"),
        (stack("ROLLBACK_COMPLETE"), None, "one", "failed"),
        (stack("ROLLBACK_COMPLETE"), change_set("EXECUTE_FAILED", name="one"), "one", "failed"),
        (stack("ROLLBACK_COMPLETE"), None, "", "delete stack"),
        (stack("ROLLBACK_COMPLETE"), None, DELETION, "delete stack"),  # CloudFormation has not begun with it
        (stack("UPDATE_ROLLBACK_COMPLETE"), None, "one", "failed"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("EXECUTE_FAILED", name="one"), "one", "failed"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("EXECUTE_IN_PROGRESS", name="one"), "one", "wait"),
        (stack("UPDATE_ROLLBACK_COMPLETE", template="other"), None, "", "create change set"),
        (stack("UPDATE_ROLLBACK_COMPLETE", template="other"), change_set("EXECUTE_FAILED"), "", "discard unused"),
        (stack("UPDATE_ROLLBACK_FAILED"), None, "", "leave to a person"),
        (stack("UPDATE_FAILED"), None, "", "leave to a person"),
        (stack("CREATE_COMPLETE", parameters={"a": "1", "Application": "other"}), None, "", "refuse"),
        (stack("UPDATE_IN_PROGRESS", parameters={"a": "1", "Cluster": "other"}), READY, "", "refuse"),
        (stack("ROLLBACK_COMPLETE", parameters={"Application": "other"}), None, "", "refuse"),
        (
            stack("REVIEW_IN_PROGRESS", parameters={}, reviewed=({}, {"Application": "other"})),
            READY,
            "",
            "refuse",
        ),
        (stack("REVIEW_IN_PROGRESS", parameters={}, reviewed=({"a": "2"},)), READY, "", "execute"),
    ],
)
def test_the_next_action_follows_from_the_stack_and_its_change_set(
    found: Stack | None, change_set: ChangeSet | None, begun: str, action: str
) -> None:
    assert next_action(found, change_set, DESIRED, begun) == action


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"])
@pytest.mark.parametrize(
    ("protected", "left", "begun", "action"),
    [
        (True, (), "", "delete stack"),
        (True, ("Secret",), "", "leave to a person"),
        (False, ("Group",), "", "delete stack"),
        (False, ("Group",), "one", "failed"),
        (True, ("Secret",), "one", "failed"),
    ],
)
def test_a_stack_is_not_deleted_where_that_would_orphan_what_it_left(
    status: str, protected: bool, left: tuple[str, ...], begun: str, action: str
) -> None:
    wanted = Desired("s", "template", {"a": "1"}, {"t": "v"}, protected=protected)
    assert next_action(stack(status, left=left), None, wanted, begun) == action


def change(action: str, resource_type: str, replacement: str = "False", target: str = "") -> Mapping[str, Any]:
    return {
        "ResourceChange": {
            "Action": action,
            "LogicalResourceId": "R",
            "ResourceType": resource_type,
            "Replacement": replacement,
            "Details": [{"Target": {"Attribute": "Properties", "Name": target}}],
        }
    }


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        (change("Add", "AWS::RDS::DBCluster"), []),
        (change("Modify", "AWS::RDS::DBCluster"), []),
        (
            change("Modify", "AWS::RDS::DBCluster", "True"),
            ["R (AWS::RDS::DBCluster) would be replaced (Replacement: True)"],
        ),
        (
            change("Modify", "AWS::EFS::FileSystem", "Conditional"),
            ["R (AWS::EFS::FileSystem) would be replaced (Replacement: Conditional)"],
        ),
        (change("Remove", "AWS::KMS::Key"), ["R (AWS::KMS::Key) would be removed"]),
        (change("Remove", "AWS::EC2::SecurityGroup"), []),
        (change("Modify", "AWS::AutoScaling::AutoScalingGroup", "True"), []),
        (
            change("Modify", "AWS::SecretsManager::Secret", target="GenerateSecretString"),
            ["R (AWS::SecretsManager::Secret) would get a newly generated value"],
        ),
        (change("Modify", "AWS::SecretsManager::Secret", target="Description"), []),
    ],
)
def test_a_change_that_loses_something_is_refused(item: Mapping[str, Any], refused: list[str]) -> None:
    assert refused_changes([item]) == refused
