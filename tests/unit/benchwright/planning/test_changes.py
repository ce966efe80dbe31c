"""What a deployment says that it changed."""

from typing import Any

import pytest

from benchwright.models import Account, License, Plan
from benchwright.planning.changes import MOST_LINES, changes
from benchwright.record import Known, Record
from tests.unit.benchwright.verification.test_checks import a_plan


def verified(wanted: dict[str, Any], known: Known | None = None, **parts: Any) -> Record:
    """A verified cluster with the plan of this input."""
    return Record(verified=True, plan=planned(wanted, **parts), known=known or Known())


def planned(wanted: dict[str, Any], **parts: Any) -> Plan:
    return a_plan(wanted).model_copy(update=parts)


def test_a_first_deployment_is_a_new_cluster() -> None:
    assert changes(Record(), a_plan({}), Known()) == ["a new cluster"]


def test_the_same_again_changes_nothing() -> None:
    assert changes(verified({}), a_plan({}), Known()) == []


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ({"nodes": {"count": 2}}, {"nodes": {"count": 3}}, ["nodes.count: 3 (was 2)"]),
        ({"config": {}}, {"config": {"a-key": "x" * 90}}, [f'config.a-key: "{"x" * 76}... (was none)']),
        ({"tags": {"team": "a"}}, {"tags": {}}, ['tags.team: none (was "a")']),
        (
            {"r_versions": ["4.4.3"]},
            {"r_versions": ["4.4.3", "4.5.2"]},
            ['r_versions: ["4.4.3", "4.5.2"] (was ["4.4.3"])'],
        ),
    ],
)
def test_each_value_that_differs_is_named_with_the_one_before(
    before: dict[str, Any], now: dict[str, Any], lines: list[str]
) -> None:
    assert changes(verified(before), a_plan(now), Known()) == lines


def test_a_new_version_of_a_secret_is_named_and_not_shown() -> None:
    def parts(version: str) -> dict[str, Any]:
        account = Account(name="ann", uid=1, gid=1, secret_arn="arn:ann", secret_version=version)
        return {"accounts": [account], "license": License(secret_arn="arn:licence", secret_version=version)}

    lines = changes(verified({}, **parts("v1")), planned({}, **parts("v2")), Known())
    assert lines == ["the password of ann: a new version", "the secret of the licence: a new version"]
    assert changes(verified({}), planned({}, **parts("v1")), Known()) == [
        "the password of ann: given (was none)",
        "the secret of the licence: given (was none)",
    ]


def test_what_earlier_executions_recorded_that_failed_counts_as_well() -> None:
    """Their plan has the value; the cluster that was verified last does not."""
    known = Known(input={"nodes": {"count": 3}}, proven={"nodes": {"count": 2}})
    assert changes(verified({"nodes": {"count": 3}}, known), a_plan({"nodes": {"count": 3}}), known) == [
        "nodes.count: 3 (was 2)"
    ]


def test_more_than_a_message_has_room_for_is_counted() -> None:
    config = {f"key-{number:03}": "1" for number in range(MOST_LINES + 5)}
    lines = changes(verified({"config": {}}), a_plan({"config": config}), Known())
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 5 more: see the plan of the execution's output"
