"""Clusters over their whole lives, on the quick rehearsal.

What dry runs preview is what deployments do; whatever is stopped, nothing is lost, and all that stays is listed; and as
many nodes as there may be are replaced in turns.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program: str) -> str:
    """What a program of tests/faults prints; it must find no problem."""
    command = [sys.executable, "-m", f"tests.faults.{program}"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.root
@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", ["dry_runs", "destructions"])
def test_a_life_has_no_problem(program: str) -> None:
    run(program)


@pytest.mark.root
@pytest.mark.timeout(900)
def test_fifty_nodes_are_replaced_five_at_a_time_while_fifty_serve() -> None:
    assert "; 50 to 55 in service, at most 55 instances" in run("many_nodes")
