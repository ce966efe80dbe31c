"""Why a change of a stack was refused, or failed: what is said of it."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from benchwright.stacks import failures
from benchwright.stacks.decision import ChangeSet, Desired, Stack, request_token
from tests.unit.benchwright.conversation import Conversation

DESIRED = Desired("wb-blue-foundation", "template", {}, {}, protected=True)
STACK = Stack("UPDATE_COMPLETE", "arn:stack", protected=True)
NAME = "benchwright-1"
ARN = "arn:aws:cloudformation:eu-west-1:123456789012:stack/wb/1"
OURS = request_token(NAME, STACK)


def reported_of(aws: Conversation, token: str, *events: tuple[str, str, str]) -> str:
    """The failure of our change set, by the events of the newest operation, which has this token, oldest first."""
    reported = [
        {
            "StackId": "arn:stack",
            "PhysicalResourceId": "arn:stack" if name == "wb" else name,
            "LogicalResourceId": name,
            "ResourceType": "AWS::CloudFormation::Stack" if name == "wb" else "AWS::Logs::LogGroup",
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "ClientRequestToken": token,
        }
        for name, status, reason in reversed(events)
    ]
    aws.answers = {"DescribeStackEvents": {"StackEvents": reported}}
    failed = ChangeSet(NAME, "CREATE_COMPLETE", "EXECUTE_FAILED", "the role cannot be assumed")
    return str(failures.stack_failure(DESIRED, STACK._replace(status="UPDATE_ROLLBACK_COMPLETE"), failed))


BEGINS = ("wb", "UPDATE_IN_PROGRESS", "User Initiated")
ROLLED_BACK = "The change was rolled back: the stack is as it was before."


def test_a_failure_of_another_operation_is_no_failure_of_ours(aws: Conversation) -> None:
    events = [BEGINS, ("Group", "UPDATE_FAILED", "no room"), ("wb", "UPDATE_ROLLBACK_COMPLETE", "")]
    assert reported_of(aws, OURS, *events) == (
        "The stack wb-blue-foundation ended UPDATE_ROLLBACK_COMPLETE: "
        f"Group (AWS::Logs::LogGroup) is UPDATE_FAILED: no room\n{ROLLED_BACK}"
    )
    assert reported_of(aws, "another", *events) == (
        "CloudFormation could not begin the change of wb-blue-foundation: the role cannot be assumed. The stack is as "
        "it was before: UPDATE_ROLLBACK_COMPLETE. Fix what the reason names, often a permission of the role that "
        "CloudFormation assumes, and start again."
    )


def test_a_change_that_a_person_cancelled_has_the_reason_of_its_rollback(aws: Conversation) -> None:
    reported = reported_of(
        aws,
        OURS,
        BEGINS,
        ("Group", "UPDATE_IN_PROGRESS", ""),
        ("wb", "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"),
        ("Group", "UPDATE_FAILED", "Resource update cancelled"),
        ("wb", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", ""),
        ("wb", "UPDATE_ROLLBACK_COMPLETE", ""),
    )
    assert reported == (
        "The stack wb-blue-foundation ended UPDATE_ROLLBACK_COMPLETE: "
        f"wb (AWS::CloudFormation::Stack) is UPDATE_ROLLBACK_IN_PROGRESS: User Initiated\n{ROLLED_BACK}"
    )


def event(resource: str, status: str, reason: str = "") -> dict[str, str]:
    is_stack = resource == "wb"
    return {
        "StackId": ARN,
        "LogicalResourceId": resource,
        "PhysicalResourceId": ARN if is_stack else f"{resource}-1",
        "ResourceType": "AWS::CloudFormation::Stack" if is_stack else "AWS::Some::Thing",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def reported(monkeypatch: pytest.MonkeyPatch, status: str, events: Sequence[dict[str, str]]) -> str:
    """What is said of a stack with these events, oldest first."""
    pages = [{"StackEvents": [one]} for one in reversed(events)]
    paginator = SimpleNamespace(paginate=lambda **_: pages)
    monkeypatch.setattr(failures, "client", lambda _: SimpleNamespace(get_paginator=lambda _: paginator))
    return str(failures.stack_failure(Desired("wb", "template", {}, {}), Stack(status)))


def test_the_root_event_is_the_first_failure_and_no_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("wb", "CREATE_IN_PROGRESS"),
        event("Key", "CREATE_FAILED", "Resource creation cancelled"),
        event("Database", "CREATE_FAILED", "The request was cancelled: no capacity"),
        event("FileSystem", "CREATE_FAILED", "no quota"),
        event("wb", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Key, Database, FileSystem]."),
        event("wb", "ROLLBACK_COMPLETE"),
    ]
    assert reported(monkeypatch, "ROLLBACK_COMPLETE", events).splitlines() == [
        (
            "The stack wb ended ROLLBACK_COMPLETE: "
            "Database (AWS::Some::Thing) is CREATE_FAILED: The request was cancelled: no capacity"
        ),
        "Its creation was rolled back: the next execution removes what is left of it and starts again.",
    ]


@pytest.mark.parametrize(
    ("reason", "role"),
    [
        (
            (
                "Unable to create the resource. Verify that you have permission to create service linked role. "
                "Otherwise wait and try again later (Service: Rds, Status Code: 400, Request ID: 0)"
            ),
            "rds",
        ),
        (
            (
                "The provided role arn:aws:iam::123456789012:role/aws-service-role/backup.amazonaws.com/"
                "AWSServiceRoleForBackup cannot be assumed by AWS Backup."
            ),
            "backup",
        ),
        ("Mount target fsmt-0123456789abcdef0 is in state error", "elasticfilesystem"),
    ],
)
def test_a_service_linked_role_that_is_too_new_or_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, reason: str, role: str
) -> None:
    events = [event("wb", "CREATE_IN_PROGRESS"), event("Data", "CREATE_FAILED", reason)]
    *_, remedy = reported(monkeypatch, "ROLLBACK_COMPLETE", events).splitlines()
    assert remedy == (
        f"The service-linked role of {role}.amazonaws.com may be missing, or too new to work: start again after a "
        f"minute. If it fails again: aws iam create-service-linked-role --aws-service-name {role}.amazonaws.com"
    )


def test_failures_before_the_last_operation_are_another_story(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("wb", "UPDATE_IN_PROGRESS"),
        event("Old", "UPDATE_FAILED", "long ago"),
        event("wb", "UPDATE_ROLLBACK_COMPLETE"),
        event("wb", "UPDATE_IN_PROGRESS"),
        event("New", "UPDATE_FAILED", "now"),
    ]
    text = reported(monkeypatch, "UPDATE_ROLLBACK_COMPLETE", events)
    assert text.endswith(
        "New (AWS::Some::Thing) is UPDATE_FAILED: now\nThe change was rolled back: the stack is as it was before."
    )
    assert reported(monkeypatch, "UPDATE_ROLLBACK_FAILED", events).endswith(
        "now\nFix what its last events name, and continue its rollback; then start the execution again "
        "(docs/operations.md, StackRefused)."
    )
