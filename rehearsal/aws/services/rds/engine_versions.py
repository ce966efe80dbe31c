"""Versions of Aurora PostgreSQL."""

from typing import Any

from rehearsal.aws.calls import Call

from .model import ENGINE

VERSIONS = (
    *("16.8", "16.9", "16.10", "16.11", "16.13"),
    *("17.4", "17.5", "17.6", "17.7", "17.9", "17.10"),
)


class EngineVersions:
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


def family(version: str) -> str:
    return f"{ENGINE}{version.partition('.')[0]}"


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
