"""Versions of Aurora PostgreSQL, and the zones in which RDS offers it.

That us-east-1e has no db.serverless is what RDS answered when moto recorded it (moto.rds, cluster_options).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .model import ENGINE

SERVERLESS = "db.serverless"

VERSIONS = (
    *("16.8", "16.9", "16.10", "16.11", "16.13"),
    *("17.4", "17.5", "17.6", "17.7", "17.9", "17.10"),
)


@dataclass(frozen=True)
class EngineVersions:
    aws: LocalAws

    def describe_orderable_db_instance_options(self, call: Call) -> dict[str, Any]:
        """Say in which zones each version can be had; of the classes, only the one that has no size of its own."""
        is_known = call["Engine"] == ENGINE and call.get("DBInstanceClass") == SERVERLESS
        zones = [{"Name": name} for name in zones_with_aurora(self.aws)]
        return {
            "OrderableDBInstanceOptions": [
                {
                    "Engine": ENGINE,
                    "EngineVersion": version,
                    "DBInstanceClass": SERVERLESS,
                    "LicenseModel": "postgresql-license",
                    "AvailabilityZones": zones,
                    "Vpc": True,
                    "StorageType": "aurora",
                    "SupportedEngineModes": ["provisioned"],
                }
                for version in VERSIONS
                if is_known and zones and call.get("EngineVersion", version) == version
            ]
        }

    def describe_db_engine_versions(self, call: Call) -> dict[str, Any]:
        if call.get("Engine", ENGINE) != ENGINE:
            return {"DBEngineVersions": []}
        chosen = [
            version
            for version in VERSIONS
            if call.get("EngineVersion", version) == version
            and call.get("DBParameterGroupFamily", family(version)) == family(version)
        ]
        if call.get("DefaultOnly"):
            chosen = ["17.7"]
        return {
            "DBEngineVersions": [
                {
                    "Engine": ENGINE,
                    "EngineVersion": version,
                    "MajorEngineVersion": version.split(".")[0],
                    "DBParameterGroupFamily": family(version),
                    "Status": "available",
                }
                for version in chosen
            ]
        }


def zones_with_aurora(aws: LocalAws) -> list[str]:
    zones = [zone["ZoneName"] for zone in aws.client("ec2").describe_availability_zones()["AvailabilityZones"]]
    return sorted(zone for zone in zones if zone[-1] not in aws.initial_account.without_aurora)


def refuse_too_few_zones(aws: LocalAws, subnets: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    """Return the zones of a subnet group in which instances can be; refuse where these are fewer than two.

    Source: the answer of RDS in https://github.com/Hubs-Foundation/hubs-cloud/issues/190
    """
    with_aurora = zones_with_aurora(aws)
    zones = sorted({str(subnet["SubnetAvailabilityZone"]["Name"]) for subnet in subnets} & set(with_aurora))
    if len(zones) < 2:
        raise ServiceError(
            "InvalidVPCNetworkStateFault",
            f"Your subnet group only has one Availability Zone {', '.join(zones)} that is supported by Aurora "
            "Serverless. Please ensure the subnet group includes at least two of the following Availability Zones, "
            f"supported by Aurora Serverless: {', '.join(with_aurora)}.",
        )
    return zones


def family(version: str) -> str:
    return f"{ENGINE}{version.partition('.')[0]}"


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
