"""Where deployments record what they did, the account of a file, and the order: what takes longest begins first."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from rehearsal.application import ROOT
from tests.deployment.account import Account, new_account

LONGEST_FIRST: Final = (
    "cluster/test_behaviour.py",
    "cluster/test_nodes_that_misbehave.py",
    "cluster/test_access.py",
    "test_rehearsal.py",
    "test_serve.py",
    "test_openid.py",
    "test_upgrade.py",
    "test_faults.py",
    "test_license.py",
    "test_local_invoke.py",
)
"""By the time of a processor that they took. Those of cluster/ after the first go on where the one before them ends."""

RECORDED: Final = ROOT / "build/deployments"
"""What `make test` empties before, and has judged afterwards."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def new_folder() -> Path:
    """For calls and policies of a deployment."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=RECORDED))


@pytest.fixture(scope="module")
def recorded() -> Path:
    return new_folder()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Account]:
    """An account in which the tests of a file go on where the one before ended."""
    with new_account(tmp_path_factory.mktemp("account"), 300, recorded) as made:
        yield made
