"""The first state reports what an account lacks, with value and remedy; what cannot be looked up is a warning.

The account is the local AWS: its networks, instance types, offerings and keys are moto's.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.moto_api._internal.models import moto_api_backend

from benchwright.aws import session
from benchwright.models import Wanted
from benchwright.planning import account_check
from benchwright.planning.account_check import Judgement, check
from benchwright.settings import settings
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.initial_account import InitialAccount, make_network
from tests.templates.templates import APPLICATION
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.planning.test_plan import DEFAULTS

SERVICES = ("rehearsal.aws.services.account", "rehearsal.aws.services.rds")


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

    def check(self, *, begun: bool = False, deployed: bool = False, **wanted: Any) -> Judgement:
        """What the first state says, in the environment of the function."""
        environment = self.aws.environment("ResolvePlan") | {
            "APPLICATION": "wb",
            "CLOUDFORMATION_ROLE_ARN": "arn:aws:iam::123456789012:role/wb/cloudformation",
            "VPC_ID": self.vpc,
            "PRIVATE_SUBNET_IDS": self.parameters["PrivateSubnetIds"],
        }
        with mock.patch.dict(os.environ, environment), mock.patch.dict("benchwright.aws._clients", clear=True):
            settings.cache_clear()
            session.cache_clear()
            try:
                given = Wanted.model_validate(DEFAULTS | wanted)
                return check(given, "blue", begun=begun or deployed, deployed=deployed)
            finally:
                settings.cache_clear()
                session.cache_clear()


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
    """An empty account but for its network, like the parameter of the test: an InitialAccount."""
    moto_api_backend.reset()
    local.initial_account = getattr(request, "param", InitialAccount())
    return Account(local, local.initial_account.subnets or 2)


def nodes(count: int = 2, instance_type: str = "m7i.xlarge") -> dict[str, Any]:
    return {"nodes": {"count": count, "instance_type": instance_type}}


def lines(judgement: Judgement) -> list[tuple[str, Any, str]]:
    """Path, value and what is wrong; every problem has a remedy."""
    assert all(give for *_, give in judgement.problems)
    return [(path, value, wrong) for path, value, wrong, _ in judgement.problems]


def test_an_account_that_has_all_is_not_mentioned(account: Account) -> None:
    assert account.check(**nodes()) == Judgement()


AURORA = "Aurora Serverless v2 (aurora-postgresql, db.serverless), and the database needs two that have it"


@pytest.mark.parametrize(
    ("account", "having"),
    [
        (InitialAccount(without_aurora="a"), "only us-east-1b"),
        (InitialAccount(without_aurora="ab"), "none"),
    ],
    indirect=["account"],
)
def test_zones_of_which_fewer_than_two_have_aurora(account: Account, having: str) -> None:
    (problem,) = account.check(**nodes()).problems
    without = account.aws.initial_account.without_aurora
    have = ", ".join(f"us-east-1{zone}" for zone in "abcdef" if zone not in without)
    assert problem == (
        "the private subnets",
        ",".join(sorted(account.subnets)),
        f"of their zones, us-east-1a and us-east-1b, {having} has {AURORA}",
        f"AvailabilityZones, or PrivateSubnetIds of your own network, in at least two of {have} to sam deploy",
    )
    judged = account.check(deployed=True, **nodes())  # its database runs
    assert not judged.problems
    assert f"{AURORA}. Give AvailabilityZones" in judged.warnings[0]


@pytest.mark.parametrize("account", [InitialAccount(without_aurora="abcdef")], indirect=True)
def test_a_region_without_aurora_serverless(account: Account) -> None:
    (problem,) = account.check(**nodes()).problems
    assert problem[2:] == (
        f"of their zones, us-east-1a and us-east-1b, none has {AURORA}",
        "the application a region that has it",
    )


@pytest.mark.parametrize("account", [InitialAccount(subnets=3, without_aurora="b")], indirect=True)
def test_a_third_zone_without_aurora_does_no_harm(account: Account) -> None:
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
    judged = account_check.judge(wanted, "blue", observed, begun=False, deployed=False)
    assert lines(judged) == [("nodes.instance_type", "z99.xlarge", wrong)]


@pytest.mark.parametrize("account", [InitialAccount(subnets=6)], indirect=True)
def test_an_instance_type_that_a_zone_lacks(account: Account) -> None:
    (problem,) = account.check(**nodes()).problems
    zones = " and ".join(f"us-east-1{zone}" for zone in "abcdef")
    assert problem == (
        "nodes.instance_type",
        "m7i.xlarge",
        "us-east-1e, in which the cluster has a subnet, has no instances of this type",
        f"a type that {zones} have, or deploy the application with subnets in other zones",
    )


@pytest.mark.parametrize("account", [InitialAccount(subnets=6)], indirect=True)
def test_a_type_that_runs_already_in_other_zones_is_a_warning(account: Account) -> None:
    account.run("m7i.xlarge", 1, OWN)
    (problem,) = account.check(deployed=True, **nodes(2, "m7i.2xlarge")).problems
    assert problem[:2] == ("nodes.instance_type", "m7i.2xlarge")
    judged = account.check(deployed=True, **nodes())
    (warning,) = judged.warnings
    assert judged.problems == ()
    assert warning.startswith("nodes.instance_type m7i.xlarge: us-east-1e, in which the cluster has a subnet, has no")


def test_a_build_is_counted_with_the_vcpus_of_its_instance() -> None:
    types = APPLICATION["Resources"]["BuildInfrastructure"]["Properties"]["InstanceTypes"]
    assert {INSTANCE_TYPES[each]["VCpuInfo"]["DefaultVCpus"] for each in types} == {account_check.BUILD_VCPUS}


@pytest.mark.parametrize("account", [InitialAccount(vcpus=16)], indirect=True)
def test_nodes_for_which_the_quota_has_no_room(account: Account) -> None:
    account.run("m5.large", 2, {"Name": "of others"})
    account.run("g4dn.xlarge", 2, {"Name": "of another quota"})
    account.run("m5.xlarge", 1, BUILDS)
    raised = "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-1216C47A"
    quota = "the quota L-1216C47A of us-east-1 is 16, of which others use 4"
    (problem,) = account.check(**nodes(4)).problems
    assert problem == (
        "nodes",
        {"count": 4, "instance_type": "m7i.xlarge"},
        f"these nodes have 16 vCPUs, and {quota}",
        f"fewer or smaller nodes, or have the quota raised: {raised} --desired-value 28",
    )
    warned = account.check(**nodes(3))
    assert warned.problems == ()
    assert "".join(warned.warnings) == (
        f"nodes: {quota}. The 3 nodes fit, but not 1 more while nodes are replaced and an image is built (20 vCPUs). "
        f"Have it raised: {raised} --desired-value 24"
    )
    assert account.check(**nodes(1)) == Judgement()


@pytest.mark.usefixtures("aws")
def test_instances_of_dedicated_hosts_and_spot_instances_have_quotas_of_their_own() -> None:
    """moto knows no tenancy of an instance."""
    other = {"InstanceType": "m5.large", "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2}}
    of_a_host, dedicated = ({**other, "Placement": {"Tenancy": tenancy}} for tenancy in ("host", "dedicated"))
    type_of_nodes = {
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": 4},
        "MemoryInfo": {"SizeInMiB": 16384},
    }
    wanted = Wanted.model_validate(DEFAULTS | nodes(3))

    def judged(*others: Mapping[str, Any]) -> Judgement:
        observed = account_check.Observed(type=type_of_nodes, quota=20, instances=others)
        return account_check.judge(wanted, "blue", observed, begun=False, deployed=False)

    assert judged(of_a_host, {**other, "InstanceLifecycle": "spot"}) == Judgement()
    assert [text for text in judged(dedicated).warnings if "of which others use 2." in text]


def test_a_session_cannot_have_more_than_a_node_has_beside_its_share(account: Account) -> None:
    """m7i.xlarge has 4 CPUs and 16 GiB, of which a tenth is the node's own where no input says more."""
    most = {"default": {"cpus": 4, "max_cpus": 4, "max_memory_mb": 14746}}
    assert account.check(limits=most).problems == ()
    assert account.check(limits=most, nodes={"count": 2, "instance_type": "m7i.large"}).problems != ()
    beyond = {
        "default": {"cpus": 4.5, "memory_mb": 14747},
        "groups": {"analysts": {"max_cpus": 8}},
        "users": {"ann": {"max_memory_mb": 20000}},
    }
    larger = "or larger nodes (nodes.instance_type)"
    has = "an instance of the type of the nodes has"
    assert account.check(limits=beyond).problems == (
        ("limits.default.cpus", 4.5, f"{has} 4 CPUs", f"at most 4, {larger}"),
        ("limits.default.memory_mb", 14747, f"{has} 14746 MiB for sessions", f"at most 14746, {larger}"),
        ("limits.groups.analysts.max_cpus", 8, f"{has} 4 CPUs", f"at most 4, {larger}"),
        ("limits.users.ann.max_memory_mb", 20000, f"{has} 14746 MiB for sessions", f"at most 14746, {larger}"),
    )
    reserved = {"reserved_memory_mb": 4096, "default": {"memory_mb": 12289}}
    assert [value for _, value, *_ in account.check(limits=reserved).problems] == [12289]
    assert account.check(limits={"reserved_memory_mb": 8193}).problems == (
        (
            "limits.reserved_memory_mb",
            8193,
            "an instance has 16384 MiB, and sessions would have less than half of it",
            "at most 8192, or larger nodes",
        ),
    )


