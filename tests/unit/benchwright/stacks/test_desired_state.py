"""What the two stacks of a cluster must be, by the plan and by what was observed of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchwright.settings import Settings
from benchwright.stacks import desired_state
from benchwright.stacks.change_sets import Stack
from tests.unit.benchwright.verification.test_checks import a_plan


def stack(**parameters: str) -> Stack:
    return Stack("CREATE_COMPLETE", parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "instances", "offline"),
    [
        ({"WorkbenchVersion": "2026.07.1+147.pro6", "NodeCount": "2"}, 2, False),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "2"}, 2, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 1, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 0, False),
        ({}, 0, False),
    ],
)
def test_another_version_takes_all_nodes_offline_first(
    parameters: Mapping[str, str], instances: int, offline: bool
) -> None:
    assert desired_state.must_go_offline(a_plan({}), stack(**parameters), instances) is offline


def test_deletion_protection_comes_after_the_creation() -> None:
    settings = Settings(application="benchwright")
    directory = Path(__file__).parents[4] / "infra"
    first = desired_state.foundation(settings, a_plan({}), None, directory)
    later = desired_state.foundation(settings, a_plan({}), stack(), directory)
    assert (first.parameters["DeletionProtection"], later.parameters["DeletionProtection"]) == ("false", "true")
