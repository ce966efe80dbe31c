"""Aurora of the local AWS: documents, states on AWS time, and a real server behind them."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import Postgres
from rehearsal.aws.server import NoFaults

WISHES: dict[str, Any] = {
    "DBClusterIdentifier": "database",
    "Engine": "aurora-postgresql",
    "EngineVersion": "17.7",
    "MasterUsername": "postgres",
    "ManageMasterUserPassword": True,
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4},
}
INSTANCE = {"Engine": "aurora-postgresql", "DBInstanceClass": "db.serverless", "DBClusterIdentifier": "database"}


@pytest.fixture
def rds(aws: LocalAws) -> Any:
    return aws.client("rds")


@pytest.fixture
def available(aws: LocalAws, rds: Any) -> Iterator[dict[str, Any]]:
    rds.create_db_cluster(**WISHES)
    rds.create_db_instance(DBInstanceIdentifier="writer", **INSTANCE)
    aws.clock.sleep(400)
    yield rds.describe_db_clusters(DBClusterIdentifier="database")["DBClusters"][0]


def secret(aws: LocalAws, cluster: dict[str, Any]) -> dict[str, Any]:
    value = aws.client("secretsmanager").get_secret_value(SecretId=cluster["MasterUserSecret"]["SecretArn"])
    return dict(json.loads(value["SecretString"]))


def status(rds: Any) -> str:
    return str(rds.describe_db_clusters(DBClusterIdentifier="database")["DBClusters"][0]["Status"])


def test_a_cluster_becomes_available_in_its_time_and_its_server_answers_with_the_first_instance(
    aws: LocalAws, rds: Any
) -> None:
    made = rds.create_db_cluster(**WISHES)["DBCluster"]
    assert made["Status"] == "creating"
    assert made["MasterUserSecret"]["SecretStatus"] == "creating"
    postgres: Postgres = aws.postgres["database"]
    assert not postgres.running
    aws.clock.sleep(40)
    assert status(rds) == "creating"
    aws.clock.sleep(20)
    assert status(rds) == "available"
    for name in ("writer", "reader"):
        instance = rds.create_db_instance(DBInstanceIdentifier=name, **INSTANCE)["DBInstance"]
        assert instance["DBInstanceStatus"] == "creating"
    assert postgres.running
    aws.clock.sleep(400)
    found = {
        each["DBInstanceIdentifier"]: each["DBInstanceStatus"] for each in rds.describe_db_instances()["DBInstances"]
    }
    assert found == {"writer": "available", "reader": "creating"}  # a further one begins when the first one is there
    aws.clock.sleep(410)
    assert {each["DBInstanceStatus"] for each in rds.describe_db_instances()["DBInstances"]} == {"available"}
    members = rds.describe_db_clusters()["DBClusters"][0]["DBClusterMembers"]
    assert [(member["DBInstanceIdentifier"], member["IsClusterWriter"]) for member in members] == [
        ("writer", True),
        ("reader", False),
    ]


def test_the_endpoint_carries_a_certificate_of_its_name_and_the_secret_opens_it(
    aws: LocalAws, available: dict[str, Any]
) -> None:
    credentials = secret(aws, available)
    assert credentials.keys() == {"username", "password"}
    for name in (available["Endpoint"], available["ReaderEndpoint"]):
        connection = psycopg2.connect(
            host=name,
            hostaddr=aws.names[name],
            port=available["Port"],
            user=credentials["username"],
            password=credentials["password"],
            dbname="postgres",
            sslmode="verify-full",
            sslrootcert=str(aws.directory / "rds-ca.pem"),
            connect_timeout=5,
        )
        connection.close()
    assert available["MasterUserSecret"]["SecretStatus"] == "active"
    assert credentials["password"] in aws.recorder.secrets
    assert (aws.directory / "rds-ca.pem", "python/certificates/global-bundle.pem") in aws.binds


def test_the_master_secret_is_named_and_tagged_as_rds_does(aws: LocalAws, available: dict[str, Any]) -> None:
    described = aws.client("secretsmanager").describe_secret(SecretId=available["MasterUserSecret"]["SecretArn"])
    assert described["Name"].startswith("rds!cluster-")
    assert {tag["Key"]: tag["Value"] for tag in described["Tags"]} == {
        "aws:rds:primaryDBClusterArn": available["DBClusterArn"],
        "aws:secretsmanager:owningService": "rds",
    }


def test_a_rotation_changes_secret_and_server_together(aws: LocalAws, available: dict[str, Any]) -> None:
    before = secret(aws, available)["password"]
    aws.client("secretsmanager").rotate_secret(SecretId=available["MasterUserSecret"]["SecretArn"])
    after = secret(aws, available)["password"]
    postgres: Postgres = aws.postgres["database"]
    assert after != before
    postgres.connect("postgres", after).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        postgres.connect("postgres", before)


def test_changes_take_their_time_and_are_shown(aws: LocalAws, rds: Any, available: dict[str, Any]) -> None:
    assert available["DeletionProtection"] is False
    capacity = {"MinCapacity": 1, "MaxCapacity": 8}
    rds.modify_db_cluster(
        DBClusterIdentifier="database", DeletionProtection=True, ServerlessV2ScalingConfiguration=capacity
    )
    assert status(rds) == "modifying"
    with pytest.raises(rds.exceptions.InvalidDBClusterStateFault):
        rds.modify_db_cluster(DBClusterIdentifier="database", DeletionProtection=False)
    aws.clock.sleep(30)
    changed = rds.describe_db_clusters()["DBClusters"][0]
    assert (changed["Status"], changed["DeletionProtection"]) == ("available", True)
    assert changed["ServerlessV2ScalingConfiguration"] == capacity


def test_a_cluster_is_deleted_only_unprotected_and_without_instances(
    aws: LocalAws, rds: Any, available: dict[str, Any]
) -> None:
    rds.modify_db_cluster(DBClusterIdentifier="database", DeletionProtection=True)
    aws.clock.sleep(30)
    with pytest.raises(rds.exceptions.ClientError, match="Cannot delete protected Cluster"):
        rds.delete_db_cluster(DBClusterIdentifier="database", SkipFinalSnapshot=True)
    rds.modify_db_cluster(DBClusterIdentifier="database", DeletionProtection=False)
    aws.clock.sleep(30)
    with pytest.raises(rds.exceptions.InvalidDBClusterStateFault, match="still contains DB instances"):
        rds.delete_db_cluster(DBClusterIdentifier="database", SkipFinalSnapshot=True)
    rds.delete_db_instance(DBInstanceIdentifier="writer")
    assert rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "deleting"
    with pytest.raises(rds.exceptions.ClientError, match="FinalDBSnapshotIdentifier is required"):
        rds.delete_db_cluster(DBClusterIdentifier="database")
    rds.delete_db_cluster(DBClusterIdentifier="database", SkipFinalSnapshot=True)
    aws.clock.sleep(600)
    with pytest.raises(rds.exceptions.DBInstanceNotFoundFault):
        rds.describe_db_instances(DBInstanceIdentifier="writer")
    with pytest.raises(rds.exceptions.DBClusterNotFoundFault):
        rds.describe_db_clusters(DBClusterIdentifier="database")
    assert not aws.postgres["database"].running
    secrets = aws.client("secretsmanager")
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId=available["MasterUserSecret"]["SecretArn"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"EngineVersion": "17.99"}, "Cannot find version 17.99"),
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.7, "MaxCapacity": 4}}, "multiple of 0.5"),
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 8, "MaxCapacity": 4}}, "aren't valid"),
        ({"DBSubnetGroupName": "nowhere"}, "doesn't exist: nowhere"),
        ({"DBClusterParameterGroupName": "nothing"}, "doesn't exist: nothing"),
        ({"KmsKeyId": "11111111-2222-3333-4444-555555555555"}, "does not exist"),
        ({"VpcSecurityGroupIds": ["sg-0123456789abcdef0"]}, "sg-0123456789abcdef0"),
        ({"BacktrackWindow": 5}, "does not implement BacktrackWindow of CreateDBCluster"),
    ],
)
def test_wishes_that_rds_would_refuse_are_refused(rds: Any, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(rds.exceptions.ClientError, match=reason):
        rds.create_db_cluster(**{**WISHES, **change})
    assert rds.describe_db_clusters()["DBClusters"] == []


def test_a_parameter_group_of_another_version_is_refused_and_one_in_use_is_kept(aws: LocalAws, rds: Any) -> None:
    for version in ("16", "17"):
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=f"for-{version}",
            DBParameterGroupFamily=f"aurora-postgresql{version}",
            Description="x",
        )
    with pytest.raises(rds.exceptions.ClientError, match="can't be used for this instance"):
        rds.create_db_cluster(**WISHES, DBClusterParameterGroupName="for-16")
    rds.create_db_cluster(**WISHES, DBClusterParameterGroupName="for-17")
    with pytest.raises(rds.exceptions.InvalidDBParameterGroupStateFault):
        rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName="for-17")
    rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName="for-16")


def test_tags_come_and_go(rds: Any, available: dict[str, Any]) -> None:
    arn = available["DBClusterArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "science"}, {"Key": "x", "Value": "y"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["x"])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "team", "Value": "science"}]


class Once(NoFaults):
    """Orders one fault."""

    def __init__(self, word: str) -> None:
        self.word, self.left = word, 1

    def take(self, kind: str, **_facts: Any) -> dict[str, Any] | None:
        if kind != f"postgres:{self.word}" or not self.left:
            return None
        self.left -= 1
        return {"word": self.word}


@pytest.mark.parametrize(
    ("word", "asks_for", "reason"),
    [
        ("refuse", "master", "rejects connection"),
        ("busy", "master", "too many connections"),
        ("stopped", "application", "Connection refused"),
    ],
)
def test_an_ordered_fault_refuses_the_next_login_and_no_later_one(
    aws: LocalAws, available: dict[str, Any], word: str, asks_for: str, reason: str
) -> None:
    secrets = aws.client("secretsmanager")
    application = secrets.create_secret(Name="benchwright/workbench/database", SecretString="{}")["ARN"]
    postgres: Postgres = aws.postgres["database"]
    arn = available["MasterUserSecret"]["SecretArn"] if asks_for == "master" else application
    aws.faults = Once(word)
    secrets.get_secret_value(SecretId=arn)
    with pytest.raises(psycopg2.OperationalError, match=reason):
        postgres.connect("postgres", postgres.master_password)
    secrets.get_secret_value(SecretId=arn)
    with closing(postgres.connect("postgres", postgres.master_password)) as connection:
        assert connection.closed == 0
