"""A sample of the faults, of every kind and from everywhere, and two clusters that are deployed at the same time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cases import all_cases, spread
from tests.faults.deployment import Outcome
from tests.faults.ended import Ended
from tests.faults.injection import KINDS, OF_FUNCTIONS, OF_NODES, Case, Deployment, Place
from tests.faults.report import Report

ROOT = Path(__file__).parents[2]
MACHINE = "benchwright-deploy"


@pytest.mark.root
@pytest.mark.timeout(1260)
def test_every_kind_of_fault_is_absorbed_or_named_and_leaves_what_a_clean_deployment_leaves(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.faults", "--sample", "14", "--full", "0", "--report", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert {row["kind"] for row in report["each"]} == set(KINDS)
    summary = {name: report[name] for name in ("lost", "leaked", "orphans", "disagreements")}
    assert (report["converged"], summary) == (report["cases"], dict.fromkeys(summary, 0))


def deployments(first: dict[tuple[str, str], int], change: dict[tuple[str, str], int]) -> dict[Deployment, Outcome]:
    """What deployments without a fault called, and which states they entered."""
    return {
        "first": clean("Done", first),
        "change": clean("Done", change),
        "new address": clean("Deploy access", {**change, ("Build", "elbv2:DescribeTargetHealth"): 1}),
        "failing": clean("Explain", {}),
        "healing": clean("Done", {}),
        "destroy": clean("Done", {}),
        "data deletion": clean("Done", {}),
    }


def clean(last: str, counts: dict[tuple[str, str], int]) -> Outcome:
    states = [("Validate input", True), ("Resolve plan", True), (last, False)]
    return Outcome(Case("none", Place("", "")), Ended("SUCCEEDED"), counts=counts, states=states)


def test_a_function_meets_every_kind_at_its_first_and_its_last_call_and_a_state_is_stopped() -> None:
    counts = {("Build", "s3:GetObject"): 3}
    found = all_cases(deployments(counts, {**counts, ("node", "s3:PutObject"): 1}), ["Build"], MACHINE)
    calls = [Case(kind, Place("Build", "s3:GetObject", count)) for kind in OF_FUNCTIONS for count in (1, 3)]
    calls.remove(Case("outage", Place("Build", "s3:GetObject", 3)))
    assert found == [
        *calls,
        *(Case(kind, Place("node", "s3:PutObject", 1, "change")) for kind in OF_NODES),
        *(Case(kind, Place("Build", "elbv2:DescribeTargetHealth", 1, "new address")) for kind in OF_FUNCTIONS),
        *(Case("aborted", Place(MACHINE, state)) for state in ("Validate input", "Resolve plan", "Done")),
        Case("aborted", Place(MACHINE, "Deploy access", deployment="new address")),
        Case("aborted", Place(MACHINE, "Explain", deployment="failing")),
        Case("lock lost", Place(MACHINE, "Resolve plan")),
        Case("one of two", Place(MACHINE, "Resolve plan")),
        Case("two at once", Place(MACHINE, "start")),
    ]


def test_a_caller_that_is_met_with_no_fault_is_reported() -> None:
    with pytest.raises(ValueError, match="no fault is known of calls by stranger"):
        all_cases(deployments({("stranger", "s3:GetObject"): 1}, {}), ["Build"], MACHINE)


def test_a_sample_is_the_same_each_time_and_has_every_kind() -> None:
    cases = [Case(kind, Place(f"caller {number}", "s3:GetObject")) for number in range(40) for kind in OF_FUNCTIONS]
    sample = spread(cases, 20)
    assert sample == spread(cases, 20)
    assert (len(sample), {case.kind for case in sample}) == (20, set(OF_FUNCTIONS))


@pytest.mark.parametrize(
    ("caller", "full", "problems", "disagrees"),
    [
        ("Build", "SUCCEEDED", [], False),
        ("Build", "AwsCallFailed", [], True),
        ("node", "NodeConfigurationFailed", [], False),
        ("node", "SUCCEEDED", ["it hangs"], True),
    ],
)
def test_a_case_must_end_alike_on_the_full_rehearsal(
    caller: str, full: str, problems: list[str], *, disagrees: bool
) -> None:
    case = Case("denied", Place(caller, "s3:GetObject"))
    quick = Report.of([Outcome(case, Ended("SUCCEEDED"))], {"first": clean("Done", {})})
    other = Outcome(case, Ended("FAILED", full), Ended("SUCCEEDED"))
    if full == "SUCCEEDED":
        other = Outcome(case, Ended(full), problems=problems)
    quick.compare_with(Report.of([other], {"first": clean("Done", {})}))
    assert bool(quick.disagreements) == disagrees
