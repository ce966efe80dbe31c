"""More nodes than a licence allows are refused: before anything is built, or once the first node has read it."""

from __future__ import annotations

from typing import Any

import pytest

from benchwright import licensing
from benchwright.errors import InvalidInput, NodeConfigurationFailed
from benchwright.models import License, merge_patch
from benchwright.nodes.bundle import Endpoint, make_bundle, render_files
from benchwright.planning import unproven
from benchwright.planning.read_input import read_input
from benchwright.record import Known, Record
from benchwright.secrets import Secret
from benchwright.verification.checks import verify
from tests.unit.benchwright import test_handlers
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.planning.test_plan import DEFAULTS, plan_from
from tests.unit.benchwright.steps import COMMAND, handle, record
from tests.unit.benchwright.verification.test_checks import PLAN, a_plan, observed, report

SERVER = {"license": {"server": "10.0.0.20:8989"}}
TWO = "the licence is of the tier Enhanced, which allows 2 nodes"
INSTEAD = "2, or a licence of the tier Advanced"
READ = "arn:l v2"  # what test_plan knows of benchwright/license/l


@pytest.mark.parametrize(
    ("tier", "nodes", "allowed"),
    [
        ("Enhanced", 2, True),
        ("Enhanced", 3, False),
        (" basic ", 3, False),
        ("Advanced", 50, True),
        ("Another", 50, True),
        ("", 50, True),
        (None, 50, True),
    ],
)
def test_more_than_two_nodes_need_a_tier_that_allows_them(tier: str | None, nodes: int, allowed: bool) -> None:
    assert (licensing.refusal(tier, nodes) is None) is allowed


def test_a_licence_is_known_by_its_version() -> None:
    one, two = License(secret_arn="arn:l", secret_version="v1"), License(secret_arn="arn:l", secret_version="v2")
    assert [licensing.identity(each) for each in (None, one, two)] == ["", "arn:l v1", "arn:l v2"]


def test_a_tier_that_an_earlier_execution_read_refuses_before_anything_is_built() -> None:
    wanted = {"nodes": {"count": 3}, "license": "benchwright/license/l"}
    known = Known(license_tier="Enhanced", license_read=READ)
    with pytest.raises(InvalidInput) as caught:
        plan_from(wanted, known)
    assert str(caught.value).splitlines()[1:] == [f"- nodes.count: 3 is refused: {TWO}. Give {INSTEAD}."]
    server = {**wanted, **SERVER}
    for given, other in (
        (wanted, Known(license_tier="Enhanced", license_read="arn:l v1")),
        (wanted, Known(license_tier="Advanced", license_read=READ)),
        (wanted, Known()),
        (server, Known(license_tier="Enhanced", license_read="10.0.0.20:8989")),
        ({**wanted, "license": None}, Known(license_tier="Enhanced")),
    ):
        plan, recorded = plan_from(given, other)
        assert plan.wanted.nodes.count == 3
        assert (recorded.license_tier, recorded.license_read) == (other.license_tier, other.license_read)


