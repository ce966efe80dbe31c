"""Which Aurora PostgreSQL a cluster runs.

Minor versions are withdrawn after about a year, and Aurora upgrades by itself: no version can be pinned for ever.
"""

import re
from typing import NamedTuple

from benchwright.aws import client
from benchwright.settings import settings
from benchwright.values import ENGINE_VERSION

ENGINE = "aurora-postgresql"
INSTANCE_CLASS = "db.serverless"  # of the instances in infra/foundation.yaml
FAMILY = "aurora-postgresql17"  # of the parameter group in infra/foundation.yaml


class Engines(NamedTuple):
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
    listed = {version["EngineVersion"] for page in pages for version in page["DBEngineVersions"]}
    # RDS lists other engines under the same name, such as 16.4-limitless.
    available = [version for version in listed if re.match(ENGINE_VERSION, version)]
    return Engines(_running(cluster), tuple(sorted(available, key=_number)))


def _running(cluster: str) -> str:
    pages = (
        client("rds").get_paginator("describe_db_clusters").paginate(Filters=[{"Name": "engine", "Values": [ENGINE]}])
    )
    for page in pages:
        for found in page["DBClusters"]:
            tags = {tag["Key"]: tag["Value"] for tag in found.get("TagList", [])}
            if settings().tags(cluster).items() <= tags.items():
                return str(found["EngineVersion"])
    return ""


def choose(wanted: str | None, recorded: str, engines: Engines) -> str:
    """Decide the version: what is wanted, what was looked up before, or the newest; never less than what runs.

    A database that runs keeps its version where none is wanted: so a wrong value that was recorded can be taken back.
    A recorded version that RDS has withdrawn since cannot begin a database any more. Empty where RDS has none at all.
    """
    if engines.running:
        return max(wanted or engines.running, engines.running, key=_number)
    if wanted or recorded in engines.available:
        return wanted or recorded
    return engines.available[-1] if engines.available else ""


def other_version(chosen: str, engines: Engines) -> str:
    """Return what to take in place of a version that no database could be made with: the newest other one.

    Empty where RDS has no other, and where a database runs, which keeps its version.
    """
    others = [version for version in engines.available if version != chosen]
    return "" if engines.running or not others else others[-1]


def refusal(wanted: str | None, engines: Engines) -> tuple[str, str] | None:
    """Return what is wrong with a version and what to give instead; None where RDS can run it."""
    if not engines.available and not engines.running:
        return f"RDS lists no version of {ENGINE} 17 here", "no version, and deploy in a region that has Aurora"
    if (
        wanted is None
        or wanted in engines.available
        or (engines.running and _number(wanted) <= _number(engines.running))
    ):
        return None
    newer = [each for each in engines.available if not engines.running or _number(each) > _number(engines.running)]
    stay = f"null, which keeps the {engines.running} that runs" if engines.running else "null"
    return "RDS has no such version here", f"one of {', '.join(newer)}, or {stay}" if newer else stay


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
