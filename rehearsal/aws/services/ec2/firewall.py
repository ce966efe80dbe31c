"""What security groups let through: the network of the rehearsal has none, so who carries traffic asks here."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class Party:
    """One end of a connection; outside of the account's networks it has no groups, and nothing holds it back."""

    address: str
    groups: frozenset[str] | None = None


def allows(ec2: Any, source: Party, target: Party, port: int) -> bool:
    """Whether a TCP connection to a port gets there, by the groups of both ends, as moto's `ec2` keeps them."""
    leaves = source.groups is None or any(_matches(rule, target, port) for rule in _rules(ec2, source, outbound=True))
    enters = target.groups is None or any(_matches(rule, source, port) for rule in _rules(ec2, target, outbound=False))
    return leaves and enters


def _rules(ec2: Any, party: Party, *, outbound: bool) -> Iterable[Any]:
    for identifier in party.groups or ():
        group = ec2.get_security_group_from_id(identifier)
        if group is not None:
            yield from group.egress_rules if outbound else group.ingress_rules


def _matches(rule: Any, other: Party, port: int) -> bool:
    if rule.ip_protocol not in ("-1", "tcp"):
        return False
    if rule.ip_protocol == "tcp" and not int(rule.from_port) <= port <= int(rule.to_port):
        return False
    if group := (rule.source_group or {}).get("GroupId"):
        return group in (other.groups or ())
    network: str | None = (rule.ip_range or {}).get("CidrIp")
    return network is not None and ip_address(other.address) in ip_network(network, strict=False)
