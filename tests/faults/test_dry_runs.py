"""What dry runs say is what deployments do, on the quick rehearsal."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.root
@pytest.mark.timeout(900)
def test_a_dry_run_changes_nothing_and_says_exactly_what_the_deployment_does() -> None:
    command = [sys.executable, "-m", "tests.faults.dry_runs"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