@pytest.mark.parametrize("account", [InitialAccount(vcpus=16)], indirect=True)
def test_nodes_that_run_already_are_counted_once(account: Account) -> None:
    account.run("m7i.xlarge", 4, OWN)
    assert account.check(deployed=True, **nodes(4)).problems == ()
    account.run("m7i.xlarge", 1, OWN | {"benchwright:cluster": "green"})
    assert [value for _, value, _ in lines(account.check(deployed=True, **nodes(4)))] == [nodes(4)["nodes"]]


def test_an_instance_type_without_a_known_quota_is_not_counted(account: Account) -> None:
    (warning,) = account.check(**nodes(2, "g4dn.xlarge"), image={"nvidia": "580"}).warnings
    assert warning == (
        "the vCPU quota L-DB2E81BA could not be checked: An error occurred (NoSuchResourceException) when calling the "
        "GetServiceQuota operation: The request failed because the specified quota does not exist."
    )


@pytest.mark.parametrize("account", [InitialAccount(own_ebs_key=True)], indirect=True)
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
    judged = account.check(**nodes())
    give = "AvailabilityZones, or PrivateSubnetIds of your own network, in different zones to sam deploy"
    assert judged.problems[2][3] == give
    found = lines(judged)
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


def test_a_subnet_that_is_given_twice(account: Account) -> None:
    name, _ = account.subnets
    account.parameters["PrivateSubnetIds"] = f"{name},{name}"
    (problem,) = account.check(**nodes()).problems
    wrong = "it is given more than once, and a file system takes one subnet of each zone"
    assert problem == ("the private subnets", name, wrong, "PrivateSubnetIds that differ to sam deploy")


