"""The certificates of a cluster are found by their tags, requested once, and deleted only when nothing uses them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchwright.access import certificates
from benchwright.access.certificates import Certificate, DnsRecord
from tests.unit.benchwright.conversation import Conversation, refusal

PREFIX = "arn:aws:acm:eu-west-1:123456789012:certificate"
OURS, THEIRS, OLD = f"{PREFIX}/ours", f"{PREFIX}/theirs", f"{PREFIX}/old"
EXPIRES = datetime(2027, 5, 1, tzinfo=UTC)
TAGS = {
    OURS: {"benchwright:application": "wb", "benchwright:cluster": "blue"},
    OLD: {"benchwright:application": "wb", "benchwright:cluster": "blue", "team": "a"},
    THEIRS: {"benchwright:application": "wb", "benchwright:cluster": "green"},
}


def described(arn: str, **changed: Any) -> dict[str, Any]:
    found = {
        "CertificateArn": arn,
        "DomainName": "wb.example.com",
        "SubjectAlternativeNames": ["wb.example.com", "*.wb.example.com"],
        "Status": "PENDING_VALIDATION",
        "DomainValidationOptions": [
            {
                "DomainName": "wb.example.com",
                "ResourceRecord": {"Name": "_x.wb.example.com.", "Type": "CNAME", "Value": "_y.acm-validations.aws."},
            }
        ],
    }
    return {"Certificate": found | changed}


@pytest.fixture
def acm(aws: Conversation) -> Conversation:
    """An account with three certificates, one of another cluster and one for another name."""
    names = {OURS: "wb.example.com", THEIRS: "wb.example.com", OLD: "old.example.com"}
    aws.answers = {
        "ListCertificates": {
            "CertificateSummaryList": [{"CertificateArn": arn, "DomainName": name} for arn, name in names.items()]
        },
        "ListTagsForCertificate": lambda asked: {
            "Tags": [{"Key": key, "Value": value} for key, value in TAGS[asked["CertificateArn"]].items()]
        },
        "DescribeCertificate": lambda asked: described(asked["CertificateArn"]),
        "DeleteCertificate": {},
    }
    return aws


def test_a_certificate_is_described_with_what_is_still_to_be_done(acm: Conversation) -> None:
    assert certificates.describe(OURS) == Certificate(
        OURS,
        "PENDING_VALIDATION",
        ("wb.example.com", "*.wb.example.com"),
        DnsRecord("_x.wb.example.com.", "_y.acm-validations.aws."),
    )
    acm.answers["DescribeCertificate"] = described(
        OURS, Status="ISSUED", NotAfter=EXPIRES, InUseBy=["arn:lb"], DomainValidationOptions=[]
    )
    assert certificates.describe(OURS) == Certificate(
        OURS, "ISSUED", ("wb.example.com", "*.wb.example.com"), expires=EXPIRES, used_by=("arn:lb",)
    )


def test_one_that_acm_has_not_decided_on_has_no_record(acm: Conversation) -> None:
    acm.answers["DescribeCertificate"] = described(OURS, DomainValidationOptions=[{"DomainName": "wb.example.com"}])
    assert (found := certificates.describe(OURS))
    assert found.record is None


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "InvalidArnException", "ValidationException"])
def test_one_that_is_not_there_is_none(acm: Conversation, code: str) -> None:
    acm.answers["DescribeCertificate"] = refusal(code)
    assert certificates.describe(OURS) is None


@pytest.mark.parametrize("place", ["us-east-1:123456789012", "eu-west-1:210987654321"])
def test_acm_is_not_asked_for_one_of_another_region_or_account(aws: Conversation, place: str) -> None:
    assert certificates.describe(f"arn:aws:acm:{place}:certificate/1") is None
    assert aws.calls == []


@pytest.mark.parametrize(
    ("names", "covers"),
    [
        (("wb.example.com",), True),
        (("*.example.com",), True),
        (("example.com",), False),
        (("*.wb.example.com",), False),
        (("*.com",), False),
        (("other.example.com", "wb.example.com"), True),
    ],
)
def test_a_wildcard_stands_for_one_label(names: tuple[str, ...], covers: bool) -> None:
    assert Certificate(OURS, "ISSUED", names).covers("wb.example.com") is covers


def test_certificates_of_other_clusters_and_for_other_names_are_left_out(acm: Conversation) -> None:
    assert [found.arn for found in certificates.of_cluster("blue", "wb.example.com")] == [OURS]
    assert [asked["CertificateArn"] for asked in acm.asked("ListTagsForCertificate")] == [OURS, THEIRS]


def test_one_that_was_deleted_meanwhile_is_not_ours(acm: Conversation) -> None:
    acm.answers["ListTagsForCertificate"] = refusal("ResourceNotFoundException")
    assert certificates.of_cluster("blue", "wb.example.com") == []


def test_a_retry_has_the_same_token_and_an_attempt_after_a_failure_another(acm: Conversation) -> None:
    acm.answers["RequestCertificate"] = {"CertificateArn": OURS}
    for failed in ([], [], [OLD]):
        assert certificates.request("blue", "wb.example.com", failed) == OURS
    first, retry, after = acm.asked("RequestCertificate")
    assert first == retry
    assert first["IdempotencyToken"] != after["IdempotencyToken"]
    assert {name: value for name, value in first.items() if name != "IdempotencyToken"} == {
        "DomainName": "wb.example.com",
        "ValidationMethod": "DNS",
        "Tags": [
            {"Key": "benchwright:application", "Value": "wb"},
            {"Key": "benchwright:cluster", "Value": "blue"},
        ],
    }


def test_a_look_comes_to_so_many_certificates_and_the_next_one_to_the_others(
    acm: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "IN_ONE_LOOK", 2)
    assert certificates.arns_after("") == [OLD, OURS]
    assert certificates.arns_after(OURS) == [THEIRS]
    assert certificates.arns_after(THEIRS) == []


def test_only_what_nothing_uses_is_deleted(acm: Conversation) -> None:
    acm.answers["DescribeCertificate"] = lambda asked: described(
        asked["CertificateArn"], InUseBy=["arn:lb"] if asked["CertificateArn"] == OLD else []
    )
    assert certificates.delete_unused("blue", TAGS) == [OLD]
    assert acm.writes == [("DeleteCertificate", {"CertificateArn": OURS})]


@pytest.mark.parametrize(
    ("code", "in_use"), [("ResourceInUseException", [OURS, OLD]), ("ResourceNotFoundException", [])]
)
def test_acm_knows_later_than_elastic_load_balancing(acm: Conversation, code: str, in_use: list[str]) -> None:
    acm.answers["DeleteCertificate"] = refusal(code)
    assert certificates.delete_unused("blue", TAGS) == in_use
