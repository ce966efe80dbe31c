"""What an account must offer before a deployment begins: the instance type in each zone, Aurora in two of them, vCPUs,
a network that works, and the use of its EBS key.

`observe` asks AWS, `judge` is pure. A look-up that AWS denies or does not answer is a warning: it must not stop a
deployment that would succeed.
"""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.models import Wanted
from benchwright.planning import engine, limits
from benchwright.planning.problems import Problem, remedy
from benchwright.settings import APPLICATION_TAG, CLUSTER_TAG, settings
from benchwright.values import ENGINE_VERSION

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

# Quotas of running On-Demand vCPUs, by the letters that a family begins with.
# Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
STANDARD = "L-1216C47A"
QUOTAS: Mapping[str, str] = dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), STANDARD) | {
    **dict.fromkeys(("g", "gr", "vt"), "L-DB2E81BA"),
    "dl": "L-6E869C2A",
    "f": "L-74FC7D96",
    "hpc": "L-F7808C92",
    "inf": "L-1945791B",
    "p": "L-417A185B",
    "trn": "L-2C3B7624",
    "x": "L-7295265B",
}
# GPUs of the instance types p2, g3 and p3, by EC2's names: NVIDIA's open kernel modules do not support them (NVIDIA,
# "Linux open GPU kernel modules", compatible GPUs).
BEFORE_TURING = frozenset({"K80", "M60", "V100"})
BUILD_VCPUS = 4  # of m7i.xlarge and m6i.xlarge, the InstanceTypes of BuildInfrastructure in template.yaml
# Addresses that a cluster takes at most in one subnet beside those of its nodes: a mount target, two database
# instances, the function that talks to PostgreSQL, an image build. docs/deploying.md has the number, too.
OTHER_ADDRESSES = 5
SUBNETS = "the private subnets"
# What nodes and the function that talks to PostgreSQL call, where no route leads out of the network.
CALLED = ("autoscaling", "dynamodb", "logs", "s3", "secretsmanager", "ssm", "ssmmessages")
WAYS_OUT = (
    *("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId", "CoreNetworkArn"),
    *("LocalGatewayId", "CarrierGatewayId"),
)
EVERYWHERE = ipaddress.IPv4Network("0.0.0.0/0")
KEY_OF_AWS = "alias/aws/ebs"
AUTO_SCALING = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


class Observed(NamedTuple):
    """What AWS said; None where it did not say it, and `unknown` has the reason.

    type: the instance type as EC2 describes it, empty where there is none of this name. offered: zones that have
    it. aurora: zones in which RDS offers the database's instances. quota: vCPUs. instances: all that run. key: of
    EBS, where it is one of the account's own that Auto Scaling's role is not known to be allowed to use; else an
    empty text.
    """

    type: Mapping[str, Any] | None = None
    subnets: Sequence[Mapping[str, Any]] | None = None
    offered: frozenset[str] | None = None
    dns: Mapping[str, bool] | None = None
    routes: Sequence[Mapping[str, Any]] | None = None
    endpoints: Sequence[Mapping[str, Any]] | None = None
    aurora: frozenset[str] | None = None
    quota: float | None = None
    instances: Sequence[Mapping[str, Any]] | None = None
    key: str | None = None
    unknown: tuple[str, ...] = ()


class Judgement(NamedTuple):
    """problems: what makes a deployment fail; warnings: what may, or could not be looked up."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def check(wanted: Wanted, cluster: str, *, begun: bool, deployed: bool) -> Judgement:
    """Ask AWS, and judge; nothing is changed.

    begun: an execution planned this cluster, so part of what it needs may be its own. deployed: it was verified.
    """
    return judge(wanted, cluster, observe(wanted.nodes.instance_type), begun=begun, deployed=deployed)


class _Questions:
    """Answers by field of Observed; a question that AWS does not answer leaves a warning."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def ask[Answer](self, what: str, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except (BotoCoreError, ClientError) as error:
            self.unknown.append(f"{what} could not be checked: {error}")
            return None


