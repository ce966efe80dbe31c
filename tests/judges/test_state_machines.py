"""The state machines before asl-validator, which many projects check theirs with (npm; `make tools`)."""

import json
import re
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.workflow import STATEMACHINE, definition_of

pytestmark = pytest.mark.judge

TOOLS = Path(__file__).parents[2] / ".tools"
MACHINES = sorted(path.name.removesuffix(".asl.yaml") for path in STATEMACHINE.glob("*.asl.yaml"))


def judged(definition: dict[str, Any], tmp_path: Path) -> list[str]:
    """The problems that asl-validator finds in a machine."""
    machine = tmp_path / "machine.json"
    machine.write_text(json.dumps(spelled_for_it(definition)))
    program = TOOLS / "node_modules" / ".bin" / "asl-validator"
    assert program.exists(), "asl-validator is not installed: make tools"
    run = subprocess.run(
        [TOOLS / "bin" / "node", program.resolve(), "--json-path", machine],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    problems = set(re.findall(r"^\s*([A-Z]+_[A-Z_]+: .*)$", run.stdout + run.stderr, re.MULTILINE))
    assert run.returncode == bool(problems), run.stdout + run.stderr
    return sorted(problems)


def spelled_for_it(node: Any) -> Any:
    """The same machine in words that asl-validator 4.0.0 can read.

    Its patterns of strings are `.+`: an expression of several lines and an empty text are none for it, though both mean
    to Step Functions what they say.
    """
    if isinstance(node, dict):
        return {key: spelled_for_it(value) for key, value in node.items()}
    if isinstance(node, list):
        return [spelled_for_it(value) for value in node]
    if isinstance(node, str) and node.startswith("{%"):
        return node.replace("\n", " ")
    return "{% '' %}" if node == "" else node


@pytest.mark.parametrize("machine", MACHINES)
def test_asl_validator_finds_nothing(machine: str, tmp_path: Path) -> None:
    assert judged(definition_of(machine), tmp_path) == []


def lead_nowhere(machine: dict[str, Any]) -> None:
    machine["States"]["Resolve plan"]["Next"] = "Nowhere"


def speak_jsonpath(machine: dict[str, Any]) -> None:
    machine["States"]["Resolve plan"]["ResultPath"] = "$.plan"


def forget_a_bracket(machine: dict[str, Any]) -> None:
    machine["States"]["Resolve plan"]["Assign"]["plan"] = "{% $merge([{} %}"


def leave_a_state_alone(machine: dict[str, Any]) -> None:
    machine["States"]["Alone"] = {"Type": "Succeed"}


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lead_nowhere, "MISSING_TRANSITION_TARGET: Missing 'StartAt'|'Next'|'Default' target: Nowhere"),
        (speak_jsonpath, "SCHEMA_VALIDATION_FAILED: /States/Resolve plan is invalid."),
        (forget_a_bracket, "SCHEMA_VALIDATION_FAILED: /States/Resolve plan/Assign/plan is invalid."),
        (leave_a_state_alone, "MISSING_TRANSITION_TARGET: State Alone is not reachable"),
    ],
)
def test_asl_validator_would_find_it(harm: Callable[[dict[str, Any]], None], problem: str, tmp_path: Path) -> None:
    machine = deepcopy(definition_of("deploy"))
    harm(machine)
    assert judged(machine, tmp_path)[0].startswith(problem)
