"""How the plan of a dry run travels."""

import random
from typing import Any

import pytest

from benchwright.dry_run import LONGEST, pack, unpack
from benchwright.errors import InvalidInput
from tests.unit.benchwright.verification.test_checks import a_plan


def test_a_plan_comes_out_as_it_went_in_and_many_users_fit() -> None:
    users: dict[str, Any] = {f"user{number}": {} for number in range(2000)}
    plan = a_plan({"users": users})
    assert unpack(pack(plan)) == plan
    assert len(pack(plan)) < LONGEST


def test_a_plan_that_no_state_could_pass_on_is_refused_with_its_length() -> None:
    noise = random.Random(1)
    text = "".join(noise.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(250_000))
    plan = a_plan({}).model_copy(update={"sources": {text: "input"}})
    with pytest.raises(InvalidInput, match=r"^The plan of the cluster workbench has [0-9]{3},[0-9]{3} characters"):
        pack(plan)