def observe(instance_type: str) -> Observed:
    """Look up all that `judge` needs to know."""
    ask = (questions := _Questions()).ask
    subnets = ask("the private subnets", _subnets)
    zones = sorted({subnet["AvailabilityZone"] for subnet in subnets or []})
    routes = ask("the routes of the network", _routes)
    asks_for_endpoints = routes is not None and any(not _leads_out(subnet, routes) for subnet in subnets or [])
    code = QUOTAS.get(_family(instance_type))
    observed = Observed(
        type=ask("the instance type", lambda: _type(instance_type)),
        subnets=subnets,
        offered=ask("the zones of the instance type", lambda: _offered(instance_type, zones)) if zones else None,
        dns=ask("the DNS settings of the network", _dns),
        routes=routes,
        endpoints=ask("the endpoints of the network", _endpoints) if asks_for_endpoints else None,
        aurora=ask("the zones of Aurora", _aurora) if zones else None,
        quota=ask(f"the vCPU quota {code}", lambda: _quota(code)) if code else None,
        instances=ask("the instances that run", _instances),
        key=ask("the account's default EBS key", _key),
    )
    return observed._replace(unknown=tuple(questions.unknown))


def judge(wanted: Wanted, cluster: str, observed: Observed, *, begun: bool, deployed: bool) -> Judgement:
    """Decide what of the account makes this deployment fail, and what may.

    Nothing of the network refuses a deployed cluster: it works there, and its network cannot be exchanged. Nor does a
    zone without the instance type where nodes of this type run in others.
    """
    runs = any(
        _is_own(instance, cluster) and instance["InstanceType"] == wanted.nodes.instance_type
        for instance in observed.instances or []
    )
    zones = [*_judge_zones(wanted, observed)]
    lacking, doubts = _judge_routes(observed)
    short, crowded = _judge_addresses(wanted, cluster, observed, begun)
    network = [*_judge_network(observed), *_judge_aurora(observed), *short, *lacking]
    tolerated = [*(zones if runs else []), *(network if deployed else [])]
    problems = [
        *_judge_type(wanted, observed),
        *_judge_limits(wanted, observed),
        *([] if runs else zones),
        *([] if deployed else network),
    ]
    warnings = [
        *observed.unknown,
        *(f"{path} {value}: {wrong}. {remedy(give)}." for path, value, wrong, give in tolerated),
        *doubts,
        *crowded,
        *_judge_key(observed),
        *_judge_driver(wanted, observed),
        *_judge_downloads(wanted, observed),
    ]
    too_many, tight = _judge_quota(wanted, cluster, observed)
    return Judgement((*problems, *too_many), (*warnings, *tight))


def _judge_type(wanted: Wanted, observed: Observed) -> Iterable[Problem]:
    name, path = wanted.nodes.instance_type, "nodes.instance_type"
    region = client("ec2").meta.region_name
    if observed.type is None:
        return
    if not observed.type:
        yield path, name, f"{region} has no such instance type", "an x86_64 instance type of this region"
        return
    architectures = observed.type["ProcessorInfo"]["SupportedArchitectures"]
    if "x86_64" not in architectures:
        wrong = f"it is of {' and '.join(architectures)}; the image of Benchwright is x86_64"
        yield path, name, wrong, "an x86_64 instance type"
    if wanted.image.nvidia and (old := [gpu for gpu in _gpus(observed) if gpu in BEFORE_TURING]):
        wrong = f"its GPU {old[0]} is older than Turing, and image.nvidia brings NVIDIA's open modules, which need that"
        yield path, name, wrong, "a type with newer GPUs, or image.ami with a driver of your own"


def _judge_limits(wanted: Wanted, observed: Observed) -> Iterable[Problem]:
    if observed.type and "MemoryInfo" in observed.type:
        cpus, memory = observed.type["VCpuInfo"]["DefaultVCpus"], observed.type["MemoryInfo"]["SizeInMiB"]
        yield from limits.beyond_a_node(wanted.limits, cpus, memory)


def _judge_driver(wanted: Wanted, observed: Observed) -> Iterable[str]:
    """Whether the driver of the image and the GPUs of the instance type go together."""
    if not observed.type or wanted.image.ami:
        return
    name, gpus = wanted.nodes.instance_type, _gpus(observed)
    if gpus and not wanted.image.nvidia:
        yield f"image.nvidia: {name} has GPUs ({', '.join(gpus)}), and nothing can use them without a driver. Give one."
    if wanted.image.nvidia and not gpus:
        yield f"image.nvidia {wanted.image.nvidia}: {name} has no GPU of NVIDIA, so the driver has nothing to do."


