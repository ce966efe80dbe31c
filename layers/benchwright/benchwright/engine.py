"""Which Aurora PostgreSQL a cluster runs.

Minor versions are withdrawn after about a year, and Aurora upgrades by itself: no version can be pinned for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchwright.observability import client
from benchwright.settings import settings

ENGINE = "aurora-postgresql"
FAMILY = "aurora-postgresql17"  # of the parameter group in infra/foundation.yaml


@dataclass(frozen=True)
class Engines:
    """What RDS has: the version that the cluster runs, empty while there is none, and those that a new one can have."""

    running: str = ""
    available: tuple[str, ...] = ()


def look_up(cluster: str) -> Engines:
    """Ask RDS; the cluster's database is known by its tags."""
    pages = (
        client("rds")
        .get_paginator("describe_db_engine_versions")
        .paginate(Engine=ENGINE, DBParameterGroupFamily=FAMILY)
    )
    available = {version["EngineVersion"] for page in pages for version in page["DBEngineVersions"]}
    return Engines(_running(cluster), tuple(sorted(available, key=_number)))


def _running(cluster: str) -> str:
    pages = (
        client("rds").get_paginator("describe_db_clusters").paginate(Filters=[{"Name": "engine", "Values": [ENGINE]}])
    )
    ours = {"benchwright:application": settings().application, "benchwright:cluster": cluster}
    for page in pages:
        for found in page["DBClusters"]:
            tags = {tag["Key"]: tag["Value"] for tag in found.get("TagList", [])}
            if ours.items() <= tags.items():
                return str(found["EngineVersion"])
    return ""


def choose(wanted: str | None, recorded: str, engines: Engines) -> str:
    """Decide the version: what is wanted, what was recorded, what runs, or the newest; never less than what runs.

    A recorded version that RDS has withdrawn since cannot begin a database any more. Empty where RDS has none at all.
    """
    if engines.running:
        return max(wanted or recorded or engines.running, engines.running, key=_number)
    if wanted or recorded in engines.available:
        return wanted or recorded
    return engines.available[-1] if engines.available else ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
