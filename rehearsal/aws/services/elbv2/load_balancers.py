"""Load balancers: where they may stand, how long they take, and what of them stays while they go."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.services import account

from . import access_logs
from .attributes import LOAD_BALANCER, defaults, refuse_wrong
from .model import INTERFACES_GONE_SECONDS, PROVISIONING_SECONDS, Balancing

CANONICAL_ZONE = "Z35SXDOTRQ7X7K"
"""The hosted zone of Application Load Balancers in us-east-1 (AWS General Reference, Elastic Load Balancing
endpoints)."""

FREE_ADDRESSES = 8
NAME = re.compile(r"(?!internal-)(?!-)[A-Za-z0-9-]{1,32}(?<!-)")


@dataclass(frozen=True)
class LoadBalancers:
    """The operations on load balancers and on the tags of all that Elastic Load Balancing has."""

    balancing: Balancing

    def create_load_balancer(self, call: Call) -> Mapping[str, Any]:
        if call.get("Type", "application") != "application":
            raise ServiceError("ValidationError", f"The rehearsal has no load balancer of type {call['Type']}.")
        name, scheme = call["Name"], call.get("Scheme") or "internet-facing"
        if not NAME.fullmatch(name):
            raise ServiceError(
                "ValidationError",
                f"The load balancer name '{name}' can only contain alphanumeric characters or hyphens, at most 32, "
                "cannot begin or end with a hyphen and cannot begin with 'internal-'",
            )
        if any(each.name == name for each in self.balancing.backend.load_balancers.values()):
            raise ServiceError(
                "DuplicateLoadBalancerName",
                f"A load balancer with the same name '{name}' exists, but with different settings",
            )
        if not account.role_works(self.balancing.aws, "elasticloadbalancing"):
            role = "aws-service-role/elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing"
            owned = f"arn:aws:iam::{self.balancing.aws.account}:role/{role}"
            raise ServiceError(
                "AccessDenied",
                f"User is not authorized to perform: iam:CreateServiceLinkedRole on resource: {owned}",
                403,
            )
        subnets = self._subnets(call, scheme)
        groups = self._groups(call.get("SecurityGroups") or [], subnets[0].vpc_id)
        made = self.balancing.backend.create_load_balancer(
            name=name,
            security_groups=groups,
            subnet_ids=[subnet.id for subnet in subnets],
            scheme=scheme,
            loadbalancer_type="application",
            ip_address_type=call.get("IpAddressType") or "ipv4",
            tags=list(call.get("Tags") or []),
        )
        aws = self.balancing.aws
        within = "internal-" if scheme == "internal" else ""
        number = secrets.randbelow(10**9) + 10**9
        made.dns_name = f"{within}{name}-{number}.{aws.region}.elb.amazonaws.com"
        made.canonical_hosted_zone_id = CANONICAL_ZONE
        made.attrs = defaults(LOAD_BALANCER)
        self.balancing.active_at[made.arn] = aws.clock.now() + PROVISIONING_SECONDS
        self.balancing.interfaces[made.arn] = [self._interface(made, subnet) for subnet in subnets]
        return {"LoadBalancers": [made]}

    def describe_load_balancers(self, call: Call) -> Proceed:
        if call.get("PageSize") is None and not call.get("Marker"):
            self._refuse_unknown(call)
        return PROCEED

    def describe_load_balancer_attributes(self, _: Call) -> Proceed:
        return PROCEED

    def modify_load_balancer_attributes(self, call: Call) -> Proceed:
        balancer = self.balancing.balancer(call["LoadBalancerArn"])
        refuse_wrong(LOAD_BALANCER, call["Attributes"], "Load balancer")
        wanted = balancer.attrs | {each["Key"]: each.get("Value", "") for each in call["Attributes"]}
        if wanted["access_logs.s3.enabled"] == "true":
            access_logs.begin(
                self.balancing.aws, wanted["access_logs.s3.bucket"], wanted["access_logs.s3.prefix"], balancer
            )
        return PROCEED

    def set_security_groups(self, call: Call) -> Proceed:
        balancer = self.balancing.balancer(call["LoadBalancerArn"])
        groups = self._groups(call["SecurityGroups"], balancer.vpc_id)
        for identifier in self.balancing.interfaces[balancer.arn]:
            self.balancing.ec2.modify_network_interface_attribute(identifier, groups)
        return PROCEED

    def set_subnets(self, call: Call) -> Proceed:
        balancer = self.balancing.balancer(call["LoadBalancerArn"])
        kept = {self.balancing.ec2.enis[each].subnet.id: each for each in self.balancing.interfaces[balancer.arn]}
        subnets = self._subnets(call, balancer.scheme, kept)
        if any(subnet.vpc_id != balancer.vpc_id for subnet in subnets):
            raise ServiceError("InvalidSubnet", f"Subnets must all belong to the VPC {balancer.vpc_id}")
        wanted = [subnet.id for subnet in subnets]
        self._release([each for subnet, each in kept.items() if subnet not in wanted])
        self.balancing.interfaces[balancer.arn] = [
            kept.get(subnet.id) or self._interface(balancer, subnet) for subnet in subnets
        ]
        self.balancing.settle()
        return PROCEED

    def delete_load_balancer(self, call: Call) -> Mapping[str, Any]:
        """Succeeds also where there is none, as the API reference says."""
        arn = call["LoadBalancerArn"]
        balancer = self.balancing.backend.load_balancers.get(arn)
        if balancer is None:
            return {}
        if balancer.attrs["deletion_protection.enabled"] == "true":
            raise ServiceError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        for web_acl in self.balancing.web_acls():
            if arn in web_acl.associated_resources:
                web_acl.associated_resources.remove(arn)
        self.balancing.backend.delete_load_balancer(arn)
        self.balancing.active_at.pop(arn, None)
        self._release(self.balancing.interfaces.pop(arn, []))
        self.balancing.settle()
        return {}

    def describe_tags(self, call: Call) -> Proceed:
        for arn in call["ResourceArns"]:
            self.balancing.backend._get_resource_by_arn(arn)
        return PROCEED

    def add_tags(self, _: Call) -> Proceed:
        return PROCEED

    def remove_tags(self, _: Call) -> Proceed:
        return PROCEED

    def _refuse_unknown(self, call: Call) -> None:
        """moto answers an unknown name or ARN with whichever it found before."""
        known = self.balancing.backend.load_balancers
        names = {balancer.name for balancer in known.values()}
        for arn in call.get("LoadBalancerArns") or []:
            self.balancing.balancer(arn)
        for name in call.get("Names") or []:
            if name not in names:
                raise ServiceError("LoadBalancerNotFound", f"Load balancers '[{name}]' not found")

    def _subnets(self, call: Call, scheme: str, kept: Mapping[str, str] | None = None) -> list[Any]:
        """The subnets that are asked for, as EC2 keeps them. Raises as AWS does where none of them could be used."""
        if call.get("SubnetMappings"):
            raise ServiceError("ValidationError", "The rehearsal knows subnets of a load balancer, and no mappings.")
        subnets = []
        for identifier in call.get("Subnets") or []:
            try:
                subnets.append(self.balancing.ec2.get_subnet(identifier))
            except Exception as error:
                raise ServiceError("SubnetNotFound", f"The subnet ID '{identifier}' does not exist") from error
        zones = [subnet.availability_zone for subnet in subnets]
        if len(zones) > len(set(zones)):
            raise ServiceError(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            )
        if len(zones) < 2:
            raise ServiceError(
                "ValidationError", "At least two subnets in two different Availability Zones must be specified"
            )
        networks = {subnet.vpc_id for subnet in subnets}
        if len(networks) > 1:
            raise ServiceError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
        for subnet in subnets:
            if subnet.id not in (kept or {}) and subnet.available_ip_address_count < FREE_ADDRESSES:
                raise ServiceError(
                    "InvalidSubnet",
                    f"Not enough IP space available in {subnet.id}. ELB requires at least {FREE_ADDRESSES} free IP "
                    "addresses in each subnet.",
                )
        gateways = list(self.balancing.ec2.internet_gateways.values())
        if scheme == "internet-facing" and not networks & {gateway.vpc.id for gateway in gateways if gateway.vpc}:
            raise ServiceError("InvalidSubnet", f"VPC {networks.pop()} has no internet gateway")
        return subnets

    def _groups(self, given: list[str], vpc_id: str) -> list[str]:
        """The security groups that are asked for, or the network's default one."""
        ec2 = self.balancing.ec2
        for identifier in given:
            group = ec2.get_security_group_from_id(identifier)
            if group is None:
                raise ServiceError("InvalidSecurityGroup", f"Security group '{identifier}' does not exist")
            if group.vpc_id != vpc_id:
                raise ServiceError(
                    "InvalidConfigurationRequest",
                    f"The security group '{identifier}' does not belong to VPC '{vpc_id}'",
                )
        return given or [ec2.get_default_security_group(vpc_id).id]

    def _interface(self, balancer: Any, subnet: Any) -> str:
        """A network interface of the load balancer, which EC2 shows: its id."""
        ec2 = self.balancing.ec2
        with self.balancing.aws.server.moto_lock:  # RunInstances takes addresses, too
            address = subnet.get_available_subnet_ip(balancer)
        kind_name_and_id = balancer.arn.partition(":loadbalancer/")[2]
        made = ec2.create_network_interface(
            subnet, address, group_ids=balancer.security_groups, description=f"ELB {kind_name_and_id}"
        )
        made.requester_managed, made.requester_id, made.status = True, "amazon-elb", "in-use"
        if balancer.scheme == "internet-facing":
            made.public_ip = _public_address()
        return str(made.id)

    def _release(self, interfaces: list[str]) -> None:
        """Network interfaces go some time after their load balancer, and hold its security groups until then."""
        at = self.balancing.aws.clock.now() + INTERFACES_GONE_SECONDS
        self.balancing.interfaces_gone_at |= dict.fromkeys(interfaces, at)


def _public_address() -> str:
    """One of the range that is kept for documentation, so that nothing here ever reaches someone."""
    return f"203.0.113.{secrets.randbelow(254) + 1}"
