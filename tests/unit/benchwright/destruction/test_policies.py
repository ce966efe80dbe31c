"""What the template of a foundation says of deletions, on the template itself."""

from pathlib import Path
from typing import Any

import pytest

from benchwright.destruction.policies import DELETE, KEEP, KEY, MARK, SECRETS, is_let_go, letting_go
from benchwright.errors import StackRefused
from rehearsal.aws.services.cloudformation.templates import load

TEMPLATE = (Path(__file__).parents[4] / "infra" / "foundation.yaml").read_text()


def policies_of(template: str) -> dict[str, Any]:
    return {name: each["DeletionPolicy"] for name, each in load(template)["Resources"].items()}


@pytest.mark.parametrize("kept", [SECRETS, (*SECRETS, KEY)])
def test_everything_goes_but_what_is_kept(kept: tuple[str, ...]) -> None:
    released = letting_go(TEMPLATE, kept)
    assert policies_of(released) == {name: KEEP if name in kept else DELETE for name in policies_of(TEMPLATE)}
    assert is_let_go(released, KEY) == (KEY not in kept)


def test_nothing_but_policies_and_one_mark_changes() -> None:
    before, after = load(TEMPLATE), load(letting_go(TEMPLATE, SECRETS))
    for each in before["Resources"].values():
        del each["DeletionPolicy"]
    for each in after["Resources"].values():
        del each["DeletionPolicy"]
    assert after["Resources"]["DatabaseCluster"].pop("Metadata")
    assert after == before


def test_what_lets_go_can_change_its_mind() -> None:
    both = letting_go(letting_go(TEMPLATE, SECRETS), (*SECRETS, KEY))
    assert both == letting_go(TEMPLATE, (*SECRETS, KEY))
    assert both.count(MARK) == 1


@pytest.mark.parametrize(
    "template",
    [
        "Resources: {}\n",
        TEMPLATE.replace("    DeletionPolicy: RetainExceptOnCreate\n", "    DeletionPolicy: Snapshot\n", 1),
        TEMPLATE.replace("  DatabaseCluster:\n", "  Other:\n"),
        TEMPLATE.replace("  Key:\n    Type", "  Key:\n    # of the cluster\n    Type", 1),
    ],
)
def test_another_template_is_left_alone(template: str) -> None:
    with pytest.raises(StackRefused, match="is not one of Benchwright's"):
        letting_go(template, SECRETS)
