"""Clusters over their whole lives, on the quick rehearsal.

What dry runs preview is what deployments do; and whatever is stopped, nothing is lost, and all that stays is listed.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.root
@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", ["dry_runs", "destructions"])
def test_a_life_has_no_problem(program: str) -> None:
    command = [sys.executable, "-m", f"tests.faults.{program}"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
