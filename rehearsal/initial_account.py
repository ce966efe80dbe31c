"""What an account is like before the first deployment, as `--account` gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from itertools import cycle
from typing import Any, Final

VPC: Final = "10.0.0.0/16"
"""Addresses of a network that is there before: those that the hosts of a rehearsal can have."""

ZONE_ID: Final = "Z0REHEARSAL000EXAMPLE"
ZONE_NAME: Final = "example.com"
ZONES: Final = ("public", "undelegated", "private", "none")
"""What the hosted zone of the account can be."""

GRAMMAR: Final = "\n".join(
    [
        "the account at the start, --account with any of these keys:",
        "  vcpus         quota of running On-Demand Standard vCPUs (256)",
        "  new           true: no service was used before, so service-linked roles are missing",
        "  service_roles false: a service control policy forbids iam:CreateServiceLinkedRole (true)",
        "  own_ebs_key   true: new volumes are encrypted with a key of the account's own",
        "  inventory     false: no association for SSM Inventory, at which a build that asks for one hangs (true)",
        f"  zone          public: the hosted zone {ZONE_ID} of {ZONE_NAME}; undelegated: one to which no name server",
        "                of the world leads; private: one that only the account's networks see; none (public)",
        "  without_aurora  letters of the zones in which RDS offers no Aurora Serverless v2 (e, as in us-east-1)",
        "  without_lambda  letters of the zones in which a function cannot have a network interface (none)",
        "  subnets       N private subnets, 2 to 6, of a network that is there, for VpcId and PrivateSubnetIds",
    ]
)


class AccountGrammarError(ValueError):
    """An account cannot be like that."""


@dataclass(frozen=True)
class InitialAccount:
    """The keys of GRAMMAR."""

    vcpus: float = 256.0
    own_ebs_key: bool = False
    new: bool = False
    subnets: int = 0
    inventory: bool = True
    service_roles: bool = True
    zone: str = "public"
    without_aurora: str = "e"
    without_lambda: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "InitialAccount":
        """Read what a person gave; raises AccountGrammarError with what would have been right."""
        known = {key.name: type(key.default) for key in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise AccountGrammarError(f"--account has no key {name!r}; it has {', '.join(known)}")
            if type(value) not in ((int, float) if known[name] is float else (known[name],)):
                raise AccountGrammarError(f"--account {name}={value!r} is no {known[name].__name__}")
        before = cls(**given)
        if before.subnets not in (0, *range(2, 7)):
            raise AccountGrammarError(f"--account subnets={before.subnets} is not 2 to 6")
        if before.zone not in ZONES:
            raise AccountGrammarError(f"--account zone={before.zone!r} is none of {', '.join(ZONES)}")
        return before


def make_network(client: Any, subnets: int) -> dict[str, str]:
    """Make a network with private subnets, each in a zone of its own while there are some, behind one NAT gateway.

    client: a function from the name of a service to its client. Returns the parameters of the application.
    """
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock=VPC)["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    ranges = ip_network(VPC).subnets(new_prefix=24)
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]

    def subnet(zone: str) -> str:
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=str(next(ranges)), AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public = subnet(zones[0])
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=public)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    # The main table, which subnets without one of their own have.
    (main,) = ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    private = [subnet(zone) for zone, _ in zip(cycle(zones), range(subnets), strict=False)]
    return {"VpcId": vpc, "PrivateSubnetIds": ",".join(private)}
