"""Clusters over their whole lives, on the quick rehearsal.

What dry runs preview is what deployments do; whatever is stopped, nothing is lost, and all that stays is listed; as
many nodes as there may be are replaced in turns; and every input that the documents show deploys a cluster.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.examples import merged

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lives() -> Iterator[Iterator[Any]]:
    """What is said of each program of tests/faults/whole_lives.py as soon as it has ended."""
    command = [sys.executable, "-m", "tests.faults.whole_lives"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield map(json.loads, process.stdout or ())
        finally:
            process.terminate()


def printed_by(program: str, lives: Iterator[Any]) -> str:
    """What a program printed; it must have found no problem. Programs end in the order of the tests."""
    life = next(each for each in lives if each["program"] == program)
    assert life["code"] == 0, life["printed"][-8000:] + life["errors"][-4000:]
    return str(life["printed"])


@pytest.mark.parametrize("program", ["dry_runs", "destructions"])
def test_a_life_has_no_problem(program: str, lives: Iterator[Any]) -> None:
    printed_by(program, lives)


def test_fifty_nodes_are_replaced_five_at_a_time_while_fifty_serve(lives: Iterator[Any]) -> None:
    assert "; 50 to 55 in service, at most 55 instances" in printed_by("many_nodes", lives)


def test_every_input_in_the_documents_is_deployed_and_workbench_starts_with_what_it_writes(
    lives: Iterator[Any],
) -> None:
    reported = [json.loads(line) for line in printed_by("examples", lives).splitlines()]
    right = {"status": "SUCCEEDED", "cause": "", "refused": []}
    assert reported == [{"input": content, **right} for content in merged()]
