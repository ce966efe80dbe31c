"""The first state reports what an account lacks, with value and remedy; what cannot be looked up is a warning.

The account is the local AWS: its networks, instance types, offerings and keys are moto's.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.moto_api._internal.models import moto_api_backend

from benchwright import account_check, observability
from benchwright.account_check import Judgement, check
from benchwright.models import Wanted
from benchwright.settings import settings
from tests.rehearsal.aws import LocalAws
from tests.rehearsal.before import Before, make_network
from tests.rehearsal.clock import Clock
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.test_plan import DEFAULTS

SERVICES = ("tests.rehearsal.services.account",)


class Account:
    """An account with a network, as the functions of an application see it."""

    def __init__(self, aws: LocalAws, subnets: int = 2) -> None:
        self.aws = aws
        self.ec2 = aws.client("ec2")
        self.parameters = make_network(aws.client, subnets)
        self.vpc = self.parameters["VpcId"]

    @property
    def subnets(self) -> list[str]:
        return self.parameters["PrivateSubnetIds"].split(",")

    def table(self, subnet: str = "") -> str:
        """A new route table of a subnet, with the local route alone; without a subnet, the main one."""
        if subnet:
            table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            return str(table)
        tables = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        return next(
            str(table["RouteTableId"]) for table in tables if any(each.get("Main") for each in table["Associations"])
        )

    def run(self, instance_type: str, count: int, tags: Mapping[str, str]) -> None:
        image = self.ec2.register_image(Name=f"image-{count}-{len(tags)}")["ImageId"]
        self.ec2.run_instances(
            ImageId=image,
            InstanceType=instance_type,
            MinCount=count,
            MaxCount=count,
            SubnetId=self.subnets[0],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )

    def check(self, deployed: bool = False, **wanted: Any) -> Judgement:
        """What the first state says, in the environment of the function."""
        environment = self.aws.environment("ResolvePlan") | {
            "APPLICATION": "wb",
            "VPC_ID": self.vpc,
            "PRIVATE_SUBNET_IDS": self.parameters["PrivateSubnetIds"],
        }
        with mock.patch.dict(os.environ, environment), mock.patch.dict(observability._clients, clear=True):
            settings.cache_clear()
            boto3.DEFAULT_SESSION = None
            try:
                return check(Wanted.model_validate(DEFAULTS | wanted), "blue", deployed)
            finally:
                settings.cache_clear()
                boto3.DEFAULT_SESSION = None


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with mock.patch.dict(os.environ):
        aws = LocalAws(clock=Clock(math.inf), directory=tmp_path_factory.mktemp("aws"), modules=SERVICES)
        aws.start()
        try:
            yield aws
        finally:
            aws.stop()


@pytest.fixture
def account(local: LocalAws, request: pytest.FixtureRequest) -> Account:
    """An empty account but for its network, like the parameter of the test: a Before."""
    moto_api_backend.reset()
    local.before = getattr(request, "param", Before())
    return Account(local, local.before.subnets or 2)


def nodes(count: int = 2, instance_type: str = "m7i.xlarge") -> dict[str, Any]:
    return {"nodes": {"count": count, "instance_type": instance_type}}


def lines(judgement: Judgement) -> list[tuple[str, Any, str]]:
    """Path, value and what is wrong; every problem has a remedy."""
    assert all(give for *_, give in judgement.problems)
    return [(path, value, wrong) for path, value, wrong, _ in judgement.problems]


def test_an_account_that_has_all_is_not_mentioned(account: Account) -> None:
    assert account.check(**nodes()) == Judgement()


def test_an_instance_type_that_does_not_exist(account: Account) -> None:
    wrong = "us-east-1 has no such instance type"
    assert lines(account.check(**nodes(2, "m99.xlarge"))) == [("nodes.instance_type", "m99.xlarge", wrong)]


@pytest.mark.usefixtures("aws")
def test_an_instance_type_of_another_architecture() -> None:
    """The input model knows today's by their names."""
    observed = account_check.Observed(type={"ProcessorInfo": {"SupportedArchitectures": ["arm64"]}})
    wanted = Wanted.model_validate(DEFAULTS | nodes(2, "z99.xlarge"))
    wrong = "it is of arm64; the image of Benchwright is x86_64"
    assert lines(account_check.judge(wanted, "blue", False, observed)) == [("nodes.instance_type", "z99.xlarge", wrong)]


@pytest.mark.parametrize("account", [Before(subnets=6)], indirect=True)
def test_an_instance_type_that_a_zone_lacks(account: Account) -> None:
    (problem,) = account.check(**nodes()).problems
    zones = " and ".join(f"us-east-1{zone}" for zone in "abcdef")
    assert problem == (
        "nodes.instance_type",
        "m7i.xlarge",
        "us-east-1e, in which the cluster has a subnet, has no instances of this type",
        f"a type that {zones} have, or deploy the application with subnets in other zones",
    )


