"""What a deployment would do about the certificate of an address."""

from __future__ import annotations

from benchwright.access.validation import CertificateStep
from benchwright.dry_run import Change, Step
from benchwright.models import Access
from benchwright.settings import settings


def steps(next_step: CertificateStep, access: Access) -> list[Step]:
    """Say whether a certificate would be requested, and how it is validated."""
    if next_step.action == "done":
        return []
    sentences, changes = [], []
    if next_step.action == "request":
        sentences.append(f"A certificate for {access.hostname} is requested from ACM.")
        changes.append(Change(action="create", kind="certificate", name=access.hostname))
    if access.hosted_zone_id:
        sentences.append(f"ACM validates it by a record in the hosted zone {access.hosted_zone_id}.")
    else:
        sentences.append(
            "Without a hosted zone you create the record by which ACM validates it: the output of the deployment "
            "shows it. Until then no one reaches the address."
        )
    return [Step(step="Request certificate", sentences=sentences, changes=changes, minutes=3)]


def not_yet_known() -> str:
    """Return an ARN in place of that of a certificate which ACM has not issued yet."""
    return f"arn:{settings().partition}:acm:{settings().aws_region}:{settings().account}:certificate/unknown"
