"""What a person orders with --account, and an account in which no service was used before."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.account import SETTLING_SECONDS, role_works
from rehearsal.aws.services.efs import FILE_SYSTEM_SECONDS
from rehearsal.initial_account import AccountGrammarError, InitialAccount, make_network

WAIT = "Unable to create the resource. Verify that you have permission to create service linked role"


@pytest.mark.parametrize(
    "given", [{"vcpu": 4}, {"vcpus": True}, {"new": 1}, {"subnets": 7}, {"subnets": "3"}, {"subnets": 3.0}]
)
def test_an_account_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(AccountGrammarError):
        InitialAccount.parse(given)


@pytest.fixture
def new(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    services = tuple(f"rehearsal.aws.services.{name}" for name in ("rds", "efs", "account", "lambdas"))
    initial_account = getattr(request, "param", InitialAccount(new=True))
    with mock.patch.dict(os.environ):
        aws = LocalAws(clock=Clock(math.inf), directory=tmp_path, modules=services, initial_account=initial_account)
        aws.start()
        try:
            with aws.clock.busy():  # time passes only where a test lets it
                yield aws
        finally:
            aws.stop()


def refusal(aws: LocalAws) -> str:
    """What RDS says of a database that lacks a master password, where it comes to look at it."""
    with pytest.raises(ClientError) as caught:
        aws.client("rds").create_db_cluster(DBClusterIdentifier="a", Engine="aurora-postgresql", EngineVersion="17.7")
    return str(caught.value)


def test_a_policy_that_a_role_has_is_not_deleted(new: LocalAws) -> None:
    iam = new.client("iam")
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.create_role(RoleName="its", AssumeRolePolicyDocument=document)
    policy = iam.create_policy(PolicyName="its", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="its", PolicyArn=policy)
    with pytest.raises(iam.exceptions.DeleteConflictException, match="attached to entities"):
        iam.delete_policy(PolicyArn=policy)
    iam.detach_role_policy(RoleName="its", PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    assert not iam.list_policies(Scope="Local")["Policies"]


def test_a_service_cannot_work_with_its_role_at_once(new: LocalAws) -> None:
    assert WAIT in refusal(new)  # which makes the role, as the first use of a service does
    new.clock.sleep(SETTLING_SECONDS)
    assert WAIT not in refusal(new)
    new.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert not role_works(new, "autoscaling")
    new.clock.sleep(SETTLING_SECONDS)
    assert role_works(new, "autoscaling")
    with pytest.raises(ClientError, match="has been taken in this account"):
        new.client("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")


def mount_target(aws: LocalAws) -> tuple[str, str]:
    """The states of a new mount target in a new file system: what its creation answers, and after two minutes."""
    ec2, files = aws.client("ec2"), aws.client("efs")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    file_system = files.create_file_system(CreationToken=network)["FileSystemId"]
    aws.clock.sleep(FILE_SYSTEM_SECONDS + 1)
    made = files.create_mount_target(FileSystemId=file_system, SubnetId=subnet)
    aws.clock.sleep(120)
    (target,) = files.describe_mount_targets(FileSystemId=file_system)["MountTargets"]
    return made["LifeCycleState"], target["LifeCycleState"]


def test_a_mount_target_that_is_made_with_a_new_role_never_becomes_available(new: LocalAws) -> None:
    assert mount_target(new) == ("creating", "error")
    assert mount_target(new) == ("creating", "available")


def test_automatic_backups_need_the_role_of_aws_backup(new: LocalAws) -> None:
    files = new.client("efs")
    name = files.create_file_system(CreationToken="a")["FileSystemId"]
    policy = {"FileSystemId": name, "BackupPolicy": {"Status": "ENABLED"}}
    role = "role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup cannot be assumed by AWS Backup"
    with pytest.raises(files.exceptions.BadRequest, match=role):
        files.put_backup_policy(**policy)
    new.clock.sleep(SETTLING_SECONDS)
    assert files.put_backup_policy(**policy)["BackupPolicy"] == {"Status": "ENABLED"}


def subnets(aws: LocalAws) -> list[str]:
    """Two, in us-east-1a and us-east-1b."""
    return make_network(aws.client, 2)["PrivateSubnetIds"].split(",")


@pytest.mark.parametrize("new", [InitialAccount(without_aurora="be")], indirect=True)
def test_aurora_needs_two_zones_of_those_where_rds_offers_it(new: LocalAws) -> None:
    rds = new.client("rds")
    options = rds.describe_orderable_db_instance_options(Engine="aurora-postgresql", DBInstanceClass="db.serverless")
    offered = {zone["Name"] for each in options["OrderableDBInstanceOptions"] for zone in each["AvailabilityZones"]}
    assert offered == {f"us-east-1{zone}" for zone in "acdf"}
    rds.create_db_subnet_group(DBSubnetGroupName="few", DBSubnetGroupDescription="two", SubnetIds=subnets(new))
    with pytest.raises(ClientError, match=r"InvalidVPCNetworkStateFault.* only has one Availability Zone us-east-1a"):
        rds.create_db_cluster(
            DBClusterIdentifier="a",
            Engine="aurora-postgresql",
            MasterUsername="postgres",
            ManageMasterUserPassword=True,
            DBSubnetGroupName="few",
        )


@pytest.mark.parametrize("new", [InitialAccount(without_lambda="b")], indirect=True)
def test_a_function_cannot_be_in_a_zone_without_lambda(new: LocalAws) -> None:
    with pytest.raises(ClientError, match="contain availability zone Lambda doesn't support"):
        new.client("lambda").create_function(
            FunctionName="a",
            Role="arn:aws:iam::123456789012:role/a",
            Code={"ZipFile": b""},
            VpcConfig={"SubnetIds": subnets(new), "SecurityGroupIds": []},
        )


@pytest.mark.parametrize(
    "new", [InitialAccount(service_roles=False), InitialAccount(service_roles=False, new=True)], indirect=True
)
def test_where_a_policy_forbids_it_a_role_that_exists_works_and_none_is_created(new: LocalAws) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied.* with an explicit deny in a service control policy"):
        new.client("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    new.clock.sleep(SETTLING_SECONDS)
    assert (WAIT in refusal(new)) is new.initial_account.new
    assert role_works(new, "rds") is not new.initial_account.new
