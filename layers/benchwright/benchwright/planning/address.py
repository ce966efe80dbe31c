"""Whether what an address names exists, and fits: certificate, hosted zone, web ACL, and the subnets of its scheme."""

from __future__ import annotations

from botocore.exceptions import ClientError

from benchwright.access import certificates, hosted_zones
from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.models import Access
from benchwright.planning.problems import Problem, object_in
from benchwright.record import Record
from benchwright.settings import settings


def problems(access: Access) -> list[Problem]:
    """List what of an address would fail later."""
    found = [*_of_certificate(access), *_of_zone(access)]
    if access.web_acl_arn and not _has_web_acl(access.web_acl_arn):
        wrong, give = "there is no such web ACL in this region", "the ARN of a regional web ACL of this region"
        found.append(("access.web_acl_arn", access.web_acl_arn, wrong, give))
    if access.scheme == "internet-facing" and not settings().public_subnet_ids:
        wrong = "the application knows no public subnets of your network"
        give = "internal, or deploy the application with the parameter PublicSubnetIds"
        found.append(("access.scheme", access.scheme, wrong, give))
    return found


def problems_of_change(access: Access, found: Record) -> list[Problem]:
    """List what cannot change on the recorded cluster: the scheme of a load balancer that is there.

    That of the last verified execution, unless a later one has planned another: whether its load balancer is there only
    the stack knows, which refuses the change, too (stacks/desired_state.py).
    """
    if not found.known.has_access or not (proven := object_in(found.known.proven, "access")):
        return []
    scheme = proven.get("scheme", Access.model_fields["scheme"].default)
    planned = found.plan.wanted.access if found.plan else None
    if access.scheme == scheme or (planned and planned.scheme != scheme):
        return []
    wrong = f"the load balancer is {scheme}, which cannot change in place"
    give = f'{scheme}, or first take the address away with {{"access": null}}: nodes and data stay'
    return [("access.scheme", access.scheme, wrong, give)]


def _of_certificate(access: Access) -> list[Problem]:
    if not (arn := access.certificate_arn):
        return []
    path, certificate = "access.certificate_arn", certificates.describe(arn)
    if certificate is None:
        wrong = "there is no such certificate in this region and account"
        return [(path, arn, wrong, "one of this region, or null for a new one")]
    if certificate.status != certificates.USABLE:
        wrong, give = f"the certificate is {certificate.status}", "one that is ISSUED, or null for a new one"
        return [(path, arn, wrong, give)]
    if not certificate.covers(access.hostname):
        wrong = f"the certificate is for {', '.join(certificate.names)}, not for {access.hostname}"
        return [(path, arn, wrong, "one for the host name, or null for a new one")]
    return []


def _of_zone(access: Access) -> list[Problem]:
    if not (name := access.hosted_zone_id):
        return []
    path, zone = "access.hosted_zone_id", hosted_zones.describe(name)
    if zone is None:
        return [(path, name, "there is no such hosted zone in this account", "the id of one, or null")]
    if not zone.holds(access.hostname):
        return [(path, name, f"it is the zone of {zone.name}, not of {access.hostname}", "the zone of the host name")]
    if zone.is_private and not access.certificate_arn:
        wrong = "it is a private zone, which ACM cannot ask"
        return [(path, name, wrong, "a public zone, or a certificate of your own in access.certificate_arn")]
    return []


def _has_web_acl(arn: str) -> bool:
    *_, name, identifier = arn.split("/")
    try:
        answer = client("wafv2").get_web_acl(Name=name, Scope="REGIONAL", Id=identifier)
    except ClientError as error:
        if error_code(error) in ("WAFNonexistentItemException", "WAFInvalidParameterException"):
            return False
        raise
    return bool(answer["WebACL"]["ARN"] == arn)
