"""The function destroy_cluster: what it finds, what it deletes, and what it says of the rest."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from benchwright.errors import InvalidInput, LockLost
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.destruction.test_secrets import TAGS
from tests.unit.benchwright.steps import EXECUTION, OTHER, handle

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/wb-blue-foundation/1"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
GOES = datetime(2026, 12, 1, tzinfo=UTC)
DATABASE, FILES = "wb-blue-foundation-database", "fs-1"
DATA = {"cluster": "blue", "delete_data": "blue"}
NO_STACK = refusal("ValidationError", "Stack with id x does not exist")


def foundation(status: str) -> Mapping[str, Any]:
    parameters = {"Application": "wb", "Cluster": "blue", "MinCapacity": "2"}
    described = {
        "StackName": "wb-blue-foundation",
        "StackId": STACK,
        "StackStatus": status,
        "CreationTime": 0,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    return {"Stacks": [described]}


def stacks(status: str) -> dict[str, Answer]:
    """A foundation of this status, by its name or its ARN, and no other stack. One that is gone has its ARN alone."""

    def describe(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        names = {STACK} if status == "DELETE_COMPLETE" else {STACK, "wb-blue-foundation"}
        return foundation(status) if asked["StackName"] in names else NO_STACK

    ended = "DELETE_COMPLETE" if status == "DELETE_COMPLETE" else "CREATE_COMPLETE"
    resources = [
        {"LogicalResourceId": name, "ResourceType": type_, "PhysicalResourceId": id_, "ResourceStatus": ended}
        for name, type_, id_ in (
            ("DatabaseCluster", "AWS::RDS::DBCluster", DATABASE),
            ("DatabaseInstance", "AWS::RDS::DBInstance", "writer"),
            ("FileSystem", "AWS::EFS::FileSystem", FILES),
        )
    ]
    return {
        "DescribeStacks": describe,
        "GetTemplate": {"TemplateBody": ""},
        "DescribeStackResources": {"StackResources": [each | {"Timestamp": 0} for each in resources]},
        "DescribeStackEvents": {"StackEvents": []},
    }


def record(holder: str = EXECUTION, **texts: str) -> dict[str, Answer]:
    given = {"cluster": "blue", "holder": holder, **texts}
    return {"GetItem": {"Item": {name: {"S": text} for name, text in given.items()}}, "UpdateItem": {}}


def left() -> dict[str, Answer]:
    """A snapshot of the database, the key of it, secrets that go."""

    def snapshots(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if "DBClusterSnapshotIdentifier" in asked:
            return refusal("DBClusterSnapshotNotFoundFault")
        found = [{"DBClusterSnapshotIdentifier": "final", "KmsKeyId": KEY}]
        return {"DBClusterSnapshots": found if asked["SnapshotType"] == "manual" else []}

    return {
        "DescribeDBClusterSnapshots": snapshots,
        "CreateDBClusterSnapshot": {},
        "DescribeSecret": {"KmsKeyId": KEY, "DeletedDate": GOES, "Tags": TAGS},
        "DescribeKey": {"KeyMetadata": {"KeyId": "1", "Arn": KEY, "KeyState": "Enabled"}},
        "DescribeFileSystems": {"FileSystems": [{"SizeInBytes": {"Value": 2**30}}]},
        "DeleteItem": {},
    }


def bucket(keys: list[str], asked_for: list[str]) -> dict[str, Answer]:
    def listed(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        asked_for.append(asked["Prefix"])
        found = [{"Key": key, "VersionId": "1"} for key in keys if key.startswith(asked["Prefix"])]
        return {"Versions": found, "IsTruncated": False}

    return {"ListObjectVersions": listed, "DeleteObjects": {}}


def destroy(action: str, **event: Any) -> dict[str, Any]:
    return handle("destroy_cluster", action=action, **event)


def test_a_cluster_is_found_with_its_data(aws: Conversation) -> None:
    aws.answers = stacks("CREATE_COMPLETE") | record()
    found = destroy("validate", input=DATA | {"final_snapshot": False})
    assert (found["cluster"], found["deletes_data"], found["final_snapshot"]) == ("blue", True, False)
    assert (found["database"], found["file_system"], found["stack"]) == (DATABASE, FILES, STACK)
    assert aws.writes == []


def test_data_that_an_interrupted_execution_deleted_is_found_by_the_record(aws: Conversation) -> None:
    """Else what outlives it, such as the final snapshot, would stay without being listed."""
    aws.answers = stacks("DELETE_COMPLETE") | record(foundation=STACK)
    found = destroy("validate", input=DATA)
    assert (found["database"], found["file_system"], found["stack"]) == (DATABASE, FILES, STACK)


def test_a_name_without_record_and_stack_is_refused(aws: Conversation) -> None:
    aws.answers = {"DescribeStacks": NO_STACK, "GetItem": {}}
    with pytest.raises(InvalidInput, match="there is no such cluster"):
        destroy("validate", input=DATA)


def test_a_snapshot_is_named_by_the_last_deployment_and_the_stack_is_recorded(aws: Conversation) -> None:
    aws.answers = stacks("CREATE_COMPLETE") | left()
    for planned_by in ("one", "two", "two"):
        aws.answers |= record(planned_by=planned_by)
        waits = destroy("snapshot", database=DATABASE)
        assert (waits["done"], waits["waiting_for"][:18]) == (False, "RDS: the snapshot ")
    names = [asked["DBClusterSnapshotIdentifier"] for asked in aws.asked("CreateDBClusterSnapshot")]
    assert (len(set(names)), names[1]) == (2, names[2])
    assert {asked["ExpressionAttributeValues"][":foundation"]["S"] for asked in aws.asked("UpdateItem")} == {STACK}


def test_no_snapshot_is_taken_where_none_is_wanted(aws: Conversation) -> None:
    aws.answers = stacks("CREATE_COMPLETE") | left() | record(foundation=STACK)
    assert destroy("snapshot", database=DATABASE, final_snapshot=False)["done"]
    assert aws.writes == []


@pytest.mark.parametrize("action", ["snapshot", "foundation", "configuration", "finish"])
@pytest.mark.parametrize("deletes", [True, False])
def test_nothing_is_changed_while_another_execution_holds_the_cluster(
    aws: Conversation, action: str, deletes: bool
) -> None:
    aws.answers = stacks("CREATE_COMPLETE") | left() | record(OTHER) | bucket([], [])
    aws.answers["DeleteItem"] = refusal("ConditionalCheckFailedException")
    with pytest.raises(LockLost, match=f"is locked by {OTHER}"):
        destroy(action, database=DATABASE, deletes_data=deletes)
    assert [name for name, _ in aws.writes if name != "DeleteItem"] == []


@pytest.mark.parametrize(
    ("deletes", "stay"),
    [
        (False, ["templates/wb-blue-foundation/c", "access-logs/blue/d"]),
        (True, []),
    ],
)
def test_objects_of_the_cluster_go_and_none_of_another(aws: Conversation, deletes: bool, stay: list[str]) -> None:
    ours = ["clusters/blue/a", "templates/wb-blue-nodes/b", "templates/wb-blue-foundation/c", "access-logs/blue/d"]
    others = ["clusters/blue-green/a", "templates/wb-blue-green-nodes/b", "access-logs/blue-green/d", "reports/blue/r"]
    aws.answers = stacks("CREATE_COMPLETE") | record() | bucket([*ours, *others], [])
    assert destroy("configuration", deletes_data=deletes)["done"]
    gone = [each["Key"] for asked in aws.asked("DeleteObjects") for each in asked["Delete"]["Objects"]]
    assert sorted(gone) == sorted(set(ours) - set(stay))


def test_what_cloudformation_still_makes_is_waited_for_before_it_is_listed(aws: Conversation) -> None:
    """A deployment was stopped; CloudFormation goes on."""
    aws.answers = stacks("CREATE_IN_PROGRESS") | record() | bucket([], [])
    waits = destroy("configuration")
    assert (waits["done"], waits["waiting_for"]) == (False, f"CloudFormation: {STACK} is CREATE_IN_PROGRESS")


def test_data_that_stays_is_listed_with_its_cost(aws: Conversation) -> None:
    aws.answers = stacks("CREATE_COMPLETE") | left() | record()
    said = destroy("finish", left=["ami-1, which another cluster uses"])
    assert [each["what"].rpartition("::")[2] for each in said["stays"]] == [
        *("DBInstance", "DBCluster", "FileSystem", "Image", "Object"),
    ]
    assert said["monthly_usd"] == round(sum(each["monthly_usd"] for each in said["stays"]), 2) > 100
    assert json.dumps(DATA) in said["message"]
    assert [name for name, _ in aws.writes] == ["UpdateItem"]


def test_of_data_that_is_deleted_what_can_be_restored_is_listed(aws: Conversation) -> None:
    aws.answers = stacks("DELETE_COMPLETE") | left() | record(foundation=STACK)
    said = destroy("finish", deletes_data=True, database=DATABASE, file_system=FILES, stack=STACK)
    assert [each["id"] for each in said["stays"]] == [
        *("final", "wb/blue/database", "wb/blue/secure-cookie-key", KEY),
        f"those of {FILES} in the vault aws/efs/automatic-backup-vault",
        "s3://bucket/reports/blue/",
    ]
    assert [name for name, _ in aws.writes] == ["DeleteItem"]
