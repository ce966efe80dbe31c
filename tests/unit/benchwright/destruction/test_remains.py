"""What stays, and what it costs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchwright.destruction.remains import (
    Remaining,
    after_data,
    of_dns,
    of_foundation,
    reports,
    skipped,
    validation_record,
)
from benchwright.destruction.secrets import Secret
from tests.unit.benchwright.conversation import Conversation, refusal

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def resource(type_: str, id_: str) -> dict[str, str]:
    return {"ResourceType": type_, "PhysicalResourceId": id_}


def test_what_a_kept_foundation_costs(aws: Conversation) -> None:
    size = {"SizeInBytes": {"Value": 20 * 2**30}}
    aws.answers = {"DescribeFileSystems": {"FileSystems": [size]}}
    found = of_foundation(
        [
            resource("AWS::IAM::Role", "role"),
            resource("AWS::KMS::Key", "key"),
            resource("AWS::RDS::DBInstance", "db-1"),
            resource("AWS::EFS::FileSystem", "fs-1"),
            resource("AWS::RDS::DBCluster", "db"),
        ],
        {"MinCapacity": "2"},
    )
    assert [(each.id, each.monthly_usd) for each in found] == [
        ("db-1", 175.2),  # 2 ACU for 730 hours at 0.12
        ("fs-1", 6.0),  # 20 GiB at 0.30
        ("key", 1.0),
        ("db", 0.4),
        ("role", 0.0),
    ]
    assert {each.id: each.note for each in found}["db"] == (
        "for the secret of its master, and 0.10 for each GB of its data"
    )


def test_a_key_that_goes_costs_nothing(aws: Conversation) -> None:
    goes = datetime(2026, 12, 1, tzinfo=UTC)
    metadata = {"KeyId": "1", "Arn": KEY, "KeyState": "PendingDeletion", "DeletionDate": goes}
    aws.answers = {"DescribeKey": {"KeyMetadata": metadata}}
    secret = Secret("wb/blue/database", "1", goes.isoformat())
    found = after_data([secret], {}, "fs-1")
    assert [(each.what, each.id, each.monthly_usd, each.until) for each in found] == [
        ("AWS::SecretsManager::Secret", "wb/blue/database", 0.0, goes.isoformat()),
        ("AWS::KMS::Key", KEY, 0.0, goes.isoformat()),
        (
            "AWS::Backup::RecoveryPoint",
            "those of fs-1 in the vault aws/efs/automatic-backup-vault",
            0.0,
            "",
        ),
    ]


def test_a_key_that_a_snapshot_needs_stays_and_costs(aws: Conversation) -> None:
    aws.answers = {"DescribeKey": {"KeyMetadata": {"KeyId": "1", "Arn": KEY, "KeyState": "Enabled"}}}
    found = after_data([Secret("wb/blue/database", "1", "soon")], {"wb-blue-final-0": KEY}, "")
    assert [(each.what, each.monthly_usd) for each in found] == [
        ("AWS::RDS::DBClusterSnapshot", 0.0),
        ("AWS::SecretsManager::Secret", 0.0),
        ("AWS::KMS::Key", 1.0),
    ]
    assert len(aws.calls) == 2  # by its id and by its ARN: one key


def test_a_key_that_is_gone_is_not_listed(aws: Conversation) -> None:
    aws.answers = {"DescribeKey": refusal("NotFoundException")}
    assert after_data([], {"s": KEY}, "") == [
        Remaining(
            what="AWS::RDS::DBClusterSnapshot", id="s", note="0.10 USD a month for each GB; unreadable without its key"
        )
    ]


def test_a_key_without_our_tag_is_listed_without_state_and_cost(aws: Conversation) -> None:
    aws.answers = {"DescribeKey": refusal("AccessDeniedException")}
    (_, found) = after_data([], {"copy": KEY}, "")
    assert found == Remaining(
        what="AWS::KMS::Key",
        id=KEY,
        note="not a key of this application: its state and its cost are not known here",
    )


def test_what_cloudformation_kept_though_it_was_let_go_is_named() -> None:
    def event(name: str, status: str) -> dict[str, str]:
        return {"LogicalResourceId": name, "PhysicalResourceId": "fs-1", "ResourceType": "T", "ResourceStatus": status}

    events = [event("Secret", "DELETE_SKIPPED"), event("Group", "DELETE_COMPLETE"), event("Files", "DELETE_SKIPPED")]
    assert [(each.what, each.id) for each in skipped(events, {"Secret"})] == [("T", "fs-1")]


def test_reports_stay_where_they_are(environment: None) -> None:
    assert reports("blue").id == "s3://bucket/reports/blue/"


@pytest.mark.parametrize(
    "recorded",
    [
        {},
        {"access": None},
        {"access": {"hostname": "wb.example.com"}},
        {"access": {"hostname": "wb.example.com", "hosted_zone_id": "Z1", "certificate_arn": "arn"}},
    ],
)
def test_without_a_validation_record_of_ours_none_is_listed(recorded: dict[str, Any]) -> None:
    assert of_dns(validation_record(recorded)) == []


def test_the_record_by_which_acm_validated_the_host_name_is_listed() -> None:
    (found,) = of_dns(validation_record({"access": {"hostname": "wb.example.com", "hosted_zone_id": "Z1"}}))
    assert found.what == "AWS::Route53::RecordSet"
    assert found.id == "the CNAME record of wb.example.com with a value in acm-validations.aws, in the hosted zone Z1"
