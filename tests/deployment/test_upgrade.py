"""The previous release deploys a cluster, this one takes it over: each test goes on where the one before it ended."""

from collections.abc import Iterator
from unittest import mock

import pytest

from rehearsal.application import ROOT
from rehearsal.hosts import base_image
from rehearsal.initial_account import InitialAccount
from rehearsal.views.report import Execution
from tests.deployment import previous
from tests.deployment.account import Account, new_account

REPLACES = "the next deployment builds a new image and replaces the nodes"
"""What CHANGELOG.md says of a release whose upgrade does."""

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    # What the previous release does not survive: Ubuntu that updates itself during a build, and associations for SSM
    # Inventory. A cluster that met these is not there to be upgraded.
    locks = {unit: f"/run/{unit}.lock" for unit in base_image.LOCKING_UNITS}
    quiet = mock.patch.dict(base_image.LOCKING_UNITS, locks)
    directory, initial = tmp_path_factory.mktemp("account"), InitialAccount(inventory=False)
    with quiet, new_account(directory, 300, release=previous.built(), initial_account=initial) as made:
        made.put_secret("benchwright/users/ann", "a password")
        users = {"ann": {"password": "benchwright/users/ann"}, "ben": {}}
        made.deploy({"users": users, "tags": {"team": "research"}})
        made.deploy({"database": {"max_capacity": 9}})
        yield made


@pytest.fixture(scope="module")
def on_its_way(account: Account) -> str:
    """An execution of the previous release, which has recorded its plan when this release is installed."""
    execution = account.start("deploy", {"users": {"ben": None}})
    account.until(lambda: account.has_entered(execution, "Prepare image and foundation"), "its plan")
    account.install()
    return execution


@pytest.fixture(scope="module")
def nodes(account: Account) -> set[str]:
    """The nodes of the previous release."""
    return set(account.nodes)


@pytest.fixture(scope="module")
def crossed(account: Account, nodes: set[str], on_its_way: str) -> Execution:
    """How it ended; from then on this release deploys."""
    return account.end(on_its_way)


@pytest.fixture(scope="module")
def upgraded(account: Account, crossed: Execution) -> Execution:
    """The first deployment of this release."""
    return account.deploy_as_previewed({})


def test_an_execution_that_is_on_its_way_during_an_upgrade_ends_well(account: Account, crossed: Execution) -> None:
    assert crossed.status == "SUCCEEDED", crossed.cause


def test_this_release_reads_what_the_previous_one_recorded(
    account: Account, nodes: set[str], crossed: Execution
) -> None:
    """Its nodes may lack what this release verifies; then each check that fails has its remedy."""
    assert len(nodes) == 2
    ended = account.end(account.start("verify", {}))
    assert ended.error in (None, "VerificationFailed"), ended.cause
    assert "Unproven values" not in (ended.cause or "")


def test_what_was_recorded_stays(account: Account, upgraded: Execution) -> None:
    wanted = upgraded.output["plan"]["wanted"]
    kept = wanted["database"]["max_capacity"], wanted["tags"], list(wanted["users"])
    assert kept == (9, {"team": "research"}, ["ann"])
    (database,) = account.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert database["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 9
    assert upgraded.output["verification"]["verified"]
    assert len(account.nodes) == 2


def test_the_changelog_says_whether_an_upgrade_replaces_nodes(
    account: Account, nodes: set[str], upgraded: Execution
) -> None:
    _, newest, *_ = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")
    assert (REPLACES in newest) == (not nodes & set(account.nodes))


def test_after_the_upgrade_nothing_is_left_to_change(account: Account, upgraded: Execution) -> None:
    nodes = set(account.nodes)
    account.deploy_as_previewed({})
    assert set(account.nodes) == nodes
    assert account.succeed(account.start("verify", {})).output["verification"]["verified"]
