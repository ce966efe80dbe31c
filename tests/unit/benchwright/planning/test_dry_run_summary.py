"""How a dry run ends: order, time, bill."""

from typing import Any

import pytest

from benchwright.dry_run import Step
from benchwright.planning.dry_run_summary import bill, in_order, minutes, sentences
from tests.unit.benchwright.verification.test_checks import a_plan

STEPS = [
    Step(step="Retire old images", sentences=[]),
    Step(step="Deploy nodes", sentences=["The nodes stay."], minutes=7),
    Step(step="Deploy foundation", sentences=["It is made."], minutes=18),
    Step(step="Build image", sentences=["An image is built."], minutes=25),
]
OF_KIND = {"instance_type": "m7i.xlarge"}
STANDING = {"foundation.MinCapacity": "0.5", "nodes.NodeCount": "2", "nodes.InstanceType": "m7i.xlarge"}


def test_steps_are_in_the_order_of_the_deployment_and_an_image_is_built_beside_the_foundation() -> None:
    assert [step.step for step in in_order(STEPS)] == [
        *("Build image", "Deploy foundation", "Deploy nodes", "Retire old images")
    ]
    assert minutes(STEPS) == 25 + 7


def test_the_bill_of_a_new_cluster_is_that_of_the_documentation() -> None:
    assert bill({}, a_plan({"nodes": OF_KIND})) == {
        "now": 0.0,
        "then": 409.71,
        "difference": 409.71,
        "prices": "list prices of us-east-1 of 2025, without sessions, traffic and what clusters share",
    }


@pytest.mark.parametrize(
    ("given", "difference"),
    [
        ({}, 0),
        ({"nodes": {"count": 3}}, 156.76),
        ({"database": {"min_capacity": 1}}, 87.6),
        ({"access": {"hostname": "wb.example.com"}}, 16.43),
        ({"nodes": {"instance_type": "x9z.large"}}, None),
    ],
)
def test_what_a_change_costs(given: dict[str, Any], difference: float | None) -> None:
    found = bill(STANDING, a_plan({**given, "nodes": {**OF_KIND, **given.get("nodes", {})}}))["difference"]
    assert found == (pytest.approx(difference, abs=0.011) if difference is not None else None)


def test_all_is_said_in_sentences() -> None:
    costs = bill(STANDING, a_plan({"nodes": {"count": 3, **OF_KIND}}))
    assert sentences(in_order(STEPS), costs, ["No session runs now."])[:5] == [
        "Build image: An image is built.",
        "Deploy foundation: It is made.",
        "Deploy nodes: The nodes stay.",
        "Sessions: No session runs now.",
        "Time: about 32 minutes, as a rehearsal takes; AWS may take twice as long.",
    ]
    *_, time, monthly = sentences([], costs, [])
    assert time == "Time: about a minute."
    assert monthly.startswith("Monthly bill: about 566.47 USD, 156.76 more than now (list prices ")
