"""Deploy every input that the documents show, one after the other in one account; nodes are recorded.

Inputs are merge patches, so those that contradict each other in nothing are deployed as one. Prints a line of JSON for
each deployment: its input, how its execution ended, and which keys of rserver.conf the server then refuses.
"""

import io
import json
import sys
import tarfile
from typing import Any, Final

from benchwright.planning import server_options
from benchwright.planning.read_input import read_input
from rehearsal.aws.clock import Clock
from rehearsal.initial_account import ZONE_ID, ZONE_NAME
from tests.documentation.examples import examples, is_of_verify
from tests.documentation.input_reference import HOST, defaults
from tests.faults import account, deployment
from tests.faults.account import Account

SECRETS: Final = (
    *(
        "benchwright/license/workbench",
        "benchwright/users/ann",
        "benchwright/users/ben",
        "benchwright/files/databricks",
    ),
    *(f"benchwright/auth/{name}" for name in ("oidc", "saml-metadata", "scim", "sssd")),
)
AMI: Final = "ami-0123456789abcdef0"
"""What stands in the documents for an image of one's own."""
ZONE: Final = "Z0123456789ABCDEFGHIJ"
CERTIFICATE: Final = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
WEB_ACL: Final = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/workbench/12345678-1234-1234-1234-123456789012"
ALONE: Final = ("image", "only_if_deployed", "dry_run")
"""Keys that keep others from having an effect."""


def merged() -> list[dict[str, Any]]:
    """The inputs to deploy: those that need an image that was built, or a cluster, come last, and last of all an AMI of
    one's own, with which nothing is built any more.

    Who has an id keeps it, so inputs that name people are of a cluster of their own.
    """
    found: list[dict[str, Any]] = []
    for _, text in examples():
        example = json.loads(text)
        if is_of_verify(example):
            continue
        for place, group in enumerate(found):
            if _agree(group, example):
                found[place] = _together(group, example)
                break
        else:
            found.append(example)
    groups = sorted(
        found, key=lambda content: (any(key in content for key in ALONE), "ami" in content.get("image", {}))
    )
    return [
        {"cluster": f"people-{n}", **content} if "users" in content else content for n, content in enumerate(groups)
    ]


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if any(one.get(key) != other.get(key) for key in ALONE):
        return False
    if one.get("cluster", "workbench") != other.get("cluster", "workbench") or _contradict(one, other):
        return False
    return not read_input(_together(one, other), {}, defaults(), "benchwright").problems


def _contradict(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_contradict(one[key], other[key]) for key in one.keys() & other.keys())
    return bool(one != other)


def _together(one: Any, other: Any) -> Any:
    """Both patches, with what they take back."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **other, **{key: _together(one[key], other[key]) for key in one.keys() & other.keys()}}
    return other


def deploy_all(installed: Account) -> int:
    client = installed.aws.client
    for name in SECRETS:
        client("secretsmanager").create_secret(Name=name, SecretString="what a person wrote")
    own = _what_an_address_names(client, installed.aws.clock)
    for content in merged():
        built = [image["ImageId"] for image in client("ec2").describe_images(Owners=["self"])["Images"]]
        text = json.dumps(content)
        host = f"{content.get('cluster', 'workbench')}.{ZONE_NAME}"  # a name has one record, so clusters share none
        for name, there in {**own, HOST: host, AMI: built[-1] if built else AMI}.items():
            text = text.replace(name, there)
        ended = deployment.deploy(installed, json.loads(text), [])
        reported = {"input": content, "status": ended.status, "cause": ended.cause, "refused": _refused(client)}
        print(json.dumps(reported), flush=True)
    return 0


def _what_an_address_names(client: Any, clock: Clock) -> dict[str, str]:
    """What is there in the account in place of what stands in the documents: zone, certificate and web ACL."""
    acm, options = client("acm"), {"CloudWatchMetricsEnabled": False, "SampledRequestsEnabled": False}
    certificate = acm.request_certificate(DomainName=f"*.{ZONE_NAME}", ValidationMethod="DNS")["CertificateArn"]
    while "ResourceRecord" not in (option := _certificate(acm, certificate)["DomainValidationOptions"][0]):
        clock.wait(1)
    record = {"Name": option["ResourceRecord"]["Name"], "Type": "CNAME", "TTL": 300}
    record["ResourceRecords"] = [{"Value": option["ResourceRecord"]["Value"]}]
    client("route53").change_resource_record_sets(
        HostedZoneId=ZONE_ID, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    )
    while _certificate(acm, certificate)["Status"] != "ISSUED":
        clock.wait(1)
    web_acl = client("wafv2").create_web_acl(
        Name="workbench",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={**options, "MetricName": "workbench"},
    )["Summary"]["ARN"]
    return {ZONE: ZONE_ID, CERTIFICATE: certificate, WEB_ACL: web_acl}


def _certificate(acm: Any, arn: str) -> Any:
    return acm.describe_certificate(CertificateArn=arn)["Certificate"]


def _refused(client: Any) -> list[str]:
    """The keys of every rserver.conf that was published, which the server would not start with."""
    s3, found = client("s3"), set()
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"], Prefix="clusters/").get("Contents", []):
            name = item["Key"].rpartition("/")[2]
            if name.endswith(".tar.gz") and not name.startswith("node-"):  # which is the script of the nodes
                found |= _keys(s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read())
    return sorted(found - server_options.PUBLISHED)


def _keys(archive: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as bundle:
        member = bundle.extractfile("files/etc/rstudio/rserver.conf")
        assert member
        return {line.partition("=")[0] for line in member.read().decode().splitlines()}


if __name__ == "__main__":
    sys.exit(account.alone(deploy_all))
