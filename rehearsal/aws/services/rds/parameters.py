"""Parameters of the calls: which of them a description shows, and what RDS refuses."""

import re
from collections.abc import Mapping
from typing import Any

from rehearsal.aws.calls import Call, ServiceError

LONGEST_IDENTIFIER = 63
# Parameters that the description shows under another name.
RENAMED = {
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
    "EnableHttpEndpoint": "HttpEndpointEnabled",
    "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "DBClusterParameterGroupName": "DBClusterParameterGroup",
    "DBSubnetGroupName": "DBSubnetGroup",
    "Tags": "TagList",
}
SHOWN = frozenset(
    (
        *("AutoMinorVersionUpgrade", "BackupRetentionPeriod", "CopyTagsToSnapshot", "DatabaseInsightsMode"),
        *("DatabaseName", "DeletionProtection", "EngineLifecycleSupport", "EngineVersion", "MasterUsername"),
        *("MonitoringInterval", "MonitoringRoleArn", "NetworkType", "PerformanceInsightsRetentionPeriod"),
        *("PreferredBackupWindow", "PreferredMaintenanceWindow", "PromotionTier", "PubliclyAccessible"),
        *("ServerlessV2ScalingConfiguration", "StorageEncrypted", "StorageType"),
    )
)
TREATED = frozenset(
    (
        *("ApplyImmediately", "AvailabilityZone", "CACertificateIdentifier", "DBClusterIdentifier"),
        *("DBInstanceClass", "DBInstanceIdentifier", "Engine", "EngineMode", "KmsKeyId", "ManageMasterUserPassword"),
        *("MasterUserSecretKmsKeyId", "Port", "RotateMasterUserPassword", "VpcSecurityGroupIds"),
    )
)
"""Parameters that have a line of their own in clusters or instances."""


def shown(call: Call) -> dict[str, Any]:
    """The parameters that a description shows; fails by name on one that no one looks at."""
    ours = call.given()
    unknown = sorted(ours.keys() - SHOWN - TREATED - RENAMED.keys())
    if unknown:
        raise ServiceError(
            "InvalidParameterValue", f"The rehearsal does not implement {', '.join(unknown)} of {call.operation}."
        )
    return {RENAMED.get(name, name): value for name, value in ours.items() if name in SHOWN or name in RENAMED}


def identifier(call: Call, parameter: str) -> str:
    """The name of a new cluster or instance, as RDS keeps it."""
    name = str(call[parameter]).lower()
    if len(name) > LONGEST_IDENTIFIER or not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ServiceError(
            "InvalidParameterValue",
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive "
            "hyphens.",
        )
    return name


def check_capacity(capacity: Mapping[str, Any] | None) -> None:
    if capacity is None:
        return
    least, most = float(capacity.get("MinCapacity", 0.5)), float(capacity.get("MaxCapacity", 1))
    for value in (least, most):
        if value * 2 % 1:
            raise ServiceError(
                "InvalidParameterValue",
                f"Serverless v2 capacity {value} isn't valid. Specify a capacity that's a multiple of 0.5.",
            )
    if not (0 <= least <= most and 1 <= most <= 256):
        raise ServiceError(
            "InvalidParameterValue", f"Serverless v2 minimum {least} and maximum {most} capacity aren't valid."
        )


def filtered(call: Call, name: str) -> set[str] | None:
    for chosen in call.get("Filters") or []:
        if chosen["Name"] == name:
            return set(chosen["Values"])
    return None


def security_groups(call: Call) -> list[dict[str, str]]:
    return [{"VpcSecurityGroupId": group, "Status": "active"} for group in call.get("VpcSecurityGroupIds") or []]
