"""What counts as a secret that can be used."""

from typing import Any

import pytest

from benchwright.errors import DatabaseFailed
from benchwright.secrets import Secret, describe_secret, describe_secrets, require_secret
from tests.unit.benchwright.conversation import Conversation, refusal

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:wb/blue/database-AbCdEf"
CURRENT = {"ARN": ARN, "VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT", "mine"]}}


def test_a_secret_is_its_arn_and_its_current_version(aws: Conversation) -> None:
    aws.answers = {"DescribeSecret": CURRENT}
    assert describe_secret("wb/blue/database") == require_secret(ARN) == Secret(ARN, "v2")


def test_many_secrets_are_described_at_once(aws: Conversation) -> None:
    names = {f"wb/users/{number}" for number in range(300)}
    aws.answers = {"DescribeSecret": CURRENT}
    assert describe_secrets(names) == dict.fromkeys(names, Secret(ARN, "v2"))
    assert {call[1]["SecretId"] for call in aws.calls} == names
    aws.answers = {"DescribeSecret": refusal("ResourceNotFoundException")}
    assert describe_secrets(["wb/users/gone"]) == {"wb/users/gone": None}


@pytest.mark.parametrize(
    "answer",
    [
        refusal("ResourceNotFoundException"),
        {"ARN": ARN},
        {"ARN": ARN, "VersionIdsToStages": {"v1": ["AWSPENDING"]}},
        {**CURRENT, "DeletedDate": 1_700_000_000},
    ],
    ids=["absent", "without a value", "without a current value", "scheduled for deletion"],
)
def test_one_that_cannot_be_used_is_none(aws: Conversation, answer: dict[str, Any]) -> None:
    aws.answers = {"DescribeSecret": answer}
    assert describe_secret("wb/blue/database") is None
    with pytest.raises(DatabaseFailed, match=f"^The secret {ARN} of the foundation is gone or"):
        require_secret(ARN)
