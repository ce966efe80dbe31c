"""The order of the files: processes take them in turn, so what takes longest begins first. And what several have."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.deployment.account import Account, new_account

LONGEST_FIRST: Final = (
    "test_behaviour.py",
    "test_nodes_that_misbehave.py",
    "test_access.py",
    "test_openid.py",
    "test_upgrade.py",
    "test_rehearsal.py",
    "test_faults.py",
    "test_serve.py",
)
"""By the time of a processor that they took; the others take less."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else 99)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account in which the tests of a file go on where the one before ended."""
    with new_account(tmp_path_factory.mktemp("account"), 300, tmp_path_factory.mktemp("recorded")) as made:
        yield made
