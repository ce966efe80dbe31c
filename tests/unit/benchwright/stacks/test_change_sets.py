"""The conversation with CloudFormation: which change set is executed, and what is done with one that is not."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from benchwright.errors import StackFailed, StackRefused, TransientError
from benchwright.stacks import change_sets
from benchwright.stacks.decision import ABSENT, ChangeSet, Desired, Stack, next_action
from tests.unit.benchwright.conversation import Conversation, refusal

DESIRED = Desired("wb-blue-foundation", "template", {}, {}, protected=True)
STACK = Stack("UPDATE_COMPLETE", "arn:stack", protected=True)
NAME = "benchwright-1"
ARN = "arn:aws:cloudformation:eu-west-1:123456789012:stack/wb/1"
ADDRESSED = {"StackName": "wb-blue-foundation", "ChangeSetName": NAME}
HARMLESS = {"Action": "Modify", "ResourceType": "AWS::EC2::SecurityGroup", "Replacement": "True"}


def change_set(*changes: Mapping[str, Any]) -> ChangeSet:
    named = [{"LogicalResourceId": f"R{number}", **change} for number, change in enumerate(changes)]
    return ChangeSet(NAME, "CREATE_COMPLETE", "AVAILABLE", "", tuple({"ResourceChange": change} for change in named))


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (
            {"Action": "Remove", "ResourceType": "AWS::EFS::FileSystem"},
            "R1 (AWS::EFS::FileSystem) would be removed",
        ),
        (
            {"Action": "Modify", "ResourceType": "AWS::RDS::DBCluster", "Replacement": "True"},
            "R1 (AWS::RDS::DBCluster) would be replaced (Replacement: True)",
        ),
    ],
)
def test_a_change_set_that_would_lose_data_is_deleted_and_never_executed(
    aws: Conversation, change: Mapping[str, Any], refused: str
) -> None:
    aws.answers = {"DeleteChangeSet": {}, "ExecuteChangeSet": {}}
    with pytest.raises(StackRefused) as caught:
        change_sets.act("execute", DESIRED, STACK, change_set(HARMLESS, change), NAME)
    assert aws.calls == [("DeleteChangeSet", ADDRESSED)]
    assert str(caught.value) == (
        f"The change of wb-blue-foundation was refused, because it would lose data: {refused}. "
        "Undo the change of the template or the parameter that causes it; nothing was changed."
    )


@pytest.mark.parametrize(("stored", "query"), [({"VersionId": "a+b/c="}, "?versionId=a%2Bb%2Fc%3D"), ({}, "")])
def test_cloudformation_is_given_the_version_of_the_template_that_was_stored(
    aws: Conversation, stored: Mapping[str, Any], query: str
) -> None:
    """Someone who may write to the bucket must not choose what CloudFormation makes with its role."""
    aws.answers = {"PutObject": stored, "CreateChangeSet": {}}
    change_sets.act("create change set", DESIRED, None, None, NAME)
    (put,), (asked,) = aws.asked("PutObject"), aws.asked("CreateChangeSet")
    assert put["Body"] == b"template"
    assert put["Key"] == f"templates/wb-blue-foundation/{hashlib.sha256(b'template').hexdigest()}.yaml"
    assert asked["TemplateURL"].endswith(f".amazonaws.com/{put['Key']}{query}")
    assert asked["TemplateURL"].startswith("https://bucket.s3.")


def test_a_harmless_change_set_is_executed_once_however_often_it_is_asked_for(aws: Conversation) -> None:
    aws.answers = {"ExecuteChangeSet": {}}
    for _ in range(2):
        waiting_for = change_sets.act("execute", DESIRED, STACK, change_set(HARMLESS), NAME)
        assert waiting_for == "CloudFormation: wb-blue-foundation, 1 change"
    first, second = aws.asked("ExecuteChangeSet")
    token = first.pop("ClientRequestToken")
    assert first == ADDRESSED
    assert second == {**ADDRESSED, "ClientRequestToken": token}  # CloudFormation knows a repetition by its token


def test_a_change_set_without_changes_is_removed_and_the_stack_protected(aws: Conversation) -> None:
    aws.answers = {"DeleteChangeSet": {}, "UpdateTerminationProtection": {}, "ListChangeSets": {"Summaries": []}}
    empty = ChangeSet(NAME, "FAILED", "UNAVAILABLE", "The submitted information didn't contain changes.")
    assert change_sets.act("discard", DESIRED, Stack("UPDATE_COMPLETE"), empty, NAME) == ""
    assert aws.calls == [
        ("DeleteChangeSet", ADDRESSED),
        ("UpdateTerminationProtection", {"StackName": "wb-blue-foundation", "EnableTerminationProtection": True}),
        ("ListChangeSets", {"StackName": "wb-blue-foundation"}),
    ]


def test_a_change_set_that_cloudformation_could_not_make_fails_with_its_reason(aws: Conversation) -> None:
    warning = {"ValidationStatusReason": "of no weight", "ValidationFailureMode": "WARN"}
    aws.answers = {"DescribeEvents": {"OperationEvents": [warning]}, "DeleteChangeSet": {}}
    failed = ChangeSet(NAME, "FAILED", "UNAVAILABLE", "No such parameter", arn="arn:set")
    with pytest.raises(StackFailed) as caught:
        change_sets.act("discard", DESIRED, STACK, failed, NAME)
    assert str(caught.value) == "CloudFormation refused the change of wb-blue-foundation: No such parameter"
    assert aws.calls == [
        ("DescribeEvents", {"ChangeSetName": "arn:set", "Filters": {"FailedEvents": True}}),
        ("DeleteChangeSet", ADDRESSED),  # else the next try would find it, and fail again
    ]


def test_findings_that_may_not_be_read_hide_no_failure(aws: Conversation) -> None:
    aws.answers = {"DescribeEvents": refusal("AccessDenied", "not for you"), "DeleteChangeSet": {}}
    with pytest.raises(StackFailed) as caught:
        change_sets.act(
            "discard", DESIRED, STACK, ChangeSet(NAME, "FAILED", "", "Validation failed", arn="arn:set"), NAME
        )
    assert str(caught.value) == (
        "CloudFormation refused the change of wb-blue-foundation: Validation failed\n"
        "The findings of its validation cannot be read: not for you"
    )


def listed(name: str, status: str = "CREATE_COMPLETE", execution_status: str = "AVAILABLE") -> dict[str, str]:
    return {"ChangeSetName": name, "Status": status, "ExecutionStatus": execution_status}


def test_change_sets_that_no_one_needs_are_deleted_and_those_of_others_stay(aws: Conversation) -> None:
    pages: list[dict[str, Any]] = [
        {"Summaries": [listed("of a person"), listed(NAME)], "NextToken": "more"},
        {
            "Summaries": [
                listed("benchwright-2", execution_status="EXECUTE_COMPLETE"),
                listed("benchwright-3", "FAILED", "UNAVAILABLE"),
            ]
        },
    ]
    aws.answers = {"ListChangeSets": lambda asked: pages["NextToken" in asked], "DeleteChangeSet": {}}
    assert change_sets.act("done", DESIRED, STACK, None, "benchwright-4") == ""
    assert [asked["ChangeSetName"] for asked in aws.asked("DeleteChangeSet")] == [NAME, "benchwright-3"]


def test_a_change_set_that_is_still_computed_is_waited_for(aws: Conversation) -> None:
    aws.answers = {"ListChangeSets": {"Summaries": [listed(NAME, "CREATE_IN_PROGRESS", "UNAVAILABLE")]}}
    with pytest.raises(TransientError) as caught:
        change_sets.act("done", DESIRED, STACK, None, "benchwright-2")
    assert str(caught.value) == "CloudFormation still computes the change set benchwright-1 of an earlier execution"


def test_a_stack_whose_deletion_ends_between_two_questions_is_begun_again(aws: Conversation) -> None:
    gone = refusal("ValidationError", "Stack with id arn:stack does not exist")
    found = {"StackName": "wb-blue-foundation", "StackId": "arn:stack", "StackStatus": "REVIEW_IN_PROGRESS"}
    aws.answers = {
        "DescribeStacks": {"Stacks": [{**found, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}]},
        "ListChangeSets": gone,
        "DescribeChangeSet": lambda asked: gone if asked["StackName"] == "arn:stack" else {},
    }
    stack = change_sets.describe("wb-blue-foundation")
    assert stack == Stack("REVIEW_IN_PROGRESS", "arn:stack", "2026-01-01 00:00:00+00:00")
    change_set, name = change_sets.find_change_set(DESIRED, stack, "")
    assert (change_set, name[:12]) == (None, "benchwright-")
    assert next_action(stack, change_set, DESIRED) == "create change set"


def test_a_change_set_is_named_by_the_stack_as_it_is(aws: Conversation) -> None:
    aws.answers = {"DescribeChangeSet": refusal("ChangeSetNotFound")}
    stack = Stack("UPDATE_COMPLETE", "arn:stack", "2026-01-01")
    others = [
        stack._replace(arn="arn:b"),
        stack._replace(changed="2026-01-02"),
        stack._replace(status="CREATE_COMPLETE"),
    ]
    names = [change_sets.find_change_set(DESIRED, found, "")[1] for found in (stack, stack, *others)]
    assert (names[0] == names[1], len(set(names))) == (True, 4)
    absent = [None, *(Stack(status, "arn", changed) for status in ABSENT for changed in "12")]
    assert len({change_sets.find_change_set(DESIRED, found, "")[1] for found in absent}) == 1


def test_a_failed_change_that_is_still_being_rolled_back_is_looked_at_again(aws: Conversation) -> None:
    status = {"StackStatus": "UPDATE_ROLLBACK_IN_PROGRESS", "StackName": DESIRED.name, "StackId": STACK.arn}
    aws.answers = {"DescribeStacks": {"Stacks": [{**status, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}]}}
    failed = change_set(HARMLESS)._replace(execution_status="EXECUTE_FAILED")
    with pytest.raises(TransientError) as caught:
        change_sets.act("failed", DESIRED, STACK, failed, NAME)
    assert str(caught.value) == f"The stack {STACK.arn} is UPDATE_ROLLBACK_IN_PROGRESS; it is looked at again."


def test_the_same_change_of_a_stack_made_again_has_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = []
    execute = SimpleNamespace(execute_change_set=lambda **given: tokens.append(given["ClientRequestToken"]))
    monkeypatch.setattr(change_sets, "client", lambda _: execute)
    desired = Desired("wb", "", {}, {})
    for arn in ("stack/wb/1", "stack/wb/1", "stack/wb/2"):
        change_sets.act(
            "execute", desired, Stack("REVIEW_IN_PROGRESS", arn), ChangeSet("name", "CREATE_COMPLETE"), "name"
        )
    assert (tokens[0] == tokens[1], tokens[0] == tokens[2], {len(token) for token in tokens}) == (True, False, {64})