def small_subnets(account: Account) -> list[str]:
    """Two subnets with eleven free addresses each."""
    made = [
        account.ec2.create_subnet(VpcId=account.vpc, CidrBlock=f"10.0.100.{16 * at}/28", AvailabilityZone=zone)
        for at, zone in enumerate(("us-east-1a", "us-east-1b"))
    ]
    names = [each["Subnet"]["SubnetId"] for each in made]
    account.parameters["PrivateSubnetIds"] = ",".join(names)
    return names


OWN = {"benchwright:application": "wb", "benchwright:cluster": "blue"}
BUILDS = {"benchwright:application": "wb"}


def test_subnets_that_are_too_small(account: Account) -> None:
    names = small_subnets(account)
    assert account.check(**nodes(10)).problems == ()
    wrong = (
        "they have 22 free addresses together, and the cluster needs 23"  # 5 in each, 11, and 2 while they are replaced
    )
    assert lines(account.check(**nodes(11))) == [("the private subnets", ",".join(names), wrong)]
    account.run("m7i.large", 7, {"Name": "of others"})
    wrong = "it has 4 free addresses, and the cluster needs 5 beside nodes"
    assert lines(account.check(**nodes(2))) == [("the private subnets", names[0], wrong)]
    assert account.check(begun=True, **nodes(2)) == Judgement()  # it may have all but the nodes


