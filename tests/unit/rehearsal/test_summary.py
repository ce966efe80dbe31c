"""What a person reads at the end of an execution."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.rehearsal import summary
from tests.rehearsal.policies.verdict import Verdict
from tests.rehearsal.report import Execution, Report

COMMAND = "aws ssm start-session " + "--parameters x " * 10 + "end"
OUTPUT = {
    "cluster": "workbench",
    "nodes": [{"instance": "i-1", "ipv4": "10.0.1.5", "host": "ip-10-0-1-5", "status": "Online", "sessions": []}],
    "workbench": "2026.07.1+147.pro6",
    "image": "ami-1",
    "configuration": "0123456789abcdef",
    "license": "missing",
    "warnings": ["No licence."],
    "endpoints": {"database": "workbench.cluster.example"},
    "list_nodes": (
        "Nodes\n-----\n"
        "ID  Host         IPv4      Port  Status  Last Seen\n"
        "1   ip-10-0-1-5  10.0.1.5  8787  Online  now\n"
    ),
    "verification": {"checks": [{"holds": True}, {"holds": True}]},
    "connection": {
        "url": "http://localhost:8787",
        "port_forwarding": COMMAND,
        "ssh_config": "Host i-*\n  User ubuntu",
    },
}


def shown(
    status: str,
    output: object = None,
    error: str | None = None,
    cause: str | None = None,
    started_by: str = "rehearsal",
) -> list[str]:
    text = io.StringIO()
    execution = Execution(
        "deploy", status, {}, output, error, cause, [], 31, {}, {}, 0, 754.0, 700.0, "", started_by
    )  # fmt: skip
    summary.show_execution(Console(file=text, width=100), execution)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_a_success_shows_the_cluster_its_nodes_and_how_to_connect() -> None:
    lines = shown("SUCCEEDED", OUTPUT)
    assert lines[0] == "  SUCCEEDED after 12:34 of AWS time, 31 transitions"
    assert lines[1:] == [
        "    cluster        workbench",
        "    workbench      2026.07.1+147.pro6",
        "    image          ami-1",
        "    configuration  0123456789ab",
        "    licence        missing",
        "    checks         2 of 2 hold",
        "    database       workbench.cluster.example",
        "    warning        No licence.",
        "",
        "    Nodes",
        "    -----",
        "    ID  Host         IPv4      Port  Status  Last Seen",
        "    1   ip-10-0-1-5  10.0.1.5  8787  Online  now",
        "",
        "    To connect: http://localhost:8787 after",
        f"      {COMMAND}",
        "    or, with this in ~/.ssh/config, `ssh INSTANCE`:",
        "      Host i-*",
        "        User ubuntu",
        "",
    ]


def test_a_failure_shows_the_error_and_its_cause_with_its_line_breaks() -> None:
    assert shown("FAILED", error="StackFailed", cause="The stack rolled back.\nDo this next.") == [
        "  FAILED StackFailed after 12:34 of AWS time, 31 transitions",
        "    The stack rolled back.",
        "    Do this next.",
        "",
    ]


def test_an_execution_that_had_nothing_to_do_says_so() -> None:
    assert shown("SUCCEEDED", {"cluster": "workbench", "message": "Not deployed."})[1] == "    Not deployed."


def test_what_a_schedule_started_says_so() -> None:
    assert shown("SUCCEEDED", {"message": "Not deployed."}, started_by="schedule nightly-verify")[0] == (
        "  SUCCEEDED after 12:34 of AWS time, 31 transitions  nightly-verify, by its schedule"
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict(7, []), "  7 calls judged by the policies of their roles, 0 denied"),
        (Verdict(not_judged="no simulator"), "  calls were not judged by policies: no simulator"),
    ],
)
def test_the_end_says_whether_policies_were_judged(verdict: Verdict, told: str) -> None:
    text = io.StringIO()
    summary.show(Console(file=text, width=100), Report(policies=verdict), Path("/nowhere"))
    assert told in text.getvalue().splitlines()