def _gpus(observed: Observed) -> list[str]:
    """Return the names of NVIDIA's GPUs of the instance type."""
    found = (observed.type or {}).get("GpuInfo", {}).get("Gpus", [])
    return [gpu["Name"] for gpu in found if gpu.get("Manufacturer") == "NVIDIA"]


def _judge_zones(wanted: Wanted, observed: Observed) -> Iterable[Problem]:
    name, path = wanted.nodes.instance_type, "nodes.instance_type"
    if not observed.type or observed.offered is None:
        return
    zones = sorted({subnet["AvailabilityZone"] for subnet in observed.subnets or []})
    if lacking := [zone for zone in zones if zone not in observed.offered]:
        wrong = f"{' and '.join(lacking)}, in which the cluster has a subnet, has no instances of this type"
        give = f"a type that {' and '.join(zones)} have, or deploy the application with subnets in other zones"
        yield path, name, wrong, give


def _judge_quota(wanted: Wanted, cluster: str, observed: Observed) -> tuple[list[Problem], list[str]]:
    """Compare the vCPUs that will run with those that may.

    Nodes are launched before old ones go, and an image is built beside the nodes: where these alone would be
    too many, the nodes can start, and the next change will fail.
    """
    code = QUOTAS.get(_family(wanted.nodes.instance_type))
    if observed.quota is None or observed.instances is None or not observed.type:
        return [], []
    each = int(observed.type["VCpuInfo"]["DefaultVCpus"])
    others = sum(
        _vcpus(instance)
        for instance in observed.instances
        if QUOTAS.get(_family(instance["InstanceType"])) == code and not _is_counted_with_ours(instance, cluster)
    )
    needed = wanted.nodes.count * each
    room = int(observed.quota) - others
    builds = BUILD_VCPUS if wanted.image.ami is None and code == STANDARD else 0
    more = wanted.nodes.at_once
    at_most = needed + more * each + builds
    raised = (
        f"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} "
        f"--desired-value {math.ceil(others + at_most)}"
    )
    quota = (
        f"the quota {code} of {client('ec2').meta.region_name} is {observed.quota:g}, of which others use {others:g}"
    )
    if needed > room:
        wrong = f"these nodes have {needed} vCPUs, and {quota}"
        give = f"fewer or smaller nodes, or have the quota raised: {raised}"
        value = {"count": wanted.nodes.count, "instance_type": wanted.nodes.instance_type}
        return [("nodes", value, wrong, give)], []
    warning = (
        f"nodes: {quota}. The {wanted.nodes.count} nodes fit, but not {more} more while nodes are replaced and an "
        f"image is built ({at_most} vCPUs). Have it raised: {raised}"
    )
    return [], [warning] if at_most > room else []


def _judge_network(observed: Observed) -> Iterable[Problem]:
    network = settings().vpc_id
    for attribute, is_on in (observed.dns or {}).items():
        if not is_on:
            give = f"it a value: aws ec2 modify-vpc-attribute --vpc-id {network} --{_option(attribute)} Value=true"
            yield "the network", network, f"its {attribute} is off, so nodes do not find their file system", give
    if observed.subnets is None:
        return
    found = {subnet["SubnetId"]: subnet for subnet in observed.subnets}
    for name, times in Counter(_subnet_ids()).items():
        if times > 1:
            wrong = "it is given more than once, and a file system takes one subnet of each zone"
            yield SUBNETS, name, wrong, "PrivateSubnetIds that differ to sam deploy"
        if name not in found:
            yield SUBNETS, name, "there is no such subnet", "PrivateSubnetIds of subnets that exist to sam deploy"
        elif found[name]["VpcId"] != network:
            wrong = f"it is in {found[name]['VpcId']}, not in {network}"
            yield SUBNETS, name, wrong, "PrivateSubnetIds in the network VpcId to sam deploy"
    for zone, times in Counter(subnet["AvailabilityZone"] for subnet in observed.subnets).items():
        if times > 1:
            same = [name for name, subnet in found.items() if subnet["AvailabilityZone"] == zone]
            wrong = f"they are all in {zone}, and a file system takes one subnet of each zone"
            give = "AvailabilityZones, or PrivateSubnetIds of your own network, in different zones to sam deploy"
            yield SUBNETS, ",".join(same), wrong, give


