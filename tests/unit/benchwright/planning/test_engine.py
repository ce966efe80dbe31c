"""A database begins with the newest version, or with the one that is asked for, and never goes back."""

from __future__ import annotations

from typing import Any

import pytest

from benchwright.models import Plan
from benchwright.planning import engine
from benchwright.planning.engine import Engines, choose
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.read_input import read_input
from benchwright.record import Known
from benchwright.settings import Settings
from benchwright.stacks import desired_state
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.planning.test_plan import DEFAULTS
from tests.unit.benchwright.steps import ROOT

AVAILABLE = ("17.7", "17.9", "17.10")


@pytest.mark.parametrize(
    ("wanted", "recorded", "running", "chosen"),
    [
        (None, "", "", "17.10"),  # the newest, by number
        (None, "17.9", "", "17.9"),  # looked up once
        (None, "17.4", "", "17.10"),  # withdrawn before the database was made
        ("17.7", "17.9", "", "17.7"),
        (None, "", "17.5", "17.5"),  # made by a release that recorded none
        (None, "17.7", "17.9", "17.9"),  # Aurora upgraded it
        ("17.7", "17.7", "17.9", "17.9"),  # and an older version that the input holds takes nothing back
        ("17.10", "17.7", "17.9", "17.10"),
        (None, "17.10", "17.9", "17.9"),  # an upgrade that was taken back
    ],
)
def test_the_version(wanted: str | None, recorded: str, running: str, chosen: str) -> None:
    assert choose(wanted, recorded, Engines(running, AVAILABLE)) == chosen


@pytest.mark.parametrize(
    ("wanted", "running", "give"),
    [
        (None, "", None),
        ("17.9", "", None),
        ("17.4", "", "one of 17.7, 17.9, 17.10, or null"),
        ("17.4", "17.5", None),  # no database goes back
        ("17.5", "17.5", None),  # withdrawn, and still running
        ("17.10", "17.9", None),
        ("17.99", "17.9", "one of 17.10, or null, which keeps the 17.9 that runs"),
        ("17.99", "17.10", "null, which keeps the 17.10 that runs"),
    ],
)
def test_a_version_that_rds_does_not_have_is_refused(wanted: str | None, running: str, give: str | None) -> None:
    refused = engine.refusal(wanted, Engines(running, AVAILABLE))
    assert refused == (give and ("RDS has no such version here", give))


def test_a_region_without_aurora_is_named() -> None:
    refused = engine.refusal(None, Engines())
    assert refused == (
        "RDS lists no version of aurora-postgresql 17 here",
        "no version, and deploy in a region that has Aurora",
    )
    assert engine.refusal(None, Engines("17.4")) is None


@pytest.mark.parametrize("running", ["", "17.7"])
def test_a_version_that_an_input_gave_can_be_taken_back(running: str) -> None:
    """Also one that RDS has, and to which the database could not be brought."""
    known, version = Known(), ""
    for given in ({"engine_version": "17.9"}, {"engine_version": None}):
        raw = {"database": given}
        request, wanted = read_input(raw, known.input, DEFAULTS, "benchwright").whole()
        looked = LookupResult({}, "ami", Engines(running, AVAILABLE))
        plan, known = make_plan(request, wanted, known, looked, defaults=DEFAULTS, execution="e")
        version = plan.engine_version
    assert version == known.engine_version == (running or "17.10")


def test_the_database_of_a_cluster_is_known_by_its_tags(aws: Conversation) -> None:
    def database(application: str, cluster: str, version: str) -> dict[str, Any]:
        tags = {"benchwright:application": application, "benchwright:cluster": cluster}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {"DBClusterIdentifier": "x", "EngineVersion": version, "TagList": listed}

    # Names of Aurora PostgreSQL Limitless Database, as its release notes have them for 16.
    listed = ("17.10", "17.7", "17.6-limitless", "17.6.8-limitless", "17.9")
    versions = [{"EngineVersion": version} for version in listed]
    aws.answers["DescribeDBEngineVersions"] = {"DBEngineVersions": versions}
    aws.answers["DescribeDBClusters"] = {
        "DBClusters": [
            {"DBClusterIdentifier": "of-nobody", "EngineVersion": "17.1"},
            database("other", "blue", "17.2"),
            database("wb", "green", "17.3"),
            database("wb", "blue", "17.4"),
        ]
    }
    assert engine.look_up("blue") == Engines("17.4", AVAILABLE)
    assert engine.look_up("red") == Engines("", AVAILABLE)


def test_the_version_is_recorded_and_goes_to_the_foundation() -> None:
    request, wanted = read_input({}, {}, DEFAULTS, "benchwright").whole()

    def planned(known: Known, engines: Engines) -> tuple[Plan, Known]:
        return make_plan(request, wanted, known, LookupResult({}, "ami", engines), defaults=DEFAULTS, execution="e")

    first, known = planned(Known(), Engines("", AVAILABLE))
    assert (first.engine_version, known.engine_version) == ("17.10", "17.10")
    later, known = planned(known, Engines("17.10", (*AVAILABLE, "17.11")))
    assert (later.engine_version, known.engine_version) == ("17.10", "17.10")
    upgraded, known = planned(known, Engines("17.11", (*AVAILABLE, "17.11")))
    assert (upgraded.engine_version, known.engine_version) == ("17.11", "17.11")
    stack = desired_state.foundation(Settings(application="benchwright"), upgraded, None, ROOT / "infra")
    assert stack.parameters["EngineVersion"] == "17.11"
    of_an_older_release = upgraded.model_copy(update={"engine_version": ""})
    stack = desired_state.foundation(Settings(application="benchwright"), of_an_older_release, None, ROOT / "infra")
    assert "EngineVersion" not in stack.parameters  # the template's default is what that release pinned
