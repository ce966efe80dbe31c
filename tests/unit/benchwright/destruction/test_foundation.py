"""What comes next of the deletion of a foundation, by what is observed of its stack."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.destruction import foundation
from benchwright.destruction.policies import KEY, SECRETS, letting_go
from benchwright.errors import StackFailed, StackRefused
from benchwright.stacks.decision import DELETION, Action, Stack
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.destruction.test_policies import TEMPLATE
from tests.unit.benchwright.destruction.test_secrets import TAGS

ARN = "arn:aws:cloudformation:eu-west-1:123456789012:stack/wb-blue-foundation/0"
PARAMETERS = {"Application": "wb", "Cluster": "blue", "DeletionProtection": "true"}
GONE = refusal("ValidationError", "Stack with id wb-blue-foundation does not exist")
LEFT = {
    "StackResources": [
        {
            "LogicalResourceId": "NodeSecurityGroup",
            "ResourceType": "AWS::EC2::SecurityGroup",
            "PhysicalResourceId": "sg-1",
            "ResourceStatus": "DELETE_FAILED",
            "ResourceStatusReason": "in use",
            "Timestamp": 0,
        }
    ]
}


def stack(status: str, template: str = TEMPLATE, **parameters: str) -> dict[str, Answer]:
    described = {
        "StackName": "wb-blue-foundation",
        "StackId": ARN,
        "StackStatus": status,
        "CreationTime": 0,
        "EnableTerminationProtection": status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"),
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in (PARAMETERS | parameters).items()],
    }
    return {
        "DescribeStacks": {"Stacks": [described]},
        "GetTemplate": {"TemplateBody": template},
        "DescribeChangeSet": refusal("ChangeSetNotFound"),
        "DescribeStackResources": LEFT,
        "DescribeSecret": {"ARN": "arn", "Tags": TAGS},
        "DeleteSecret": {},
        "UpdateTerminationProtection": {},
        "DeleteStack": {},
        "PutObject": {"VersionId": "v1"},
        "CreateChangeSet": {},
    }


def writes(aws: Conversation) -> list[str]:
    return [operation for operation, _ in aws.writes]


def delete(kept: tuple[str, ...] = SECRETS, begun: str = "", *, is_last: bool = False) -> foundation.Progress:
    return foundation.delete("blue", begun, kept, is_last=is_last)


def test_a_stack_that_is_gone_is_the_end(aws: Conversation) -> None:
    aws.answers = {"DescribeStacks": GONE, "DescribeSecret": {"ARN": "arn", "Tags": TAGS}, "DeleteSecret": {}}
    assert delete() == foundation.Progress()
    assert writes(aws) == ["DeleteSecret", "DeleteSecret"]  # where the execution that deleted it ended before


def test_first_the_template_lets_go_and_the_database_is_not_protected(aws: Conversation) -> None:
    aws.answers = stack("UPDATE_COMPLETE")
    delete()
    assert writes(aws) == ["PutObject", "CreateChangeSet"]
    (asked,) = aws.asked("CreateChangeSet")
    given = {each["ParameterKey"]: each["ParameterValue"] for each in asked["Parameters"]}
    assert given == PARAMETERS | {"DeletionProtection": "false"}
    assert aws.asked("PutObject")[0]["Body"].decode() == letting_go(TEMPLATE, SECRETS)


def test_then_the_stack_goes_for_good_and_secrets_for_a_while(aws: Conversation) -> None:
    aws.answers = stack("UPDATE_COMPLETE", letting_go(TEMPLATE, SECRETS), DeletionProtection="false")
    assert delete() == foundation.Progress("CloudFormation: wb-blue-foundation is deleted", DELETION)
    assert writes(aws) == ["UpdateTerminationProtection", "DeleteStack", "DeleteSecret", "DeleteSecret"]
    assert {each["RecoveryWindowInDays"] for each in aws.asked("DeleteSecret")} == {30}
    assert aws.asked("DeleteStack")[0]["StackName"] == ARN


def test_a_stack_that_cannot_be_deleted_keeps_its_secrets_for_a_deployment(aws: Conversation) -> None:
    aws.answers = stack("UPDATE_COMPLETE", letting_go(TEMPLATE, SECRETS), DeletionProtection="false")
    aws.answers["DeleteStack"] = refusal("AccessDenied")
    with pytest.raises(ClientError):
        delete()
    assert aws.asked("DeleteSecret") == []


def test_a_key_that_must_stay_is_not_let_go_with_a_stack_that_lets_it_go(aws: Conversation) -> None:
    """An execution without a final snapshot was stopped, and the next one takes a snapshot."""
    aws.answers = stack("UPDATE_COMPLETE", letting_go(TEMPLATE, SECRETS), DeletionProtection="false")
    delete((*SECRETS, KEY))
    assert writes(aws) == ["PutObject", "CreateChangeSet"]


@pytest.mark.parametrize(("kept", "retained"), [(SECRETS, []), ((*SECRETS, KEY), [KEY])])
def test_a_deletion_that_failed_is_tried_again_and_keeps_what_must_stay(
    aws: Conversation, kept: tuple[str, ...], retained: list[str]
) -> None:
    aws.answers = stack("DELETE_FAILED", letting_go(TEMPLATE, SECRETS))
    assert delete(kept, DELETION).begun == DELETION
    assert aws.asked("DeleteStack")[0]["RetainResources"] == retained


def test_at_the_last_look_a_deletion_that_fails_says_why(aws: Conversation) -> None:
    event = {
        "StackId": ARN,
        "EventId": "1",
        "StackName": "wb-blue-foundation",
        "LogicalResourceId": "NodeSecurityGroup",
        "PhysicalResourceId": "sg-1",
        "ResourceType": "AWS::EC2::SecurityGroup",
        "Timestamp": 0,
        "ResourceStatus": "DELETE_FAILED",
        "ResourceStatusReason": "sg-1 has a dependent object",
    }
    aws.answers = stack("DELETE_FAILED", letting_go(TEMPLATE, SECRETS)) | {
        "DescribeStackEvents": {"StackEvents": [event]}
    }
    with pytest.raises(StackFailed, match="sg-1 has a dependent object"):
        delete(begun=DELETION, is_last=True)


@pytest.mark.parametrize("status", ["DELETE_FAILED", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_what_a_stack_keeps_that_was_not_let_go_is_left_to_a_person(aws: Conversation, status: str) -> None:
    aws.answers = stack(status)
    with pytest.raises(StackRefused, match="needs a person"):
        delete()
    assert writes(aws) == []


def test_a_stack_of_someone_else_is_refused(aws: Conversation) -> None:
    aws.answers = stack("CREATE_COMPLETE", Application="other")
    with pytest.raises(StackRefused, match="is of the cluster blue of the application other"):
        delete()


@pytest.mark.parametrize(
    ("action", "status", "is_let_go", "is_last", "expected"),
    [
        ("wait", "UPDATE_IN_PROGRESS", False, False, "wait"),
        ("refuse", "CREATE_COMPLETE", False, False, "refuse"),
        ("protect", "UPDATE_COMPLETE", False, False, "delete stack"),
        ("done", "UPDATE_COMPLETE", False, False, "delete stack"),
        ("execute", "UPDATE_COMPLETE", False, False, "execute"),
        ("execute", "REVIEW_IN_PROGRESS", False, False, "delete stack"),
        ("delete stack", "ROLLBACK_COMPLETE", False, False, "delete stack"),
        ("failed", "DELETE_FAILED", True, False, "delete stack"),
        ("failed", "DELETE_FAILED", True, True, "failed"),
        ("leave to a person", "DELETE_FAILED", False, False, "leave to a person"),
    ],
)
def test_what_comes_next(action: Any, status: str, is_let_go: bool, is_last: bool, expected: Action) -> None:
    assert foundation.next_action(action, Stack(status), is_let_go=is_let_go, is_last=is_last) == expected