def _judge_aurora(observed: Observed) -> Iterable[Problem]:
    """Find zones of which fewer than two can have the database: it is on two instances in different zones.

    A subnet in a further zone without Aurora does no harm: RDS chooses among the others.
    """
    zones = {subnet["AvailabilityZone"] for subnet in observed.subnets or []}
    if observed.aurora is None or len(zones) < 2 or len(zones & observed.aurora) >= 2:
        return
    names = ",".join(sorted(subnet["SubnetId"] for subnet in observed.subnets or []))
    having = "".join(f"only {zone}" for zone in zones & observed.aurora) or "none"
    wrong = (
        f"of their zones, {' and '.join(sorted(zones))}, {having} has Aurora Serverless v2 ({engine.ENGINE}, "
        f"{engine.INSTANCE_CLASS}), and the database needs two that have it"
    )
    give = "the application a region that has it"
    if len(observed.aurora) >= 2:
        some = ", ".join(sorted(observed.aurora))
        give = f"AvailabilityZones, or PrivateSubnetIds of your own network, in at least two of {some} to sam deploy"
    yield SUBNETS, names, wrong, give


def _judge_addresses(wanted: Wanted, cluster: str, observed: Observed, begun: bool) -> tuple[list[Problem], list[str]]:
    """Compare the free addresses with those that are still needed.

    Auto Scaling launches in another zone where one has no address left, so nodes need them in all subnets together.
    How many of the others a cluster that was begun has already is not known.
    """
    free = {subnet["SubnetId"]: subnet["AvailableIpAddressCount"] for subnet in observed.subnets or []}
    if not free or (begun and observed.instances is None):
        return [], []
    own = [instance for instance in observed.instances or [] if _is_own(instance, cluster)]
    nodes = max(0, wanted.nodes.count + wanted.nodes.at_once - len(own))
    names, total = ",".join(free), sum(free.values())
    if begun:
        warning = (
            f"{SUBNETS} {names}: they have {total} free addresses, and the nodes need {nodes} more "
            f"({wanted.nodes.at_once} while nodes are replaced). Free addresses in them, or nodes do not start."
        )
        return [], [warning] if total < nodes else []
    give = "fewer nodes, free addresses there, or PrivateSubnetIds of larger subnets to sam deploy"
    problems: list[Problem] = [
        (SUBNETS, name, f"it has {count} free addresses, and the cluster needs {OTHER_ADDRESSES} beside nodes", give)
        for name, count in free.items()
        if count < OTHER_ADDRESSES
    ]
    needed = nodes + OTHER_ADDRESSES * len(free)
    if not problems and total < needed:
        wrong = f"they have {total} free addresses together, and the cluster needs {needed}"
        return [(SUBNETS, names, wrong, give)], []
    return problems, []