def test_a_full_subnet_of_a_deployed_cluster(account: Account) -> None:
    """The other one has an address for the node that is launched before its predecessor goes."""
    names = small_subnets(account)
    account.run("m7i.large", 2, OWN)
    account.run("m7i.large", 9, {"Name": "of others"})
    assert account.check(deployed=True, **nodes(2)) == Judgement()
    account.parameters["PrivateSubnetIds"] = names[0]
    judged = account.check(deployed=True, **nodes(2))
    assert judged.problems == ()
    crowded = (
        f"the private subnets {names[0]}: they have 0 free addresses, and the nodes need 1 more (1 while nodes are "
        "replaced). Free addresses in them, or nodes do not start."
    )
    assert judged.warnings == (crowded,)


def test_a_cluster_whose_instances_are_not_known_is_not_refused_for_them(aws: Conversation) -> None:
    subnet = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1a", "AvailableIpAddressCount": 1}
    observed = account_check.Observed(subnets=[subnet, subnet | {"SubnetId": "subnet-2", "AvailabilityZone": "b"}])
    wanted = Wanted.model_validate(DEFAULTS | nodes(13))
    assert account_check.judge(wanted, "blue", observed, begun=True, deployed=False) == Judgement()
    assert len(account_check.judge(wanted, "blue", observed, begun=False, deployed=False).problems) == 2


def internet_gateway(account: Account) -> str:
    gateways = account.ec2.describe_internet_gateways()["InternetGateways"]
    own = next(each for each in gateways if each["Attachments"][0]["VpcId"] == account.vpc)
    return str(own["InternetGatewayId"])


def doubt(subnet: str, lacking: Sequence[str]) -> str:
    return (
        f"{subnet} shows neither a route for 0.0.0.0/0 that instances without a public address can use nor endpoints "
        f"of {', '.join(lacking)}: unless it reaches them by other routes, the deployment fails."
    )


CLOSED = "its route table leads nowhere but into the network, which has no endpoints, so it has no way to AWS"


def test_a_subnet_without_any_way_out_is_refused_unless_the_cluster_is_deployed(account: Account) -> None:
    _, second = account.subnets
    account.table(second)
    (problem,) = account.check(**nodes()).problems
    give = (
        "it a route for 0.0.0.0/0 to a NAT gateway or a transit gateway, or the network endpoints of "
        f"{', '.join(account_check.CALLED)}"
    )
    assert problem == ("the private subnets", second, CLOSED, give)
    assert account.check(deployed=True, **nodes()) == Judgement(
        warnings=(f"the private subnets {second}: {CLOSED}. Give {give}.",)
    )


def test_a_subnet_with_some_endpoints_or_an_internet_gateway_is_a_warning(account: Account) -> None:
    first, second = account.subnets
    table = account.table(second)
    called = account_check.CALLED
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
    assert account.check(**nodes()) == Judgement(warnings=(doubt(second, ["dynamodb"]),))


