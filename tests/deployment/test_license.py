"""The licence of a cluster over its life: each test goes on where the one before it ended."""

from typing import Any

import pytest

from rehearsal.hosts.license_server import HOST, PORT
from tests.deployment.account import Account

SECRET = "benchwright/license/basic"
BASIC = "-- a licence file --\nLicensee: Rehearsal\nTier: Basic\n"

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def first(account: Account) -> Any:
    return account.deploy_as_previewed({"license": {"server": f"{HOST}:{PORT}"}}).output


def leases(account: Account) -> set[str]:
    leased: set[str] = account.aws.hosts.licenses.leases
    return set(leased)


def addresses(account: Account) -> set[str]:
    return {machine.address for machine in account.nodes.values()}


def test_each_node_leases_a_licence_of_the_server(account: Account, first: Any) -> None:
    assert first["license"] == "Activated"
    assert first["verification"]["license_terms"]["tier"] == "Advanced"
    assert len(first["nodes"]) == 2
    assert leases(account) == addresses(account)


def test_a_node_that_leaves_gives_its_lease_back(account: Account, first: Any) -> None:
    output = account.deploy_as_previewed({"nodes": {"count": 1}}).output
    assert (output["license"], len(output["nodes"])) == ("Activated", 1)
    assert leases(account) == addresses(account)


def test_a_licence_that_does_not_allow_three_nodes_ends_with_the_first_of_them(account: Account, first: Any) -> None:
    """No execution has read the tier of this licence before."""
    account.put_secret(SECRET, BASIC)
    before = set(account.nodes)
    ended = account.end(account.start("deploy", {"license": SECRET, "nodes": {"count": 3}}))
    assert (ended.status, ended.error) == ("FAILED", "NodeConfigurationFailed")
    for part in ("nodes.count is 3, and the licence is of the tier Basic, which allows 2 nodes", "Give 2, or"):
        assert part in (ended.cause or "")
    assert before <= account.nodes.keys()


def test_once_the_tier_is_known_nothing_is_touched_for_too_many_nodes(account: Account, first: Any) -> None:
    execution = account.start("deploy", {})
    ended = account.end(execution)
    assert (ended.status, ended.error) == ("FAILED", "InvalidInput")
    assert "nodes.count: 3 is refused: the licence is of the tier Basic" in (ended.cause or "")
    assert account.changes(execution) <= {"dynamodb:UpdateItem"}  # of the lock


def test_two_nodes_work_with_it_and_lease_nothing(account: Account, first: Any) -> None:
    output = account.succeed(account.start("deploy", {"nodes": {"count": 2}})).output
    assert (output["license"], len(output["nodes"])) == ("Activated", 2)
    assert output["verification"]["license_terms"]["tier"] == "Basic"
    assert leases(account) == set()