@pytest.mark.parametrize("account", [Before(vcpus=16)], indirect=True)
def test_nodes_for_which_the_quota_has_no_room(account: Account) -> None:
    account.run("m5.large", 2, {"Name": "of others"})
    account.run("g4dn.xlarge", 2, {"Name": "of another quota"})
    raised = "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A"
    quota = "the quota L-1216C47A of us-east-1 is 16, of which others use 4"
    (problem,) = account.check(**nodes(4)).problems
    assert problem == (
        "nodes",
        {"count": 4, "instance_type": "m7i.xlarge"},
        f"these nodes have 16 vCPUs, and {quota}",
        f"fewer or smaller nodes, or have the quota raised: {raised} --desired-value 26",
    )
    warned = account.check(**nodes(3))
    assert warned.problems == ()
    assert "".join(warned.warnings) == (
        f"nodes: {quota}. The 3 nodes fit, but not one more while a node is replaced and an image is built (18 vCPUs). "
        f"Have it raised: {raised} --desired-value 22"
    )
    assert account.check(**nodes(1)) == Judgement()


@pytest.mark.parametrize("account", [Before(vcpus=16)], indirect=True)
def test_nodes_that_run_already_are_counted_once(account: Account) -> None:
    own = {"benchwright:application": "wb", "benchwright:cluster": "blue"}
    account.run("m7i.xlarge", 4, own)
    assert account.check(deployed=True, **nodes(4)).problems == ()
    account.run("m7i.xlarge", 1, own | {"benchwright:cluster": "green"})
    assert [value for _, value, _ in lines(account.check(deployed=True, **nodes(4)))] == [nodes(4)["nodes"]]


def test_an_instance_type_without_a_known_quota_is_not_counted(account: Account) -> None:
    (warning,) = account.check(**nodes(2, "g4dn.xlarge")).warnings
    assert warning == (
        "the vCPU quota L-DB2E81BA could not be checked: An error occurred (NoSuchResourceException) when calling the "
        "GetServiceQuota operation: The request failed because the specified quota does not exist."
    )


@pytest.mark.parametrize("account", [Before(own_ebs_key=True)], indirect=True)
def test_a_key_that_auto_scaling_may_not_use(account: Account) -> None:
    keys = account.aws.client("kms")
    account.ec2.get_ebs_default_kms_key_id()
    (key,) = [each["KeyArn"] for each in keys.list_keys()["Keys"]]
    (warning,) = account.check(**nodes()).warnings
    assert warning.startswith(f"The account's default EBS key is {key}, and neither its policy nor a grant names Auto")
    role = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    keys.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
    assert account.check(**nodes()) == Judgement()
    (grant,) = keys.list_grants(KeyId=key)["Grants"]
    keys.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    keys.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    assert account.check(**nodes()) == Judgement()


@pytest.mark.parametrize("attribute", ["EnableDnsHostnames", "EnableDnsSupport"])
def test_a_network_without_dns(account: Account, attribute: str) -> None:
    account.ec2.modify_vpc_attribute(VpcId=account.vpc, **{attribute: {"Value": False}})
    name = attribute[0].lower() + attribute[1:]
    option = {"EnableDnsHostnames": "enable-dns-hostnames", "EnableDnsSupport": "enable-dns-support"}[attribute]
    assert account.check(**nodes()).problems == (
        (
            "the network",
            account.vpc,
            f"its {name} is off, so nodes do not find their file system",
            f"it a value: aws ec2 modify-vpc-attribute --vpc-id {account.vpc} --{option} Value=true",
        ),
    )


def test_subnets_of_one_zone_of_another_network_and_none(account: Account) -> None:
    first, _ = account.subnets
    same = account.ec2.create_subnet(VpcId=account.vpc, CidrBlock="10.0.100.0/24", AvailabilityZone="us-east-1a")
    foreign = make_network(account.aws.client, 3)["PrivateSubnetIds"].split(",")[2]
    twin = same["Subnet"]["SubnetId"]
    account.parameters["PrivateSubnetIds"] = f"{first},{twin},{foreign},subnet-00000000"
    zone = account.ec2.describe_subnets(SubnetIds=[first])["Subnets"][0]["AvailabilityZone"]
    assert zone == "us-east-1a"
    found = lines(account.check(**nodes()))
    assert sorted(found[:2]) == sorted(
        [
            ("the private subnets", foreign, f"it is in {vpc_of(account, foreign)}, not in {account.vpc}"),
            ("the private subnets", "subnet-00000000", "there is no such subnet"),
        ]
    )
    path, value, wrong = found[2]
    assert (path, set(value.split(",")), wrong) == (
        "the private subnets",
        {first, twin},
        "they are all in us-east-1a, and a file system takes one subnet of each zone",
    )


