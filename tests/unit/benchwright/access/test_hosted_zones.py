"""The hosted zone that holds a host name, and the record by which ACM validates it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.access import hosted_zones
from benchwright.access.certificates import DnsRecord
from benchwright.access.hosted_zones import HostedZone
from tests.unit.benchwright.conversation import Conversation, refusal


def test_a_zone_is_described_by_name_and_name_servers(aws: Conversation) -> None:
    aws.answers["GetHostedZone"] = {
        "HostedZone": {"Id": "/hostedzone/Z1", "Name": "example.com.", "CallerReference": "1"},
        "DelegationSet": {"NameServers": ["ns-1.awsdns-1.com", "ns-2.awsdns-2.net"]},
    }
    zone = hosted_zones.describe("Z1")
    assert zone == HostedZone("Z1", "example.com", False, ("ns-1.awsdns-1.com", "ns-2.awsdns-2.net"))


def test_a_private_zone_has_no_name_servers(aws: Conversation) -> None:
    aws.answers["GetHostedZone"] = {
        "HostedZone": {"Id": "Z1", "Name": "example.com.", "CallerReference": "1", "Config": {"PrivateZone": True}}
    }
    assert hosted_zones.describe("Z1") == HostedZone("Z1", "example.com", True)


@pytest.mark.parametrize(
    "answer",
    [
        refusal("NoSuchHostedZone"),
        refusal("InvalidInput"),
        refusal("AccessDenied", "User: arn:aws:sts::123456789012:wb is not authorized to access this resource"),
    ],
    ids=["no such zone", "no id", "of another account"],
)
def test_a_zone_that_is_not_there_is_none(aws: Conversation, answer: dict[str, Any]) -> None:
    aws.answers["GetHostedZone"] = answer
    assert hosted_zones.describe("Z1") is None


def test_a_missing_permission_is_not_a_missing_zone(aws: Conversation) -> None:
    aws.answers["GetHostedZone"] = refusal("AccessDenied", "wb is not authorized to perform: route53:GetHostedZone")
    with pytest.raises(ClientError, match="to perform: route53:GetHostedZone"):
        hosted_zones.describe("Z1")


@pytest.mark.parametrize(
    ("hostname", "holds"),
    [
        ("example.com", True),
        ("wb.example.com", True),
        ("a.b.example.com", True),
        ("badexample.com", False),
        ("com", False),
    ],
)
def test_a_zone_holds_its_own_name_and_those_below(hostname: str, holds: bool) -> None:
    assert HostedZone("Z1", "example.com", False).holds(hostname) is holds


def test_a_record_is_created_or_brought_to_its_value(aws: Conversation) -> None:
    aws.answers["ChangeResourceRecordSets"] = {"ChangeInfo": {"Id": "C1", "Status": "PENDING"}}
    hosted_zones.write("Z1", DnsRecord("_x.wb.example.com.", "_y.acm-validations.aws."))
    ((_, asked),) = aws.writes
    assert asked == {
        "HostedZoneId": "Z1",
        "ChangeBatch": {
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": "_x.wb.example.com.",
                        "Type": "CNAME",
                        "TTL": 300,
                        "ResourceRecords": [{"Value": "_y.acm-validations.aws."}],
                    },
                }
            ]
        },
    }
