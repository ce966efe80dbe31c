"""How far the certificate of an address is, and what to do next: decisions, no conversation with AWS."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from benchwright.access.certificates import PENDING, USABLE, Certificate, DnsRecord
from benchwright.access.hosted_zones import HostedZone
from benchwright.errors import CertificateNotIssued

# What a person does about each FailureReason of ACM; sources: ACM user guide, "Troubleshoot certificate requests", and
# the model of DescribeCertificate.
REMEDIES: Mapping[str, str] = {
    "CAA_ERROR": "A CAA record of the domain does not let Amazon issue certificates: add one with amazon.com.",
    "DOMAIN_NOT_ALLOWED": "The domain is on Amazon's list of unsafe domains: the ACM user guide says how it leaves it.",
    "ADDITIONAL_VERIFICATION_REQUIRED": "Contact AWS Support: the domain needs a further verification.",
    "INVALID_PUBLIC_DOMAIN": "The top-level domain is not a public one: give a host name of a public domain, or the "
    "ARN of a certificate of your own.",
    "NO_AVAILABLE_CONTACTS": "Delete the certificate and start again.",
}


class CertificateStep(NamedTuple):
    """What to do next about the certificate, and what is waited for.

    write record: into the hosted zone. show record: no hosted zone was given, so a person must create it.
    """

    action: Literal["request", "wait", "write record", "show record", "done"]
    certificate: Certificate | None = None
    waiting_for: str = ""


def next_certificate_step(
    certificates: Sequence[Certificate], hostname: str, zone: str | None, written: str
) -> CertificateStep:
    """Decide the next action.

    certificates: of the cluster, for this name. written: the name of the record that this execution wrote last.
    """
    if issued := next((each for each in certificates if each.status == USABLE), None):
        return CertificateStep("done", issued)
    pending = next((each for each in certificates if each.status == PENDING), None)
    if pending is None:
        return CertificateStep("request", waiting_for=f"ACM: a certificate for {hostname}")
    if (record := pending.record) is None:
        return CertificateStep("wait", pending, f"ACM: the validation record of {hostname}")
    if zone is None:
        return CertificateStep("show record", pending)
    waiting_for = f"ACM: {hostname} to be validated by the record {record.name} CNAME {record.value} in {zone}"
    return CertificateStep("wait" if written == record.name else "write record", pending, waiting_for)


def raise_if_failed(certificates: Sequence[Certificate], hostname: str, requested: str) -> None:
    """Raise CertificateNotIssued where ACM has refused the certificate that this execution requested."""
    failed = next(
        (each for each in certificates if each.arn == requested and each.status not in (USABLE, PENDING)), None
    )
    if failed:
        remedy = REMEDIES.get(failed.reason, "Read the certificate in the ACM console.")
        raise CertificateNotIssued(
            f"ACM did not issue the certificate for {hostname}: {failed.status} {failed.reason}".rstrip()
            + f". {remedy}"
        )


def not_validated(hostname: str, record: DnsRecord | None, zone: HostedZone | None) -> CertificateNotIssued:
    """Say which record ACM does not find, and why that may be."""
    if record is None or zone is None:
        return CertificateNotIssued(f"ACM has not said how the certificate for {hostname} is validated. Start again.")
    servers = ", ".join(zone.name_servers) or "none"
    return CertificateNotIssued(
        f"ACM does not find the record {record.name} CNAME {record.value}, by which it validates the certificate for "
        f"{hostname}. The hosted zone {zone.id} ({zone.name}) has it, so the internet asks other name servers for "
        f"{zone.name}: have its domain delegated to {servers} (at the registrar, or by NS records of its parent), or "
        "create the record where the domain is kept. Then start again: the certificate stays requested for 72 hours. "
        "Or give access.certificate_arn."
    )
