"""Every input that the documents show deploys a cluster, and Workbench starts with what it writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.examples import merged

ROOT = Path(__file__).parents[2]


@pytest.mark.root
@pytest.mark.timeout(900)
def test_every_input_in_the_documents_is_deployed() -> None:
    command = [sys.executable, "-m", "tests.deployment.examples"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "layers/benchwright"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    reported = [json.loads(line) for line in done.stdout.splitlines()]
    right = {"status": "SUCCEEDED", "cause": "", "refused": []}
    assert reported == [{"input": content, **right} for content in merged()]