def vpc_of(account: Account, subnet: str) -> str:
    return str(account.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"])


def test_a_subnet_that_is_too_small(account: Account) -> None:
    small = account.ec2.create_subnet(VpcId=account.vpc, CidrBlock="10.0.100.0/28", AvailabilityZone="us-east-1c")
    name = small["Subnet"]["SubnetId"]
    account.parameters["PrivateSubnetIds"] = f"{account.subnets[0]},{name}"
    assert account.check(**nodes(11)).problems == ()
    wrong = "it has 11 free addresses, and the cluster needs 12 more"
    assert lines(account.check(**nodes(13))) == [("the private subnets", name, wrong)]
    account.run("m7i.large", 13, {"benchwright:application": "wb", "benchwright:cluster": "blue"})
    assert account.check(deployed=True, **nodes(13)).problems == ()


def test_a_cluster_whose_instances_nobody_tells_is_not_refused_for_them(aws: Conversation) -> None:
    subnet = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1a", "AvailableIpAddressCount": 1}
    observed = account_check.Observed(subnets=[subnet, subnet | {"SubnetId": "subnet-2", "AvailabilityZone": "b"}])
    wanted = Wanted.model_validate(DEFAULTS | nodes(13))
    assert account_check.judge(wanted, "blue", True, observed) == Judgement()
    assert len(account_check.judge(wanted, "blue", False, observed).problems) == 2


def test_a_subnet_without_a_way_out_needs_endpoints(account: Account) -> None:
    first, second = account.subnets
    gateway = account.ec2.describe_internet_gateways()["InternetGateways"]
    attached = next(each for each in gateway if each["Attachments"][0]["VpcId"] == account.vpc)["InternetGatewayId"]
    table = account.table(second)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=attached)
    called = ["autoscaling", "dynamodb", "logs", "s3", "secretsmanager", "ssm", "ssmmessages"]

    def wrong(lacking: list[str]) -> str:
        return (
            "its route table has no route for 0.0.0.0/0 that instances without a public address can use, and the "
            f"network has no endpoints of {', '.join(lacking)} for it"
        )

    assert lines(account.check(**nodes())) == [("the private subnets", second, wrong(called))]
    for service in called[:1] + called[2:3] + called[4:]:
        account.ec2.create_vpc_endpoint(
            VpcId=account.vpc,
            ServiceName=f"com.amazonaws.us-east-1.{service}",
            VpcEndpointType="Interface",
            SubnetIds=[first],
        )
    for service, of in (("s3", table), ("dynamodb", account.table())):  # of which only one is the subnet's
        account.ec2.create_vpc_endpoint(
            VpcId=account.vpc,
            ServiceName=f"com.amazonaws.us-east-1.{service}",
            VpcEndpointType="Gateway",
            RouteTableIds=[of],
        )
    assert lines(account.check(**nodes())) == [("the private subnets", second, wrong(["dynamodb"]))]


def test_an_image_build_without_the_internet_is_a_warning(account: Account) -> None:
    table = account.table(account.subnets[0])
    for service in account_check.CALLED:
        account.ec2.create_vpc_endpoint(
            VpcId=account.vpc,
            ServiceName=f"com.amazonaws.us-east-1.{service}",
            VpcEndpointType="Gateway",
            RouteTableIds=[table],
        )
    told = account.check(**nodes())
    assert told.problems == ()
    assert [text.partition(",")[0] for text in told.warnings] == [f"{account.subnets[0]} has no route to the internet"]
    assert account.check(**nodes(), image={"ami": "ami-00000000"}) == Judgement()


def test_what_aws_does_not_say_is_a_warning(aws: Conversation) -> None:
    denied = refusal("UnauthorizedOperation", "You are not authorized")
    reads = ("InstanceTypes", "InstanceTypeOfferings", "Subnets", "VpcAttribute", "RouteTables", "Instances")
    aws.answers |= {f"Describe{name}": denied for name in reads}
    aws.answers["GetEbsDefaultKmsKeyId"] = denied
    aws.answers["GetServiceQuota"] = EndpointConnectionError(endpoint_url="https://servicequotas")
    told = check(Wanted.model_validate(DEFAULTS | nodes()), "blue", deployed=False)
    assert told.problems == ()
    assert [warning.partition(" could not be checked: ")[0] for warning in told.warnings] == [
        "the private subnets",
        "the routes of the network",
        "the instance type",
        "the DNS settings of the network",
        "the vCPU quota L-1216C47A",
        "the instances that run",
        "the account's default EBS key",
    ]
