"""Clusters over their whole lives, on the quick rehearsal.

What dry runs preview is what deployments do; whatever is stopped, nothing is lost, and all that stays is listed; as
many nodes as there may be are replaced in turns; and every input that the documents show deploys a cluster.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.examples import merged

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def printed_by() -> Iterator[Callable[[str], str]]:
    """What a program of tests/faults/whole_lives.py printed, once it has ended; it must have found no problem."""
    ended: dict[str, Any] = {}
    command = [sys.executable, "-m", "tests.faults.whole_lives"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        lives = map(json.loads, process.stdout or ())

        def printed(program: str) -> str:
            while program not in ended:
                life = next(lives, None)
                assert life, f"no more programs end after {', '.join(ended) or 'none'}"
                ended[life["program"]] = life
            life = ended[program]
            assert life["code"] == 0, life["printed"][-8000:] + life["errors"][-4000:]
            return str(life["printed"])

        try:
            yield printed
        finally:
            process.terminate()


@pytest.mark.parametrize("program", ["dry_runs", "destructions"])
def test_a_life_has_no_problem(program: str, printed_by: Callable[[str], str]) -> None:
    printed_by(program)


def test_fifty_nodes_are_replaced_five_at_a_time_while_fifty_serve(printed_by: Callable[[str], str]) -> None:
    assert "; 50 to 55 in service, at most 55 instances" in printed_by("many_nodes")


def test_every_input_in_the_documents_is_deployed_and_workbench_starts_with_what_it_writes(
    printed_by: Callable[[str], str],
) -> None:
    reported = [json.loads(line) for line in printed_by("examples").splitlines()]
    right = {"status": "SUCCEEDED", "cause": "", "refused": []}
    assert reported == [{"input": content, **right} for content in merged()]
