"""EFS of the local AWS: states on AWS time, directories, and what a node may do."""

import json
from typing import Any

import pytest

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import efs
from rehearsal.hosts.host import AccessPoint


@pytest.fixture
def client(aws: LocalAws) -> Any:
    return aws.client("efs")


@pytest.fixture
def file_system(aws: LocalAws, client: Any) -> str:
    made = client.create_file_system(CreationToken="one", Encrypted=True, ThroughputMode="elastic")
    assert made["LifeCycleState"] == "creating"
    aws.clock.sleep(13)
    return str(made["FileSystemId"])


@pytest.fixture
def subnet(aws: LocalAws) -> str:
    ec2 = aws.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return str(ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"])


def access_point(client: Any, file_system: str, path: str, permissions: str) -> str:
    made = client.create_access_point(
        ClientToken=path,
        FileSystemId=file_system,
        RootDirectory={"Path": path, "CreationInfo": {"OwnerUid": 0, "OwnerGid": 0, "Permissions": permissions}},
        Tags=[{"Key": "Name", "Value": path}],
    )
    assert made["LifeCycleState"] == "creating"
    return str(made["AccessPointId"])


def test_a_file_system_and_its_directory_come_into_being(aws: LocalAws, client: Any, file_system: str) -> None:
    shown = client.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]
    assert (shown["LifeCycleState"], shown["ThroughputMode"], shown["Encrypted"]) == ("available", "elastic", True)
    assert efs.directory(aws, file_system).is_dir()


def test_nothing_can_be_made_in_a_file_system_that_is_not_available(client: Any, subnet: str) -> None:
    young = client.create_file_system(CreationToken="young")["FileSystemId"]
    with pytest.raises(client.exceptions.IncorrectFileSystemLifeCycleState):
        client.create_mount_target(FileSystemId=young, SubnetId=subnet)
    with pytest.raises(client.exceptions.FileSystemNotFound):
        client.create_mount_target(FileSystemId="fs-0123456789abcdef0", SubnetId=subnet)


def test_a_node_mounts_what_is_available_with_owner_and_mode(
    aws: LocalAws, client: Any, file_system: str, subnet: str
) -> None:
    home = access_point(client, file_system, "/home", "0755")
    shared = access_point(client, file_system, "/shared-storage", "1777")
    target = client.create_mount_target(FileSystemId=file_system, SubnetId=subnet)
    assert target["LifeCycleState"] == "creating"
    assert efs.file_systems(aws, None).access_points == {}
    aws.clock.sleep(91)
    assert client.describe_mount_targets(FileSystemId=file_system)["MountTargets"][0]["LifeCycleState"] == "available"
    content = efs.directory(aws, file_system)
    points = efs.file_systems(aws, None).access_points[file_system]
    assert points == {
        home: AccessPoint(content / "home", 0, 0, 0o755),
        shared: AccessPoint(content / "shared-storage", 0, 0, 0o1777),
    }


def test_a_mount_target_goes_before_its_file_system(aws: LocalAws, client: Any, file_system: str, subnet: str) -> None:
    target = client.create_mount_target(FileSystemId=file_system, SubnetId=subnet)["MountTargetId"]
    aws.clock.sleep(91)
    with pytest.raises(client.exceptions.FileSystemInUse):
        client.delete_file_system(FileSystemId=file_system)
    client.delete_mount_target(MountTargetId=target)
    assert client.describe_mount_targets(FileSystemId=file_system)["MountTargets"][0]["LifeCycleState"] == "deleting"
    aws.clock.sleep(31)
    assert client.describe_mount_targets(FileSystemId=file_system)["MountTargets"] == []
    client.delete_file_system(FileSystemId=file_system)
    with pytest.raises(client.exceptions.FileSystemNotFound):
        client.describe_file_systems(FileSystemId=file_system)


def test_the_backup_policy_is_kept(client: Any, file_system: str) -> None:
    client.put_backup_policy(FileSystemId=file_system, BackupPolicy={"Status": "ENABLED"})
    assert client.describe_backup_policy(FileSystemId=file_system)["BackupPolicy"] == {"Status": "ENABLED"}


NODES = "arn:aws:iam::123456789012:role/nodes"


def policy(*actions: str, principal: str = NODES) -> str:
    allow = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": "*"}
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}
    secure = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [deny | secure, allow]})


@pytest.mark.parametrize(
    ("document", "actions"),
    [
        (None, {"ClientMount", "ClientWrite", "ClientRootAccess"}),
        (policy("elasticfilesystem:Client*"), {"ClientMount", "ClientWrite", "ClientRootAccess"}),
        (policy("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"), {"ClientMount", "ClientWrite"}),
        (policy("elasticfilesystem:ClientMount", principal="*"), {"ClientMount"}),
        (policy("elasticfilesystem:Client*", principal="arn:aws:iam::123456789012:role/others"), set()),
    ],
)
def test_the_policy_says_what_a_node_may_do(aws: LocalAws, document: str | None, actions: set[str]) -> None:
    assert efs.client_actions(aws, document, NODES) == actions


def test_a_policy_for_a_role_that_does_not_exist_is_refused(aws: LocalAws, client: Any, file_system: str) -> None:
    with pytest.raises(client.exceptions.InvalidPolicyException, match="Invalid principal"):
        client.put_file_system_policy(FileSystemId=file_system, Policy=policy("elasticfilesystem:ClientMount"))
    aws.client("iam").create_role(RoleName="nodes", AssumeRolePolicyDocument="{}")
    stored = policy("elasticfilesystem:ClientMount")
    client.put_file_system_policy(FileSystemId=file_system, Policy=stored)
    assert client.describe_file_system_policy(FileSystemId=file_system)["Policy"] == stored
