"""What stays of a cluster that was destroyed, with the id and the monthly cost of each thing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError
from pydantic import BaseModel

from benchwright import prices
from benchwright.aws import client
from benchwright.destruction.secrets import Secret
from benchwright.errors import error_code
from benchwright.settings import settings

GIB = 2**30
DATABASE = "AWS::RDS::DBCluster"
# What each resource of a foundation costs in a month, by its type; all others cost nothing.
FIXED: Mapping[str, float] = {
    "AWS::KMS::Key": prices.KEY_MONTH,
    "AWS::SecretsManager::Secret": prices.SECRET_MONTH,
    DATABASE: prices.SECRET_MONTH,  # RDS keeps the password of the master in a secret of its own
}
WITHOUT_COST = 0.0
UNKNOWN = ""  # the state of a key that may not be described
# Notes on keys that are listed without a cost, by their states.
KEY_NOTES: Mapping[str, str] = {
    "PendingDeletion": "costs nothing, and its deletion can be cancelled until then",
    UNKNOWN: "not a key of this application: its state and its cost are not known here",
}


class Remaining(BaseModel):
    """A thing that stays. monthly_usd: by list prices. until: when AWS removes it by itself; empty for never."""

    what: str
    id: str
    monthly_usd: float = WITHOUT_COST
    until: str = ""
    note: str = ""


def of_foundation(resources: Iterable[Mapping[str, str]], parameters: Mapping[str, str]) -> list[Remaining]:
    """Return the resources of a foundation that was kept, what costs most first."""
    capacity = float(parameters.get("MinCapacity", "0.5"))
    instance = round(capacity * prices.ACU_HOUR * prices.HOURS, 2)
    found = []
    for resource in resources:
        type_, id_ = resource["ResourceType"], resource["PhysicalResourceId"]
        cost, note = FIXED.get(type_, WITHOUT_COST), ""
        if type_ == "AWS::RDS::DBInstance":
            cost, note = instance, f"at {capacity:g} ACU, the least that it takes"
        if type_ == DATABASE:
            note = f"for the secret of its master, and {prices.AURORA_GB_MONTH:.2f} for each GB of its data"
        if type_ == "AWS::EFS::FileSystem":
            size = _size(id_)
            cost, note = (
                round(size / GIB * prices.EFS_GB_MONTH, 2),
                f"{size / GIB:.2f} GiB, were all in standard storage",
            )
        found.append(Remaining(what=type_, id=id_, monthly_usd=cost, note=note))
    return sorted(found, key=lambda each: (-each.monthly_usd, each.what, each.id))


def after_data(secrets: Sequence[Secret], snapshots: Mapping[str, str], file_system: str) -> list[Remaining]:
    """Return what stays where the data went: snapshots, keys and secrets that can be restored, recovery points."""
    found = [
        Remaining(
            what="AWS::RDS::DBClusterSnapshot",
            id=name,
            note=f"{prices.AURORA_GB_MONTH:.2f} USD a month for each GB; unreadable without its key",
        )
        for name in sorted(snapshots)
    ]
    found += [
        Remaining(
            what="AWS::SecretsManager::Secret",
            id=secret.name,
            until=secret.goes,
            note="costs nothing, can be restored until then, and its name is taken until then",
        )
        for secret in secrets
    ]
    keys = {key for key in (*snapshots.values(), *(secret.key for secret in secrets)) if key}
    described = {key["Arn"]: key for each in sorted(keys) if (key := _key(each))}
    for arn, (state, until) in sorted((arn, (key["KeyState"], key["DeletionDate"])) for arn, key in described.items()):
        found.append(
            Remaining(
                what="AWS::KMS::Key",
                id=arn,
                monthly_usd=WITHOUT_COST if state in KEY_NOTES else prices.KEY_MONTH,
                until=until,
                note=KEY_NOTES.get(state, ""),
            )
        )
    if file_system:
        found.append(
            Remaining(
                what="AWS::Backup::RecoveryPoint",
                id=f"those of {file_system} in the vault aws/efs/automatic-backup-vault",
                note="where AWS Backup made any, until 35 days after each; they do not need the key of the cluster",
            )
        )
    return found


def validation_record(recorded: Mapping[str, Any]) -> str:
    """Name the record by which ACM validated the host name of an input; empty where Benchwright has written none."""
    access = recorded.get("access") or {}
    hostname, zone = access.get("hostname"), access.get("hosted_zone_id")
    if not hostname or not zone or access.get("certificate_arn"):
        return ""
    return f"the CNAME record of {hostname} with a value in acm-validations.aws, in the hosted zone {zone}"


def of_dns(validation_record: str) -> list[Remaining]:
    """Return the record by which ACM validated the host name."""
    note = "every certificate of the host name in this account needs the same: delete it once there is none"
    return [Remaining(what="AWS::Route53::RecordSet", id=validation_record, note=note)] if validation_record else []


def reports(cluster: str) -> Remaining:
    """Return the reports of executions, that of the destroy among them."""
    note = "reports of executions, until the days that the application keeps them are over"
    return Remaining(what="AWS::S3::Object", id=f"s3://{settings().bucket_name}/reports/{cluster}/", note=note)


def skipped(events: Iterable[Mapping[str, str]], expected: Collection[str]) -> list[Remaining]:
    """Return what CloudFormation kept though it was let go: no page of AWS says for certain when it heeds a policy."""
    kept = {
        event["PhysicalResourceId"]: event["ResourceType"]
        for event in events
        if event["ResourceStatus"] == "DELETE_SKIPPED" and event["LogicalResourceId"] not in expected
    }
    note = "CloudFormation kept it with its data, and no stack knows it any more: delete it by hand"
    return [Remaining(what=type_, id=id_, note=note) for id_, type_ in kept.items()]


def _size(file_system: str) -> int:
    found = client("efs").describe_file_systems(FileSystemId=file_system)["FileSystems"]
    return int(found[0]["SizeInBytes"]["Value"]) if found else 0


def _key(key: str) -> dict[str, str] | None:
    """Describe a key; None where it is gone. People may copy a snapshot with a key of their own, without the tag that
    the permission asks for (template.yaml, WhenDoesTheKeyGo).
    """
    try:
        found = client("kms").describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        if error_code(error) == "NotFoundException":
            return None
        if error_code(error) == "AccessDeniedException":
            return {"Arn": key, "KeyState": UNKNOWN, "DeletionDate": ""}
        raise
    goes = found.get("DeletionDate")
    until = goes.isoformat(timespec="seconds") if goes else ""
    return {"Arn": found["Arn"], "KeyState": found["KeyState"], "DeletionDate": until}
