"""Request certificate: has ACM issue the certificate of the cluster's address, or deletes it with the address."""

from typing import Literal

from pydantic import BaseModel

from benchwright.access import certificates, hosted_zones
from benchwright.access.preview import not_yet_known, steps
from benchwright.access.validation import next_certificate_step, not_validated, raise_if_failed
from benchwright.dry_run import Step, unpack
from benchwright.observability import logger
from benchwright.record import Record as ClusterRecord
from benchwright.record import confirm_lock, plan_of, save_access_removed
from benchwright.step import LoopEvent, LoopResult, StepResult, step
from benchwright.waits import WAITS


class Event(LoopEvent):
    """requested, written: the certificate that this execution requested, and the name of the record that it wrote; from
    the previous result. after, in_use: the last certificate that earlier looks of a retirement came to, and those that
    they could not delete yet. last: whether this is the last look. plan: of a dry run.
    """

    action: Literal["request", "retire", "preview"]
    plan: str = ""
    requested: str = ""
    written: str = ""
    after: str = ""
    in_use: list[str] = []
    last: bool = False


class Record(BaseModel):
    """A CNAME record that you must create."""

    name: str
    value: str


class Result(LoopResult):
    """certificate_arn: of a certificate that is issued; empty where record must be created first. requested, written,
    after, in_use: as in Event.
    """

    certificate_arn: str = ""
    record: Record | None = None
    requested: str = ""
    written: str = ""
    after: str = ""
    in_use: list[str] = []


class Preview(StepResult):
    """What a deployment would do. certificate_arn: of the one that the address would have, or in place of it."""

    certificate_arn: str = ""
    steps: list[Step]


@step(Event)
def handler(event: Event) -> Result | Preview:
    """Look at the certificates of the cluster and do the next thing."""
    if event.action == "preview":
        return _preview(event)
    known = confirm_lock(event.cluster, event.execution)
    access = plan_of(known, event.cluster).wanted.access if event.action == "request" else None
    if access is None:
        return _retire(event, known)
    if access.certificate_arn:
        return Result(done=True, certificate_arn=access.certificate_arn)
    found = certificates.of_cluster(event.cluster, access.hostname)
    raise_if_failed(found, access.hostname, event.requested)
    next_step = next_certificate_step(found, access.hostname, access.hosted_zone_id, event.written)
    certificate, requested, written = next_step.certificate, event.requested, event.written
    match next_step.action:
        case "done" if certificate:
            # ACM renews it only while the record exists; someone may have deleted it, or given another hosted zone.
            if access.hosted_zone_id and certificate.record and written != certificate.record.name:
                hosted_zones.write(access.hosted_zone_id, certificate.record)
            return Result(done=True, certificate_arn=certificate.arn)
        case "show record" if certificate and certificate.record:
            record = Record(name=certificate.record.name, value=certificate.record.value)
            return Result(done=True, record=record)
        case "request":
            requested = certificates.request(event.cluster, access.hostname, [each.arn for each in found])
        case "write record" if certificate and certificate.record and access.hosted_zone_id:
            hosted_zones.write(access.hosted_zone_id, certificate.record)
            written = certificate.record.name
    if event.last:
        zone = hosted_zones.describe(access.hosted_zone_id) if access.hosted_zone_id else None
        raise not_validated(access.hostname, certificate.record if certificate else None, zone)
    return Result(
        done=False,
        waiting_for=next_step.waiting_for,
        wait_seconds=WAITS["Request certificate"].after(event.wait_seconds),
        requested=requested,
        written=written,
    )


def _preview(event: Event) -> Preview:
    access = unpack(event.plan).wanted.access
    if access is None or access.certificate_arn:
        return Preview(certificate_arn=access.certificate_arn or "" if access else "", steps=[])
    found = certificates.of_cluster(event.cluster, access.hostname)
    next_step = next_certificate_step(found, access.hostname, access.hosted_zone_id, "")
    arn = next_step.certificate.arn if next_step.action == "done" and next_step.certificate else ""
    if not arn and access.hosted_zone_id:
        arn = not_yet_known()
    return Preview(certificate_arn=arn, steps=steps(next_step, access))


def _retire(event: Event, known: ClusterRecord) -> Result:
    """Delete the certificates of an address that is gone; ACM knows some minutes later that nothing uses them.

    The record has the address until then: an execution that ends before is continued by the next one. Without a plan
    in the record, which someone may have deleted, the cluster may have an address.
    """
    if known.planned_by and not known.known.has_access:
        return Result(done=True)
    arns = certificates.arns_after(event.after)
    in_use = certificates.delete_unused(event.cluster, [*event.in_use, *arns])
    has_more = len(arns) == certificates.IN_ONE_LOOK
    if (in_use or has_more) and not event.last:
        waiting_for = f"{', '.join(in_use)} to be no longer in use" if in_use else "the tags of more certificates"
        return Result(
            done=False,
            waiting_for=f"ACM: {waiting_for}",
            wait_seconds=WAITS["Retire certificate"].after(0 if has_more else event.wait_seconds),
            after=arns[-1] if arns else event.after,
            in_use=in_use,
        )
    if in_use or has_more:
        logger.warning("certificates not deleted", in_use=in_use, has_more=has_more)
    save_access_removed(event.cluster, event.execution)
    return Result(done=True)
