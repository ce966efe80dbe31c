"""What an address names must exist and fit, before anything is touched."""

from typing import Any

import pytest

from benchwright.models import Access
from benchwright.planning import address
from benchwright.settings import settings
from tests.unit.benchwright.conversation import Conversation, refusal

HOST = "wb.example.com"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/wb/0a1b"
ZONE: dict[str, Any] = {"HostedZone": {"Id": "Z1", "Name": "example.com.", "CallerReference": "1"}}


def certificate(**changed: Any) -> dict[str, Any]:
    found = {"CertificateArn": CERTIFICATE, "DomainName": "*.example.com", "Status": "ISSUED"}
    return {"Certificate": found | changed}


@pytest.fixture
def account(aws: Conversation) -> Conversation:
    """An account in which all that ACCESS names is there and fits."""
    aws.answers = {
        "DescribeCertificate": certificate(),
        "GetHostedZone": ZONE,
        "GetWebACL": {"WebACL": {"Name": "wb", "Id": "0a1b", "ARN": WEB_ACL}},
    }
    return aws


def access(**values: Any) -> Access:
    return Access.model_validate({"hostname": HOST} | values)


WHOLE = {"hosted_zone_id": "Z1", "certificate_arn": CERTIFICATE, "web_acl_arn": WEB_ACL}
PRIVATE = {"HostedZone": ZONE["HostedZone"] | {"Config": {"PrivateZone": True}}}


@pytest.mark.usefixtures("account")
def test_what_exists_and_fits_is_accepted() -> None:
    assert address.problems(access(**WHOLE)) == []


def test_an_address_that_names_nothing_asks_nothing(aws: Conversation) -> None:
    assert address.problems(access()) == []
    assert aws.calls == []


@pytest.mark.parametrize(
    ("operation", "answer", "path", "wrong"),
    [
        (
            "DescribeCertificate",
            refusal("ResourceNotFoundException"),
            "access.certificate_arn",
            "there is no such certificate in this region and account",
        ),
        (
            "DescribeCertificate",
            certificate(Status="EXPIRED"),
            "access.certificate_arn",
            "the certificate is EXPIRED",
        ),
        (
            "DescribeCertificate",
            certificate(DomainName="other.example.com"),
            "access.certificate_arn",
            "the certificate is for other.example.com, not for wb.example.com",
        ),
        (
            "GetHostedZone",
            refusal("NoSuchHostedZone"),
            "access.hosted_zone_id",
            "there is no such hosted zone in this account",
        ),
        (
            "GetHostedZone",
            {"HostedZone": ZONE["HostedZone"] | {"Name": "example.org."}},
            "access.hosted_zone_id",
            "it is the zone of example.org, not of wb.example.com",
        ),
        (
            "GetWebACL",
            refusal("WAFNonexistentItemException"),
            "access.web_acl_arn",
            "there is no such web ACL in this region",
        ),
        (
            "GetWebACL",
            {"WebACL": {"Name": "wb", "Id": "0a1b", "ARN": WEB_ACL.replace("123456789012", "210987654321")}},
            "access.web_acl_arn",
            "there is no such web ACL in this region",
        ),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_refused(
    account: Conversation, operation: str, answer: dict[str, Any], path: str, wrong: str
) -> None:
    account.answers[operation] = answer
    assert [problem[:1] + problem[2:3] for problem in address.problems(access(**WHOLE))] == [(path, wrong)]


def test_a_private_zone_needs_a_certificate_of_ones_own(account: Conversation) -> None:
    account.answers["GetHostedZone"] = PRIVATE
    assert address.problems(access(**WHOLE)) == []
    ((path, value, wrong, _),) = address.problems(access(hosted_zone_id="Z1"))
    assert (path, value, wrong) == ("access.hosted_zone_id", "Z1", "it is a private zone, which ACM cannot ask")


@pytest.mark.usefixtures("account")
def test_an_address_that_faces_the_internet_needs_public_subnets(monkeypatch: pytest.MonkeyPatch) -> None:
    public = access(scheme="internet-facing", allowed_cidrs=["0.0.0.0/0"])
    assert [problem[0] for problem in address.problems(public)] == ["access.scheme"]
    monkeypatch.setenv("PUBLIC_SUBNET_IDS", "subnet-3,subnet-4")
    settings.cache_clear()
    assert address.problems(public) == []
