"""The whole: `python -m tests.rehearsal` takes the application through deployments, and its report says how."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INPUTS: list[Any] = [{}, {}, {"nodes": {"count": 3}}, {}, {"nodes": {"count": None}}]
CHANGING = ("Create", "ExecuteChangeSet", "Delete", "Put", "StartInstanceRefresh")

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One local AWS, INPUTS one after another, the arguments of every process watched."""
    directory = tmp_path_factory.mktemp("rehearsal")
    command = [sys.executable, "-m", "tests.rehearsal", "--report", str(directory), "--watch-arguments"]
    for number, content in enumerate(INPUTS):
        file = directory / f"input-{number}.json"
        file.write_text(json.dumps(content))
        command += ["--then" if number else "--input", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=580, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    written: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return written


def test_every_execution_ends_with_the_nodes_that_were_asked_for(report: dict[str, Any]) -> None:
    assert [(e["status"], len(e["output"]["nodes"])) for e in report["executions"]] == [
        ("SUCCEEDED", 2),
        ("SUCCEEDED", 2),
        ("SUCCEEDED", 3),
        ("SUCCEEDED", 3),
        ("SUCCEEDED", 2),
    ]
    assert all(
        {node["status"] for node in execution["output"]["nodes"]} == {"Online"} for execution in report["executions"]
    )


def test_a_missing_licence_is_a_warning(report: dict[str, Any]) -> None:
    output = report["executions"][0]["output"]
    assert (output["license"], len(output["warnings"])) == ("missing", 1)


def test_the_same_input_again_changes_nothing(report: dict[str, Any]) -> None:
    again = report["executions"][1]
    assert again["transitions"] <= 40
    changes = {call for call in again["aws_calls"] if call.partition(":")[2].startswith(CHANGING)}
    # A change set without changes is how CloudFormation tells that there are none.
    assert changes <= {"cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet"}


def test_no_secret_stands_where_a_stranger_could_read_it(report: dict[str, Any]) -> None:
    assert (report["secrets"]["checked"], report["secrets"]["found"]) == (3, 0)
    assert report["secrets"]["places"] > 100  # arguments of processes among them


def test_the_timeline_is_the_critical_path(report: dict[str, Any]) -> None:
    first = report["executions"][0]
    assert 1320 <= first["critical_path_s"] <= first["makespan_s"] <= 2400  # the image alone takes 1,320 s
