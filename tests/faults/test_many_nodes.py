"""Fifty nodes are replaced in turns, while as many serve, and the history of the execution stays short."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.root
@pytest.mark.timeout(900)
def test_fifty_nodes_are_replaced_five_at_a_time_while_fifty_serve() -> None:
    command = [sys.executable, "-m", "tests.faults.many_nodes"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "; 50 to 55 in service, at most 55 instances" in done.stdout
