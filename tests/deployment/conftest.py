"""The order of the files: processes take them in turn, so what takes longest begins first."""

from typing import Final

import pytest

LONGEST_FIRST: Final = (
    "test_behaviour.py",
    "test_nodes_that_misbehave.py",
    "test_access.py",
    "test_upgrade.py",
    "test_rehearsal.py",
    "test_faults.py",
    "test_serve.py",
)
"""By the time of a processor that they took; the others take less."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else 99)
