"""What a person reads at the end of an execution."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rehearsal.judges.policies.verdict import Verdict
from rehearsal.views import summary
from rehearsal.views.report import Execution, Report

COMMAND = "aws ssm start-session " + "--parameters x " * 10 + "end"
OUTPUT = {
    "cluster": "workbench",
    "nodes": [{"instance": "i-1", "ipv4": "10.0.1.5", "host": "ip-10-0-1-5", "status": "Online", "sessions": []}],
    "workbench": "2026.07.1+147.pro6",
    "image": "ami-1",
    "configuration": "0123456789abcdef",
    "license": "missing",
    "plan": {"wanted": {"users": {"ann": {"uid": 20000}, "ben": {"uid": 3001}}}},
    "warnings": ["No licence."],
    "report": {"page": "s3://b/report.html", "data": "s3://b/report.json", "console": "https://c.example/b"},
    "sessions": None,
    "metrics": [],
    "acceptance": {"vip_toml": "[general]\n", "command": "vip verify --config vip.toml"},
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
    *,
    error: str | None = None,
    cause: str | None = None,
    started_by: str = "rehearsal",
    width: int = 100,
    terminal: bool = False,
) -> list[str]:
    text = io.StringIO()
    execution = Execution(
        state_machine="deploy",
        status=status,
        input={},
        output=output,
        error=error,
        cause=cause,
        transitions=31,
        makespan_s=754.0,
        started_by=started_by,
    )
    summary.show_execution(Console(file=text, width=width, force_terminal=terminal, color_system=None), execution)
    return text.getvalue().splitlines()


def test_a_success_shows_the_cluster_its_nodes_and_how_to_connect() -> None:
    lines = shown("SUCCEEDED", OUTPUT)
    assert lines[0] == "  SUCCEEDED after 12:34 of AWS time, 31 transitions"
    assert lines[1:] == [
        "    cluster        workbench",
        "    workbench      2026.07.1+147.pro6",
        "    image          ami-1",
        "    configuration  0123456789ab",
        "    licence        missing",
        "    users          ann (20000), ben (3001)",
        "    checks         2 of 2 hold",
        "    database       workbench.cluster.example",
        "    report         https://c.example/b",
        "    warning        No licence.",
        "",
        "    Nodes",
        "    -----",
        "    ID  Host         IPv4      Port  Status  Last Seen",
        "    1   ip-10-0-1-5  10.0.1.5  8787  Online  now",
        "",
        "    To connect through a tunnel: http://localhost:8787 after",
        f"      {COMMAND}",
        "    or, with this in ~/.ssh/config, `ssh INSTANCE`:",
        "      Host i-*",
        "        User ubuntu",
        "    To test it with posit-vip, with `acceptance.vip_toml` of the output in the file vip.toml:",
        "      vip verify --config vip.toml",
        "",
    ]


def test_sessions_that_were_opened_and_the_addresses_of_metrics_are_shown() -> None:
    spread = {"account": "probe", "opened": 6, "sessions": {"i-1": 4, "i-2": 2}}
    addresses = [f"http://10.0.1.{number}:8989/metrics" for number in range(5)]
    lines = shown("SUCCEEDED", OUTPUT | {"sessions": spread, "metrics": addresses})
    assert lines[8:11] == [
        "    sessions       4 on i-1, 2 on i-2",
        "    database       workbench.cluster.example",
        f"    metrics        {', '.join(addresses[:3])}, and 2 more",
    ]
    lines = shown("SUCCEEDED", OUTPUT | {"metrics": addresses[:2]})
    assert f"    metrics        {', '.join(addresses[:2])}" in lines


def test_the_output_of_an_earlier_release_is_shown() -> None:
    earlier = {key: value for key, value in OUTPUT.items() if key not in ("sessions", "metrics", "acceptance")}
    assert [line for line in shown("SUCCEEDED", earlier) if "vip" in line or "metrics" in line] == []


def test_a_failure_shows_the_error_and_its_cause_with_its_line_breaks() -> None:
    assert shown("FAILED", error="StackFailed", cause="The stack rolled back.\nDo this next.") == [
        "  FAILED StackFailed after 12:34 of AWS time, 31 transitions",
        "    The stack rolled back.",
        "    Do this next.",
        "",
    ]


ADDRESS = "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#" + "x" * 200
WARNING = "No licence. " * 12 + "Put one into the secret benchwright/license/workbench."


@pytest.mark.parametrize("terminal", [False, True])
def test_what_may_be_pasted_is_never_folded_nor_filled_with_blanks(terminal: bool) -> None:
    lines = shown("FAILED", error="StackFailed", cause=f"Why.\n\n- log: {ADDRESS}", terminal=terminal)
    assert lines[1:] == ["    Why.", "", f"    - log: {ADDRESS}", ""]
    output = OUTPUT | {"image": ADDRESS, "warnings": [WARNING]}
    lines = shown("SUCCEEDED", output, terminal=terminal)
    assert f"    image          {ADDRESS}" in lines
    assert f"      {COMMAND}" in lines
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_sentence_is_folded_on_a_terminal_alone() -> None:
    output = OUTPUT | {"warnings": [WARNING]}
    assert f"    warning        {WARNING}" in shown("SUCCEEDED", output)
    lines = shown("SUCCEEDED", output, terminal=True, width=80)
    first = next(number for number, line in enumerate(lines) if line.startswith("    warning"))
    folded = lines[first : first + 4]
    assert [len(line) <= 80 for line in folded] == [True] * 4
    assert " ".join(" ".join(folded).split()).removeprefix("warning ") == WARNING


def test_an_execution_that_had_nothing_to_do_says_so() -> None:
    assert shown("SUCCEEDED", {"cluster": "workbench", "message": "Not deployed."})[1] == "    Not deployed."


@pytest.mark.parametrize("output", [{}, {"stays": []}, {"dry_run": True, "would": ["Time: a minute"]}])
def test_every_end_says_where_its_report_is(output: dict[str, Any]) -> None:
    report = {"console": "", "page": "s3://bucket/reports/workbench/destroy/one/report.html", "data": "s3://d"}
    lines = shown("SUCCEEDED", {"message": "It has ended.", "report": report, **output})
    assert f"    report  {report['page']}" in lines


def test_what_a_schedule_started_says_so() -> None:
    assert shown("SUCCEEDED", {"message": "Not deployed."}, started_by="schedule nightly-verify")[0] == (
        "  SUCCEEDED after 12:34 of AWS time, 31 transitions  nightly-verify, by its schedule"
    )


def test_a_destroy_lists_what_stays() -> None:
    thing = {"monthly_usd": 0, "until": "", "note": ""}
    things = [
        thing | {"what": "AWS::RDS::DBInstance", "id": "db-1", "monthly_usd": 43.8, "note": "at 0.5 ACU"},
        thing | {"what": "AWS::KMS::Key", "id": "key-1", "until": "2026-12-30"},
        thing | {"what": "AWS::EC2::SecurityGroup", "id": "sg-1"},
    ]
    lines = shown("SUCCEEDED", {"cluster": "workbench", "message": "It is destroyed.", "stays": things})
    assert [line for line in lines if line][1:] == [
        "    It is destroyed.",
        "    AWS::RDS::DBInstance  db-1  43.80 USD a month; at 0.5 ACU",
        "    AWS::KMS::Key         key-1  until 2026-12-30",
        "    and 1 that cost nothing: `stays` of the output, and the report, have all.",
    ]
    assert [
        line for line in shown("SUCCEEDED", {"message": "It is gone.", "stays": things[:2]}) if "nothing" in line
    ] == []


@pytest.mark.parametrize(
    ("verdict", "reported"),
    [
        (Verdict(7, []), "  7 calls judged by the policies of their roles, 0 denied"),
        (
            Verdict(not_judged="no simulator"),
            "  after `make tools`, once, a rehearsal also says whether IAM would allow each call",
        ),
    ],
)
def test_the_end_says_whether_policies_were_judged(verdict: Verdict, reported: str) -> None:
    text = io.StringIO()
    summary.show(Console(file=text, width=100), Report(policies=verdict), Path("/nowhere"))
    assert reported in text.getvalue().splitlines()


def test_a_dry_run_shows_what_a_deployment_would_do_by_step() -> None:
    output = {
        "cluster": "workbench",
        "dry_run": True,
        "message": "Nothing was changed.",
        "would": ["Deploy nodes: 1 node is launched.", "Deploy nodes: The others stay.", "Time: about 3 minutes."],
        "warnings": ["No licence."],
        "nodes": {"now": 2},
    }
    lines = [line for line in shown("SUCCEEDED", output) if line]
    assert lines[1:] == [
        "    Nothing was changed.",
        "    Deploy nodes  1 node is launched.",
        "                  The others stay.",
        "    Time          about 3 minutes.",
        "    warning       No licence.",
    ]