def test_an_internet_gateway_alone_is_a_warning(account: Account) -> None:
    _, second = account.subnets
    table = account.table(second)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=internet_gateway(account))
    assert account.check(**nodes()) == Judgement(warnings=(doubt(second, account_check.CALLED),))


SUBNET = {"VpcId": "vpc-1", "AvailableIpAddressCount": 4000}
LOCAL = {"DestinationCidrBlock": "10.1.0.0/16", "GatewayId": "local", "State": "active"}
TRANSIT = {"TransitGatewayId": "tgw-1", "State": "active"}


def judge_routes(*routes: Mapping[str, Any], visible: bool = True, owner: str = "123456789012") -> Judgement:
    """The judgement of subnet-1 with these routes, in a network without endpoints; subnet-2 has a NAT gateway."""
    nat = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
    tables = [
        {"RouteTableId": "rtb-1", "Associations": [{"SubnetId": "subnet-1"}], "Routes": [LOCAL, *routes]},
        {"RouteTableId": "rtb-2", "Associations": [{"SubnetId": "subnet-2"}], "Routes": [LOCAL, nat]},
    ]
    first, second = (
        {**SUBNET, "OwnerId": owner, "SubnetId": f"subnet-{at}", "AvailabilityZone": str(at)} for at in (1, 2)
    )
    observed = account_check.Observed(subnets=[first, second], routes=tables[0 if visible else 1 :], endpoints=[])
    wanted = Wanted.model_validate(DEFAULTS | nodes() | {"image": {"ami": "ami-00000000"}})
    return account_check.judge(wanted, "blue", observed, begun=False, deployed=False)


@pytest.mark.usefixtures("aws")
def test_a_default_route_in_parts_is_one() -> None:
    first, second = ({**TRANSIT, "DestinationCidrBlock": block} for block in ("0.0.0.0/1", "128.0.0.0/1"))
    assert judge_routes(first, second) == Judgement()
    assert judge_routes(first) == Judgement(warnings=(doubt("subnet-1", account_check.CALLED),))


@pytest.mark.usefixtures("aws")
def test_what_routes_do_not_show_refuses_nothing() -> None:
    unsure = Judgement(warnings=(doubt("subnet-1", account_check.CALLED),))
    assert judge_routes({**TRANSIT, "DestinationPrefixListId": "pl-1"}) == unsure
    assert judge_routes({**TRANSIT, "DestinationCidrBlock": "10.0.0.0/8"}) == unsure
    assert judge_routes(owner="210987654321") == unsure  # with endpoints of its owner
    assert judge_routes(visible=False) == unsure


@pytest.mark.usefixtures("aws")
def test_a_route_that_leads_nowhere_is_none() -> None:
    gone = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "blackhole"}
    assert lines(judge_routes(gone)) == [("the private subnets", "subnet-1", CLOSED)]


@pytest.mark.parametrize(
    "break_network",
    [
        lambda account: account.ec2.modify_vpc_attribute(VpcId=account.vpc, EnableDnsHostnames={"Value": False}),
        lambda account: account.parameters.update(PrivateSubnetIds=f"{account.subnets[0]},subnet-00000000"),
        lambda account: account.table(account.subnets[1]),
    ],
    ids=["no host names", "no such subnet", "no way out"],
)
def test_nothing_about_the_network_refuses_a_deployed_cluster(
    account: Account, break_network: Callable[[Account], Any]
) -> None:
    break_network(account)
    (problem,) = account.check(**nodes()).problems
    path, value, wrong, give = problem
    judged = account.check(deployed=True, **nodes())
    assert judged == Judgement(warnings=(f"{path} {value}: {wrong}. Give {give}.",))