def _judge_routes(observed: Observed) -> tuple[list[Problem], list[str]]:
    """Find subnets that certainly have no way to AWS, and those of which AWS does not show one.

    What routes do not show: what is behind a transit gateway or in a prefix list, a proxy, the endpoints of the owner
    of a shared network, and route tables that this account may not see.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    for subnet in observed.subnets or []:
        name, lacking = subnet["SubnetId"], _lacking(subnet, observed)
        if not lacking:
            continue
        routes = _routes_of(subnet, observed.routes or [])
        is_closed = bool(routes) and all(route.get("GatewayId") == "local" for route in routes)
        if is_closed and not observed.endpoints and not _is_shared(subnet):
            wrong = (
                "its route table leads nowhere but into the network, which has no endpoints, so it has no way to AWS"
            )
            give = (
                "it a route for 0.0.0.0/0 to a NAT gateway or a transit gateway, or the network endpoints of "
                f"{', '.join(CALLED)}"
            )
            problems.append((SUBNETS, name, wrong, give))
        else:
            warnings.append(
                f"{name} shows neither a route for 0.0.0.0/0 that instances without a public address can use nor "
                f"endpoints of {', '.join(lacking)}: unless it reaches them by other routes, the deployment fails."
            )
    return problems, warnings


def _judge_downloads(wanted: Wanted, observed: Observed) -> Iterable[str]:
    first = _subnet_ids()[0]  # SubnetId of BuildInfrastructure in template.yaml
    for subnet in observed.subnets or []:
        is_used = wanted.image.ami is None and subnet["SubnetId"] == first
        if is_used and observed.routes is not None and not _leads_out(subnet, observed.routes):
            yield (
                f"{first} shows no route to the internet, from which an image build downloads: it fails unless it has "
                "another way, or the components in image/ use mirrors of your own."
            )


def _judge_key(observed: Observed) -> Iterable[str]:
    if observed.key:
        yield (
            f"The account's default EBS key is {observed.key}, and neither its policy nor a grant names Auto Scaling: "
            "unless it may use the key, no node starts (Client.InternalError). Give it a grant: aws kms create-grant "
            f"--key-id {observed.key} --grantee-principal {_role_of_auto_scaling(observed.key)} --operations Encrypt "
            "Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant"
        )


def _subnet_ids() -> list[str]:
    """PrivateSubnetIds as they were given, or those of the network that the application made."""
    return [name.strip() for name in settings().private_subnet_ids.split(",")]


def _option(attribute: str) -> str:
    """How the AWS CLI spells an attribute."""
    return re.sub("(?<=[a-z])([A-Z])", r"-\1", attribute).lower()


def _family(instance_type: str) -> str:
    letters = re.match("[a-z]+", instance_type)
    return letters[0] if letters else ""


def _vcpus(instance: Mapping[str, Any]) -> int:
    """The vCPUs that count: those of Spot instances and of Dedicated Hosts have quotas of their own.

    Source: https://github.com/jantman/awslimitchecker/issues/477 (AWS's own count leaves Dedicated Hosts out).
    """
    if "InstanceLifecycle" in instance or instance.get("Placement", {}).get("Tenancy") == "host":
        return 0
    options = instance.get("CpuOptions", {})
    return int(options.get("CoreCount", 0) * options.get("ThreadsPerCore", 1))


def _is_own(instance: Mapping[str, Any], cluster: str) -> bool:
    return settings().tags(cluster).items() <= _tags(instance).items()


def _is_counted_with_ours(instance: Mapping[str, Any], cluster: str) -> bool:
    """Return whether it is a node, or builds an image of the application: a build ends before nodes are launched."""
    tags = _tags(instance)
    return tags.get(APPLICATION_TAG) == settings().application and tags.get(CLUSTER_TAG, cluster) == cluster


def _tags(instance: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def _table_of(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The route table of a subnet: its own, or the main one of its network."""
    main: Mapping[str, Any] = {}
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet["SubnetId"]:
                return table
            if association.get("Main") and table.get("VpcId") == subnet["VpcId"]:
                main = table
    return main


