"""What a dry run says of a certificate."""

import pytest

from benchwright.access import preview
from benchwright.access.preview import not_yet_known, steps
from benchwright.access.validation import CertificateStep
from benchwright.models import Access
from benchwright.settings import Settings

HOST = "wb.example.com"
IN_A_ZONE, ELSEWHERE = Access(hostname=HOST, hosted_zone_id="Z1"), Access(hostname=HOST)


def test_a_certificate_that_is_issued_is_no_step() -> None:
    assert steps(CertificateStep("done"), IN_A_ZONE) == []


def test_a_request_and_how_it_is_validated() -> None:
    (step,) = steps(CertificateStep("request"), IN_A_ZONE)
    assert step.sentences == [
        "A certificate for wb.example.com is requested from ACM.",
        "ACM validates it by a record in the hosted zone Z1.",
    ]
    assert [(each.action, each.kind, each.name) for each in step.changes] == [("create", "certificate", HOST)]


def test_without_a_hosted_zone_a_person_creates_the_record() -> None:
    (step,) = steps(CertificateStep("show record"), ELSEWHERE)
    assert step.changes == []
    assert step.sentences[0].startswith("Without a hosted zone you create the record")


def test_what_stands_for_a_certificate_is_of_this_account(monkeypatch: pytest.MonkeyPatch) -> None:
    role = "arn:aws-us-gov:iam::123456789012:role/r"
    made = Settings(application="wb", aws_region="us-gov-west-1", cloudformation_role_arn=role)
    monkeypatch.setattr(preview, "settings", lambda: made)
    assert not_yet_known() == "arn:aws-us-gov:acm:us-gov-west-1:123456789012:certificate/unknown"