def test_an_image_build_without_the_internet_is_a_warning(account: Account) -> None:
    table = account.table(account.subnets[0])
    for service in account_check.CALLED:
        account.ec2.create_vpc_endpoint(
            VpcId=account.vpc,
            ServiceName=f"com.amazonaws.us-east-1.{service}",
            VpcEndpointType="Gateway",
            RouteTableIds=[table],
        )
    reported = account.check(**nodes())
    assert reported.problems == ()
    assert [text.partition(",")[0] for text in reported.warnings] == [
        f"{account.subnets[0]} shows no route to the internet"
    ]
    assert account.check(**nodes(), image={"ami": "ami-00000000"}) == Judgement()


def test_what_aws_does_not_say_is_a_warning(aws: Conversation) -> None:
    denied = refusal("UnauthorizedOperation", "You are not authorized")
    reads = ("InstanceTypes", "InstanceTypeOfferings", "Subnets", "VpcAttribute", "RouteTables", "Instances")
    aws.answers |= {f"Describe{name}": denied for name in reads}
    aws.answers["GetEbsDefaultKmsKeyId"] = denied
    aws.answers["GetServiceQuota"] = EndpointConnectionError(endpoint_url="https://servicequotas")
    reported = check(Wanted.model_validate(DEFAULTS | nodes()), "blue", begun=False, deployed=False)
    assert reported.problems == ()
    assert [warning.partition(" could not be checked: ")[0] for warning in reported.warnings] == [
        "the private subnets",
        "the routes of the network",
        "the instance type",
        "the DNS settings of the network",
        "the vCPU quota L-1216C47A",
        "the instances that run",
        "the account's default EBS key",
    ]


@pytest.mark.parametrize(
    ("instance_type", "nvidia", "warned"),
    [
        ("m7i.xlarge", None, ""),
        ("g4dn.xlarge", "580", ""),
        ("g4dn.xlarge", None, "image.nvidia: g4dn.xlarge has GPUs (T4), and nothing can use them without a driver."),
        ("m7i.xlarge", "580", "image.nvidia 580: m7i.xlarge has no GPU of NVIDIA, so the driver has nothing to do."),
    ],
)
def test_a_driver_goes_with_the_gpus_of_the_instance_type(
    account: Account, instance_type: str, nvidia: str | None, warned: str
) -> None:
    found = account.check(nodes={"count": 1, "instance_type": instance_type}, image={"nvidia": nvidia})
    warnings = [warning for warning in found.warnings if "image.nvidia" in warning]
    assert [problem for problem in found.problems if "GPU" in problem[2]] == []
    assert [warning[: len(warned)] for warning in warnings] == ([warned] if warned else [])
    own = account.check(nodes={"count": 1, "instance_type": instance_type}, image={"ami": "ami-0123456789abcdef0"})
    assert [warning for warning in own.warnings if "image.nvidia" in warning] == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("maker", "gpu", "problem", "warned"),
    [
        (
            "NVIDIA",
            "V100",
            "its GPU V100 is older than Turing, and image.nvidia brings NVIDIA's open modules, which",
            "",
        ),
        ("NVIDIA", "T4", "", ""),
        ("AMD", "Radeon Pro V520", "", "image.nvidia 580: z99.xlarge has no GPU of NVIDIA, so the driver has nothing"),
    ],
)
def test_a_gpu_that_the_open_modules_do_not_know_is_refused(maker: str, gpu: str, problem: str, warned: str) -> None:
    described = {"ProcessorInfo": {"SupportedArchitectures": ["x86_64"]}, "VCpuInfo": {"DefaultVCpus": 4}}
    observed = account_check.Observed(type=described | {"GpuInfo": {"Gpus": [{"Name": gpu, "Manufacturer": maker}]}})
    wanted = Wanted.model_validate(DEFAULTS | nodes(1, "z99.xlarge") | {"image": {"nvidia": "580"}})
    judged = account_check.judge(wanted, "blue", observed, begun=False, deployed=False)
    assert [found[2].startswith(problem) for found in judged.problems] == ([True] if problem else [])
    assert [warning.startswith(warned) for warning in judged.warnings] == ([True] if warned else [])
