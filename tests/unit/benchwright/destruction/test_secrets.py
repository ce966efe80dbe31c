"""Secrets go with a window in which they can be restored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from benchwright.destruction.secrets import Secret, describe, schedule_deletion, taken_names
from tests.unit.benchwright.conversation import Conversation, refusal

GOES = datetime(2026, 12, 1, tzinfo=UTC)
TAGS = [{"Key": "benchwright:application", "Value": "wb"}, {"Key": "benchwright:cluster", "Value": "blue"}]


def described(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    if asked["SecretId"] == "wb/blue/database":
        return {"ARN": "arn", "KmsKeyId": "key-1", "DeletedDate": GOES, "Tags": TAGS}
    return {"ARN": "arn", "KmsKeyId": "key-1", "Tags": TAGS}


def test_each_secret_is_described_also_one_that_is_going(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": described}
    assert describe("blue") == [
        Secret("wb/blue/database", "key-1", GOES.isoformat()),
        Secret("wb/blue/secure-cookie-key", "key-1", ""),
    ]


def test_one_that_is_going_already_is_not_asked_to_go_again(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": described, "DeleteSecret": {}}
    schedule_deletion("blue")
    assert aws.asked("DeleteSecret") == [{"SecretId": "wb/blue/secure-cookie-key", "RecoveryWindowInDays": 30}]


def test_those_that_are_gone_are_not_listed(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": refusal("ResourceNotFoundException")}
    assert describe("blue") == []


def test_a_name_is_taken_as_long_as_its_secret_can_be_restored(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": described}
    ((path, value, wrong, give),) = taken_names("blue", is_begun=False)
    assert (path, value) == ("cluster", "blue")
    assert wrong.endswith(f"taken until {GOES.isoformat()}")
    assert give.endswith("--force-delete-without-recovery --secret-id wb/blue/database")


def test_a_cluster_whose_data_is_half_deleted_is_destroyed_to_the_end_first(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": described}
    ((_, _, wrong, give),) = taken_names("blue", is_begun=True)
    assert wrong == "an execution began to delete its data, and did not end"
    assert give == '{"cluster": "blue", "delete_data": "blue"} to the state machine wb-destroy first'


def test_a_secret_that_someone_else_made_is_left_alone(aws: Conversation) -> None:
    """It has the name, so that the foundation could not be made; now the cluster without one is destroyed."""
    aws.answers = {"DescribeSecret": {"ARN": "arn", "Tags": [TAGS[0]]}, "DeleteSecret": {}}
    schedule_deletion("blue")
    assert (describe("blue"), aws.asked("DeleteSecret")) == ([], [])