@pytest.mark.parametrize(("tier", "count"), [("Enhanced", 3), ("Enhanced", 2), ("Advanced", 3), (None, 3)])
def test_the_first_node_reads_the_tier_before_the_others_are_configured(
    aws: Conversation, tier: str | None, count: int
) -> None:
    first = f"{test_handlers.NODE[:-1]}0"
    said = report(first, configuration="hash", license_terms={"tier": tier, "seats": 0, "days_left": 9})
    answered = {"InstanceId": first, "Status": "Success", "CommandId": COMMAND}
    answered["CommandPlugins"] = [{"Output": said.model_dump_json()}]  # type: ignore[assignment]
    aws.answers = {
        **test_handlers.group(*["2"] * count),
        **test_handlers.agents(*["Online"] * count),
        **test_handlers.bucket(),
        "ListCommandInvocations": {"CommandInvocations": [answered]},
        "GetItem": record(nodes={"count": count}),
        "UpdateItem": {},
    }
    event: dict[str, Any] = {
        "action": "apply",
        "nodes": test_handlers.NODES,
        "configuration": "hash",
        "commands": [{"id": COMMAND, "instances": [first]}],
    }
    if (tier, count) == ("Enhanced", 3):
        with pytest.raises(NodeConfigurationFailed) as caught:
            handle("configure_nodes", **event)
        assert str(caught.value) == f"nodes.count is 3, and {TWO}. Give {INSTEAD}."
    else:
        handle("configure_nodes", **event)
    written = [(operation, given) for operation, given in aws.writes if operation == "UpdateItem"]
    assert [given["ExpressionAttributeValues"][":license_tier"] for _, given in written] == (
        [{"S": tier}] if tier else []
    )
    is_refused = (tier, count) == ("Enhanced", 3)
    assert [operation for operation, _ in aws.writes if operation != "UpdateItem"] == (
        [] if is_refused else ["PutObject", "SendCommand"]
    )


def test_a_cluster_that_has_more_nodes_than_its_licence_allows_is_not_verified() -> None:
    terms = {"tier": "Enhanced", "seats": 0, "days_left": 99}
    reports = {name: report(name, license_terms=terms) for name in ("i-1", "i-2")}
    assert verify(PLAN, "ami-1", "hash", observed(reports=reports)).verified
    three = a_plan({"users": {"ann": {}}, "nodes": {"count": 3}})
    found = {check.name: check for check in verify(three, "ami-1", "hash", observed(reports=reports)).checks}
    assert (found["license"].holds, found["license"].found) == (False, f"{TWO}; 3 are planned")


def test_a_floating_licence_reaches_the_nodes_by_the_name_of_its_server() -> None:
    plan, recorded = plan_from(SERVER)
    assert plan.license == License(server="10.0.0.20:8989")
    assert (recorded.input, licensing.identity(plan.license)) == (SERVER, "10.0.0.20:8989")
    secret = Secret("arn:s", "v1")
    (configuration, *_) = render_files(plan, Endpoint("db", 5432))
    assert "server-license-type=remote\n" in configuration.content
    (configuration, *_) = render_files(plan_from({"license": "benchwright/license/l"})[0], Endpoint("db", 5432))
    assert "server-license-type" not in configuration.content
    one, other = (
        make_bundle(plan_from(given)[0], Endpoint("db", 5432), secret, secret)
        for given in (SERVER, {"license": {"server": "10.0.0.21:8989"}})
    )
    assert one.configuration != other.configuration


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"server": "10.0.0.20"}, 'license.server: "***" is refused: not the host and the port of a licence server'),
        ({"server": "http://l:89"}, 'license.server: "***" is refused: not the host and the port of a licence server'),
        ({"server": "l:0"}, 'license.server: "l:0" is refused: not the host and the port of a licence server'),
        ({}, "license.server: {} is refused: it is missing"),
        ({"key": "x"}, 'license.key: "***" is refused: an unknown key'),
        (7, "license: 7 is refused: it is not text"),
        ("ABCD-EF01-2345-6789-ABCD-EF01-2345", 'license: "***" is refused: it is a licence key, which each machine'),
    ],
)
def test_what_is_no_licence_is_refused_with_the_reason(given: Any, wrong: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_input({"license": given}, {}, DEFAULTS, "benchwright").whole()
    assert f"\n- {wrong}" in str(caught.value)
    assert "ABCD" not in str(caught.value)


def test_a_licence_of_another_kind_is_taken_back_as_a_whole() -> None:
    name = {"license": "benchwright/license/l"}
    for now, before in ((SERVER, name), (name, SERVER), (SERVER, {}), ({}, SERVER)):
        (value,) = unproven.find(Record(known=Known(input=now, proven=before)))
        assert unproven.changed(merge_patch(now, value.take_back), before) == {}
