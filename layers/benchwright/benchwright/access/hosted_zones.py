"""The conversation with Route 53: the record by which ACM validates a certificate."""

from typing import NamedTuple

from botocore.exceptions import ClientError

from benchwright.access.certificates import DnsRecord
from benchwright.aws import client
from benchwright.errors import error_code

TTL = 300  # seconds; ACM reads the record at validation and before each renewal


class HostedZone(NamedTuple):
    """A hosted zone. name: without the dot at its end. name_servers: none of a private zone."""

    id: str
    name: str
    is_private: bool
    name_servers: tuple[str, ...] = ()

    def holds(self, hostname: str) -> bool:
        """Return whether a name is of this zone."""
        return hostname == self.name or hostname.endswith(f".{self.name}")


def describe(zone: str) -> HostedZone | None:
    """Describe a hosted zone of this account; None where there is none.

    To a zone of another account, Route 53 answers AccessDenied with "not authorized to access this resource"
    (github.com/aws/copilot-cli/issues/5909); to a role without the permission, with "not authorized to perform".
    """
    try:
        answer = client("route53").get_hosted_zone(Id=zone)
    except ClientError as error:
        is_of_another_account = error_code(error) == "AccessDenied" and "to access this resource" in str(error)
        if is_of_another_account or error_code(error) in ("NoSuchHostedZone", "InvalidInput"):
            return None
        raise
    found = answer["HostedZone"]
    return HostedZone(
        id=zone,
        name=found["Name"].rstrip("."),
        is_private=found.get("Config", {}).get("PrivateZone", False),
        name_servers=tuple(answer.get("DelegationSet", {}).get("NameServers", [])),
    )


def write(zone: str, record: DnsRecord) -> None:
    """Create the record, or bring it to its value.

    It stays for good: ACM asks for it at each renewal, and every certificate of the name in this account has the same.
    """
    client("route53").change_resource_record_sets(
        HostedZoneId=zone,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": record.name,
                        "Type": "CNAME",
                        "TTL": TTL,
                        "ResourceRecords": [{"Value": record.value}],
                    },
                }
            ]
        },
    )
