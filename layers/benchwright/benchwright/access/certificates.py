"""The conversation with ACM: the certificate of a cluster's host name, found again by its tags."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.observability import logger
from benchwright.settings import settings

USABLE, PENDING = "ISSUED", "PENDING_VALIDATION"
# Certificates whose tags one look reads: ten a second may be asked for, and a function has a minute (ACM user guide,
# "Quotas", where a region has 2,500 certificates).
IN_ONE_LOOK = 250


class DnsRecord(NamedTuple):
    """A CNAME record, with names that end with a dot."""

    name: str
    value: str


class Certificate(NamedTuple):
    """A certificate as ACM describes it.

    names: those that it is for; the first may be a wildcard. record: what proves to ACM that the name is yours; None
    while ACM has not decided on it. reason: why it failed. expires: None until it is issued. used_by: ARNs.
    """

    arn: str
    status: str
    names: tuple[str, ...] = ()
    record: DnsRecord | None = None
    reason: str = ""
    expires: datetime | None = None
    used_by: tuple[str, ...] = ()

    def covers(self, hostname: str) -> bool:
        """Return whether a client accepts it for a host name: a wildcard stands for one label (RFC 6125, 6.4.3)."""
        return any(name in (hostname, f"*.{hostname.partition('.')[2]}") for name in self.names)


def describe(arn: str) -> Certificate | None:
    """Describe a certificate of this account; None where there is none, or it is of another region or account.

    Of such a one, ACM is not asked: it would answer AccessDenied, since the role has no permission there.
    """
    if arn.split(":")[3:5] != [settings().aws_region, settings().account]:
        return None
    try:
        found = client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        if error_code(error) in ("ResourceNotFoundException", "InvalidArnException", "ValidationException"):
            return None
        raise
    options: Sequence[Mapping[str, Any]] = found.get("DomainValidationOptions", [])
    records = [option["ResourceRecord"] for option in options if "ResourceRecord" in option]
    return Certificate(
        arn=arn,
        status=found["Status"],
        names=tuple(dict.fromkeys([found["DomainName"], *found.get("SubjectAlternativeNames", [])])),
        record=DnsRecord(records[0]["Name"], records[0]["Value"]) if records else None,
        reason=found.get("FailureReason", ""),
        expires=found.get("NotAfter"),
        used_by=tuple(found.get("InUseBy", [])),
    )


def of_cluster(cluster: str, hostname: str) -> list[Certificate]:
    """Describe every certificate that Benchwright requested for the cluster and the host name.

    ACM finds none by its tags, and an account may have thousands.
    """
    arns = [arn for arn, name in _listed() if name == hostname]
    return [found for arn in arns if is_requested(arn, cluster) and (found := describe(arn))]


def arns_after(last: str) -> list[str]:
    """Return the ARNs, in order, of the certificates that a look comes to after that of the last one: fewer than
    IN_ONE_LOOK where these are all.
    """
    return sorted(arn for arn, _ in _listed() if arn > last)[:IN_ONE_LOOK]


def request(cluster: str, hostname: str, failed: Iterable[str]) -> str:
    """Request a certificate and return its ARN.

    failed: ARNs of earlier ones. Within an hour, ACM answers a request with the same token with the same certificate,
    so a retry finds its own, and a new attempt after a failure does not find the failed one.
    """
    token = hashlib.sha256("\n".join([settings().application, cluster, hostname, *sorted(failed)]).encode())
    answer = client("acm").request_certificate(
        DomainName=hostname,
        ValidationMethod="DNS",
        IdempotencyToken=token.hexdigest()[:32],
        Tags=[{"Key": key, "Value": value} for key, value in settings().tags(cluster).items()],
    )
    return str(answer["CertificateArn"])


def delete_unused(cluster: str, arns: Iterable[str]) -> list[str]:
    """Delete those certificates that were requested for the cluster and that nothing uses; return the ARNs of those
    still in use.
    """
    in_use = []
    for arn in arns:
        if not is_requested(arn, cluster) or not (certificate := describe(arn)):
            continue
        try:
            if not certificate.used_by:
                client("acm").delete_certificate(CertificateArn=certificate.arn)
                logger.info("certificate deleted", certificate=certificate.arn)
                continue
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                continue
            if error_code(error) != "ResourceInUseException":
                raise
        in_use.append(certificate.arn)
    return in_use


def _listed() -> Iterator[tuple[str, str]]:
    """List the ARN and the first name of each certificate of the account."""
    for page in client("acm").get_paginator("list_certificates").paginate():
        for found in page["CertificateSummaryList"]:
            yield found["CertificateArn"], found["DomainName"]


def is_requested(arn: str, cluster: str) -> bool:
    """Return whether Benchwright requested a certificate for the cluster."""
    try:
        tags = client("acm").list_tags_for_certificate(CertificateArn=arn).get("Tags", [])
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return False
        raise
    return settings().tags(cluster).items() <= {tag["Key"]: tag.get("Value", "") for tag in tags}.items()
