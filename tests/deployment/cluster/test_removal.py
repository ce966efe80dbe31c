"""The end of the cluster: without its data, back again with the same rows and files, and then with its data."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.deployment.account import CLUSTER, Account
from watch.removal import NotRemovedError, Removal

pytestmark = pytest.mark.root

FILE = "/efs/home/kept"
"""In a home of the file system, as a person would have made it."""
ROW = "kept by a person"


def row_of(account: Account) -> Any:
    (server,) = account.aws.postgres.values()
    return server.execute("select content from kept", database="rstudio")


def stacks_of(account: Account) -> set[str]:
    found = account.aws.client("cloudformation").describe_stacks()["Stacks"]
    return {
        each["StackName"] for each in found if each["StackName"].startswith(f"{account.application.name}-{CLUSTER}-")
    }


@pytest.fixture(scope="module")
def used(account: Account) -> None:
    """People have used the cluster: a row in the database, a file in a home."""
    if not account.nodes:
        account.deploy({"nodes": {"count": 1}})
    node = next(iter(account.nodes.values()))
    node.host.run(f"echo kept by a person >{FILE}", timeout=60)
    (server,) = account.aws.postgres.values()
    server.execute("create table kept (content text)", database="rstudio")
    server.execute("insert into kept values (%s)", ROW, database="rstudio")


@pytest.fixture(scope="module")
def destroyed(account: Account, used: None) -> Any:
    return account.succeed(account.start("destroy", {"cluster": CLUSTER})).output


@pytest.fixture(scope="module")
def returned(account: Account, destroyed: Any) -> Any:
    """The same name again, while a deployment of it is refused that a destroy would meet."""
    execution = account.start("deploy", {"nodes": {"count": 1}})
    account.until(lambda: account.has_entered(execution, "Prepare image and foundation"), "the lock")
    assert account.end(account.start("destroy", {"cluster": CLUSTER})).error == "ClusterLocked"
    return account.succeed(execution).output


@pytest.fixture(scope="module")
def deleted(account: Account, returned: Any) -> Any:
    return account.succeed(account.start("destroy", {"cluster": CLUSTER, "delete_data": CLUSTER})).output


def removal_of(account: Account, monkeypatch: pytest.MonkeyPatch) -> Removal:
    """What `make remove-application` runs."""
    for name, value in account.aws.environment().items():
        monkeypatch.setenv(name, value)
    return Removal(account.application.name, sleep=account.aws.clock.wait)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"cluster": "never"}, "there is no such cluster"),
        ({"cluster": CLUSTER, "delete_data": "another"}, "it does not repeat the name in cluster"),
        ({}, "cluster: null is refused: it is missing"),
    ],
)
def test_a_wrong_input_changes_nothing(account: Account, used: None, content: Any, problem: str) -> None:
    execution = account.start("destroy", content)
    ended = account.end(execution)
    assert (ended.error, account.changes(execution)) == ("InvalidInput", set())
    assert problem in (ended.cause or "")


def test_without_its_data_only_the_foundation_stays_and_is_listed_with_its_cost(
    account: Account, destroyed: Any
) -> None:
    assert (account.nodes, account.images()) == ({}, set())
    assert stacks_of(account) == {f"{account.application.name}-{CLUSTER}-foundation"}
    (database,) = account.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert database["DeletionProtection"]
    listed = {each["what"]: each for each in destroyed["stays"]}
    assert listed["AWS::RDS::DBCluster"]["id"] == database["DBClusterIdentifier"]
    assert destroyed["monthly_usd"] == round(sum(each["monthly_usd"] for each in destroyed["stays"]), 2) > 80


def test_the_application_stays_as_long_as_a_cluster_has_data(
    account: Account, destroyed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = account.application.name
    with pytest.raises(NotRemovedError) as refused:
        removal_of(account, monkeypatch).run()
    content = json.dumps({"cluster": CLUSTER, "delete_data": CLUSTER})
    assert str(refused.value).splitlines() == [
        "Clusters are there; nothing was removed. Destroy each of them:",
        f"- {CLUSTER} has the stack {application}-{CLUSTER}-foundation: start {application}-destroy with {content}",
    ]
    (stack,) = account.aws.client("cloudformation").describe_stacks(StackName=application)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_schedules_take_it_for_a_cluster_that_is_not_deployed(account: Account, destroyed: Any) -> None:
    verified = account.succeed(account.start_schedule("nightly-verify")).output
    assert f"{CLUSTER} is not deployed: nothing to verify" in str(verified)
    rebuilt = account.succeed(account.start_schedule("monthly-rebuild")).output
    assert rebuilt["message"] == f"{CLUSTER} is not deployed: nothing to do"
    assert account.heal() is not None


def test_a_later_deployment_finds_the_same_rows_and_files(account: Account, returned: Any) -> None:
    assert row_of(account) == [(ROW,)]
    assert account.on_every_node(f"cat {FILE}") == {f"{ROW}\n"}


def test_with_its_data_nothing_stays_but_what_is_listed(account: Account, deleted: Any) -> None:
    client, application = account.aws.client, account.application
    assert (account.nodes, account.images(), stacks_of(account)) == ({}, set(), set())
    assert client("rds").describe_db_clusters()["DBClusters"] == []
    assert client("efs").describe_file_systems()["FileSystems"] == []
    roles = client("iam").list_roles(PathPrefix=f"/{application.name}/{CLUSTER}/")["Roles"]
    groups = client("logs").describe_log_groups(logGroupNamePrefix=f"/{application.name}/{CLUSTER}/")["logGroups"]
    assert (roles, groups) == ([], [])
    assert client("imagebuilder").list_image_recipes(owner="Self")["imageRecipeSummaryList"] == []
    assert client("imagebuilder").list_components(owner="Self")["componentVersionList"] == []
    versions = client("s3").list_object_versions(Bucket=application.outputs["BucketName"])
    left = [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in versions.get(kind, [])]
    ours = [key for key in left if f"/{CLUSTER}/" in key or f"-{CLUSTER}-" in key]
    assert [key for key in ours if not key.startswith(f"reports/{CLUSTER}/")] == []
    table = client("dynamodb").scan(TableName=application.outputs["TableName"])
    assert [item for item in table["Items"] if item["cluster"]["S"] == CLUSTER] == []


def test_what_can_be_restored_is_listed_until_when(account: Account, deleted: Any) -> None:
    (snapshot,) = account.aws.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    key = account.aws.client("kms").describe_key(KeyId=snapshot["KmsKeyId"])["KeyMetadata"]
    assert (snapshot["Status"], key["KeyState"]) == ("available", "Enabled")
    listed = [(each["what"], each["id"], bool(each["until"])) for each in deleted["stays"]]
    assert listed[:-2] == [
        ("AWS::RDS::DBClusterSnapshot", snapshot["DBClusterSnapshotIdentifier"], False),
        ("AWS::SecretsManager::Secret", f"{account.application.name}/{CLUSTER}/database", True),
        ("AWS::SecretsManager::Secret", f"{account.application.name}/{CLUSTER}/secure-cookie-key", True),
        ("AWS::KMS::Key", key["Arn"], False),
    ]
    assert [what for what, *_ in listed[-2:]] == ["AWS::Backup::RecoveryPoint", "AWS::S3::Object"]


def test_the_same_name_is_refused_before_anything_is_built_until_its_secrets_are_given_up(
    account: Account, deleted: Any
) -> None:
    execution = account.start("deploy", {"nodes": {"count": 1}})
    ended = account.end(execution)
    assert (ended.error, account.changes(execution)) == ("InvalidInput", set())
    assert "delete-secret --force-delete-without-recovery --secret-id" in (ended.cause or "")


def test_then_the_application_goes_with_all_that_its_stack_keeps(
    account: Account, deleted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = account.aws.client, account.application.name
    resources = client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    removal_of(account, monkeypatch).run()
    removal_of(account, monkeypatch).run()  # as one does that was interrupted
    statuses = client("cloudformation").describe_stacks()["Stacks"]
    assert [each["StackName"] for each in statuses if each["StackName"].startswith(name)] == []
    assert client("kms").describe_key(KeyId=ids["Key"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert ids["Bucket"] not in {each["Name"] for each in client("s3").list_buckets()["Buckets"]}
    assert client("iam").list_roles(PathPrefix=f"/{name}/")["Roles"] == []
    assert [
        each for each in client("iam").list_policies(Scope="Local")["Policies"] if each["Path"] == f"/{name}/"
    ] == []
    assert client("lambda").list_functions()["Functions"] == []
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        client("ec2").describe_security_groups(GroupIds=[ids["DatabaseClientSecurityGroup"]])
    left = [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]]
    assert [group for group in left if name in group] == []
