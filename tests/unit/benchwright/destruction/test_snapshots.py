"""The last snapshot of a database."""

import pytest

from benchwright.destruction import snapshots
from benchwright.errors import DatabaseFailed
from benchwright.values import LONGEST_APPLICATION, LONGEST_CLUSTER
from tests.unit.benchwright.conversation import Answer, Conversation, refusal

ABSENT = refusal("DBClusterSnapshotNotFoundFault")


def status(text: str) -> Answer:
    return {"DBClusterSnapshots": [{"DBClusterSnapshotIdentifier": "s", "Status": text}]}


def test_a_snapshot_is_taken_with_the_tags_of_the_cluster(aws: Conversation) -> None:
    aws.answers = {"DescribeDBClusterSnapshots": ABSENT, "CreateDBClusterSnapshot": {}}
    assert snapshots.take("db", "s", {"benchwright:cluster": "blue"}) == "RDS: the snapshot s is taken"
    tags = [{"Key": "benchwright:cluster", "Value": "blue"}]
    asked = {"DBClusterSnapshotIdentifier": "s", "DBClusterIdentifier": "db", "Tags": tags}
    assert aws.asked("CreateDBClusterSnapshot") == [asked]


@pytest.mark.parametrize(
    ("code", "waiting_for"),
    [
        ("DBClusterNotFoundFault", ""),
        ("InvalidDBClusterStateFault", "RDS: the database db to take a snapshot"),
        ("DBClusterSnapshotAlreadyExistsFault", "RDS: the database db to take a snapshot"),
    ],
)
def test_a_database_that_is_gone_has_none_and_a_busy_one_is_asked_again(
    aws: Conversation, code: str, waiting_for: str
) -> None:
    aws.answers = {"DescribeDBClusterSnapshots": ABSENT, "CreateDBClusterSnapshot": refusal(code)}
    assert snapshots.take("db", "s", {}) == waiting_for


def test_one_that_exists_is_waited_for(aws: Conversation) -> None:
    aws.answers = {"DescribeDBClusterSnapshots": status("creating")}
    assert snapshots.take("db", "s", {}) == "RDS: the snapshot s is creating"
    aws.answers = {"DescribeDBClusterSnapshots": status("available")}
    assert snapshots.take("db", "s", {}) == ""
    aws.answers = {"DescribeDBClusterSnapshots": status("failed")}
    with pytest.raises(DatabaseFailed, match='"final_snapshot": false'):
        snapshots.take("db", "s", {})


def test_a_name_fits_and_differs_between_two_lives_of_a_cluster_and_after_a_deployment(aws: Conversation) -> None:
    """A snapshot that an interrupted execution took lacks what people did after the next deployment."""
    names = {snapshots.name_of("blue", stack, by) for stack in ("arn/1", "arn/2") for by in ("execution/1", "")}
    assert len(names) == 4
    assert len(snapshots.name_of("", "", "")) + LONGEST_APPLICATION - len("wb") + LONGEST_CLUSTER <= 63


def test_what_people_and_aws_backup_made_outlives_the_database(aws: Conversation) -> None:
    aws.answers = {
        "DescribeDBClusterSnapshots": lambda asked: {
            "DBClusterSnapshots": [{"DBClusterSnapshotIdentifier": asked["SnapshotType"], "KmsKeyId": "key"}]
        }
    }
    assert snapshots.outliving("db") == {"manual": "key", "awsbackup": "key"}