def _routes_of(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The routes that work; none where the route table cannot be seen, since each has one into its own network."""
    return [route for route in _table_of(subnet, tables).get("Routes", []) if route.get("State") == "active"]


def _leads_out(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an instance without a public address gets everywhere: an internet gateway alone does not do it.

    The default route may be split, for instance into 0.0.0.0/1 and 128.0.0.0/1.
    """
    led = [
        ipaddress.IPv4Network(route["DestinationCidrBlock"])
        for route in _routes_of(subnet, tables)
        if "DestinationCidrBlock" in route
        and (any(route.get(target) for target in WAYS_OUT) or route.get("GatewayId", "").startswith(("vgw-", "vpce-")))
    ]
    return EVERYWHERE in ipaddress.collapse_addresses(led)


def _lacking(subnet: Mapping[str, Any], observed: Observed) -> list[str]:
    """What neither a route nor an endpoint brings to a subnet; empty where routes or endpoints are not known."""
    if observed.endpoints is None or observed.routes is None or _leads_out(subnet, observed.routes):
        return []
    table = _table_of(subnet, observed.routes).get("RouteTableId")
    there = {
        endpoint["ServiceName"].rpartition(".")[2]
        for endpoint in observed.endpoints
        if endpoint.get("State", "").lower() == "available"
        and (endpoint["VpcEndpointType"] != "Gateway" or table in endpoint.get("RouteTableIds", []))
    }
    return [service for service in CALLED if service not in there]


def _is_shared(subnet: Mapping[str, Any]) -> bool:
    """Return whether another account owns a subnet: its endpoints serve it, and only the owner sees them.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-share-limitations.html
    """
    account = settings().account
    return bool(subnet.get("OwnerId", account) != account)


def _role_of_auto_scaling(key: str) -> str:
    """The service-linked role, from the ARN of a key of the same account."""
    _, partition, _, _, account, _ = key.split(":", 5)
    return f"arn:{partition}:iam::{account}:role/{AUTO_SCALING}"


def _type(name: Any) -> Mapping[str, Any]:
    try:
        found = client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
    except ClientError as error:
        if error_code(error) in ("InvalidInstanceType", "InvalidParameterValue"):
            return {}
        raise
    return dict(found[0]) if found else {}


def _subnets() -> list[Mapping[str, Any]]:
    names = sorted(set(_subnet_ids()))
    # By a filter, since by its ids the call fails where one does not exist.
    found = client("ec2").describe_subnets(Filters=[{"Name": "subnet-id", "Values": names}])["Subnets"]
    return list(found)


def _offered(name: str, zones: Sequence[str]) -> frozenset[str]:
    answer = client("ec2").describe_instance_type_offerings(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [name]}, {"Name": "location", "Values": zones}],
    )
    return frozenset(offering["Location"] for offering in answer["InstanceTypeOfferings"])


def _aurora() -> frozenset[str]:
    pages = (
        client("rds")
        .get_paginator("describe_orderable_db_instance_options")
        .paginate(Engine=engine.ENGINE, DBInstanceClass=engine.INSTANCE_CLASS, Vpc=True)
    )
    return frozenset(
        zone["Name"]
        for page in pages
        for option in page["OrderableDBInstanceOptions"]
        if re.match(ENGINE_VERSION, option["EngineVersion"])
        for zone in option["AvailabilityZones"]
    )


def _dns() -> dict[str, bool]:
    network, ec2 = settings().vpc_id, client("ec2")
    support = ec2.describe_vpc_attribute(VpcId=network, Attribute="enableDnsSupport")["EnableDnsSupport"]
    names = ec2.describe_vpc_attribute(VpcId=network, Attribute="enableDnsHostnames")["EnableDnsHostnames"]
    return {"enableDnsSupport": support["Value"], "enableDnsHostnames": names["Value"]}


def _routes() -> list[Mapping[str, Any]]:
    pages = client("ec2").get_paginator("describe_route_tables").paginate(Filters=_in_the_network())
    return [table for page in pages for table in page["RouteTables"]]


def _endpoints() -> list[Mapping[str, Any]]:
    pages = client("ec2").get_paginator("describe_vpc_endpoints").paginate(Filters=_in_the_network())
    return [endpoint for page in pages for endpoint in page["VpcEndpoints"]]


def _instances() -> list[Mapping[str, Any]]:
    pages = (
        client("ec2")
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
    )
    return [instance for page in pages for found in page["Reservations"] for instance in found["Instances"]]


def _in_the_network() -> list["FilterTypeDef"]:
    return [{"Name": "vpc-id", "Values": [settings().vpc_id]}]


def _quota(code: str) -> float:
    return float(client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])


def _key() -> str:
    """The account's own key that new volumes get, unless a grant or its policy names Auto Scaling; else nothing."""
    key = str(client("ec2").get_ebs_default_kms_key_id()["KmsKeyId"])
    if key == KEY_OF_AWS or not key.startswith("arn:"):
        return ""
    keys = client("kms")
    described = keys.describe_key(KeyId=key)["KeyMetadata"]
    if described["KeyManager"] == "AWS":
        return ""
    arn = str(described["Arn"])
    role = _role_of_auto_scaling(arn)
    if keys.list_grants(KeyId=arn, GranteePrincipal=role)["Grants"]:
        return ""
    return "" if AUTO_SCALING in keys.get_key_policy(KeyId=arn, PolicyName="default")["Policy"] else arn
