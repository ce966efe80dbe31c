"""What to do next about the certificate of an address, and what a person reads where ACM does not issue it."""

from itertools import product

import pytest

from benchwright.access.certificates import Certificate, DnsRecord
from benchwright.access.hosted_zones import HostedZone
from benchwright.access.validation import (
    REMEDIES,
    CertificateStep,
    next_certificate_step,
    not_validated,
    raise_if_failed,
)
from benchwright.errors import CertificateNotIssued

HOST = "wb.example.com"
RECORD = DnsRecord("_x.wb.example.com.", "_y.acm-validations.aws.")
ISSUED = Certificate("arn:issued", "ISSUED", (HOST,))
UNDECIDED = Certificate("arn:pending", "PENDING_VALIDATION", (HOST,))
PENDING = Certificate("arn:pending", "PENDING_VALIDATION", (HOST,), RECORD)
FAILED = Certificate("arn:failed", "FAILED", (HOST,), reason="CAA_ERROR")
ZONE = HostedZone("Z1", "example.com", False, ("ns-1", "ns-2"))
TO_WAIT_FOR = "ACM: wb.example.com to be validated by the record _x.wb.example.com. CNAME _y.acm-validations.aws. in Z1"


@pytest.mark.parametrize(
    ("certificates", "zone", "written", "step"),
    [
        ([], "Z1", "", CertificateStep("request", None, "ACM: a certificate for wb.example.com")),
        ([FAILED], None, "", CertificateStep("request", None, "ACM: a certificate for wb.example.com")),
        (
            [FAILED, UNDECIDED],
            "Z1",
            "",
            CertificateStep("wait", UNDECIDED, "ACM: the validation record of wb.example.com"),
        ),
        ([PENDING], "Z1", "", CertificateStep("write record", PENDING, TO_WAIT_FOR)),
        ([PENDING], "Z1", "_of.another.name.", CertificateStep("write record", PENDING, TO_WAIT_FOR)),
        ([PENDING], "Z1", RECORD.name, CertificateStep("wait", PENDING, TO_WAIT_FOR)),
        ([PENDING], None, "", CertificateStep("show record", PENDING)),
        ([PENDING, ISSUED], None, "", CertificateStep("done", ISSUED)),
    ],
)
def test_what_comes_next(
    certificates: list[Certificate], zone: str | None, written: str, step: CertificateStep
) -> None:
    assert next_certificate_step(certificates, HOST, zone, written) == step


def test_every_other_state_of_a_certificate_needs_another_one() -> None:
    for status, zone in product(("INACTIVE", "EXPIRED", "VALIDATION_TIMED_OUT", "REVOKED", "FAILED"), ("Z1", None)):
        assert next_certificate_step([Certificate("arn", status, (HOST,))], HOST, zone, "").action == "request"


@pytest.mark.parametrize("reason", [*REMEDIES, "PCA_LIMIT_EXCEEDED"])
def test_a_refusal_is_reported_with_its_remedy_to_the_execution_that_requested_it(reason: str) -> None:
    failed = Certificate("arn:failed", "FAILED", (HOST,), reason=reason)
    with pytest.raises(CertificateNotIssued) as caught:
        raise_if_failed([failed, PENDING], HOST, "arn:failed")
    remedy = REMEDIES.get(reason, "Read the certificate in the ACM console.")
    assert str(caught.value) == f"ACM did not issue the certificate for {HOST}: FAILED {reason}. {remedy}"
    raise_if_failed([failed], HOST, "arn:another")
    raise_if_failed([ISSUED, PENDING], HOST, "arn:pending")


def test_the_record_that_acm_does_not_find_is_named_with_the_name_servers_of_its_zone() -> None:
    said = str(not_validated(HOST, RECORD, ZONE))
    for part in (RECORD.name, RECORD.value, HOST, "Z1 (example.com)", "ns-1, ns-2", "access.certificate_arn"):
        assert part in said
    assert "Start again" in str(not_validated(HOST, None, ZONE))
