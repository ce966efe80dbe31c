"""What report.json holds, and when a rehearsal has succeeded."""

import contextlib
import json
import logging
import os
import socket
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from rehearsal import __main__, machine, run
from rehearsal.judges.policies.verdict import Verdict
from rehearsal.judges.secrets import Findings
from rehearsal.views.report import Execution, Report
from watch.progress import Progress

MACHINES = {"deploy": {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}}


def execution(status: str = "SUCCEEDED", payload: int = 100, started_by: str = "rehearsal") -> Execution:
    began = "2026-01-01T00:00:00.000+00:00"
    return Execution(
        state_machine="deploy",
        status=status,
        input={},
        output={},
        max_payload_bytes=payload,
        started=began,
        started_by=started_by,
        history_events=2,
    )


def test_a_rehearsal_succeeds_only_if_the_last_execution_did_and_every_check_held() -> None:
    def succeeded(executions: list[Execution], findings: Findings) -> bool:
        made = Report(executions, 1.0, findings)
        made.judge()
        return made.succeeded

    assert succeeded([execution("FAILED"), execution()], Findings(3, 0))
    assert not succeeded([execution(), execution("FAILED")], Findings(3, 0))
    assert not succeeded([], Findings(3, 0))
    assert not succeeded([execution()], Findings(3, 1, ["database (plain) in x"]))
    assert not succeeded([execution(payload=262_145)], Findings(3, 0))


def test_what_a_schedule_starts_hides_no_failure_and_must_succeed_itself() -> None:
    def nightly(status: str) -> Execution:
        return execution(status, started_by="schedule nightly-verify")

    assert nightly("FAILED").schedule == "nightly-verify"
    assert not Report([execution("FAILED"), nightly("SUCCEEDED")]).succeeded
    assert not Report([execution(), nightly("FAILED"), nightly("SUCCEEDED")]).succeeded
    assert Report([nightly("FAILED"), execution(), nightly("SUCCEEDED")]).succeeded
    assert Report([nightly("SUCCEEDED")]).succeeded
    assert not Report([nightly("FAILED")]).succeeded


def test_a_history_too_long_for_step_functions_does_not_hold() -> None:
    long = execution()
    long.history_events = 25_001
    report = Report([long])
    report.judge()
    assert report.checks == ["the history of deploy has 25001 events; Step Functions ends an execution at 25000"]


def test_a_call_that_iam_would_deny_does_not_hold() -> None:
    report = Report([execution()], policies=Verdict(2, ["X may not s3:GetObject on one"]))
    report.judge()
    assert report.checks == ["a call would be denied: X may not s3:GetObject on one"]


def test_report_json_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    Report([execution()], 1.0, Findings(3, 0), machines=MACHINES).write(tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())
    assert set(written) >= {"executions", "wall_s", "secrets", "policies"}
    assert set(written["policies"]) >= {"judged", "denied", "unused"}
    assert set(written["secrets"]) >= {"checked", "found", "where"}
    assert set(written["executions"][0]) >= {
        "state_machine", "status", "output", "error", "cause", "states", "transitions", "lambda_invocations",
        "aws_calls", "max_payload_bytes", "makespan_s", "critical_path_s", "started_by",
    }  # fmt: skip
    assert (written["succeeded"], written["machines"]) == (True, MACHINES)


def test_the_page_is_written_beside_it_also_when_nothing_ran(tmp_path: Path) -> None:
    Report(checks=["sam deploy failed"]).write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Nothing was deployed" in page
    assert "sam deploy failed" in page


def test_a_complete_report_takes_the_place_of_the_last_one_and_what_else_is_there_stays(tmp_path: Path) -> None:
    last = {"report.html": "last", "calls.jsonl": "last", "logs/gone.log": "last", "input.json": "of a person"}
    new = {"report.html": "new", "calls.jsonl": "new", "logs/here.log": "new"}
    unfinished = tmp_path / run.UNFINISHED
    for folder, files in ((tmp_path, last), (unfinished, new)):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    run.replace_report(unfinished, tmp_path)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {**new, "input.json": "of a person"}
    assert not unfinished.exists()


def test_an_interrupted_rehearsal_says_so_and_keeps_the_last_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / run.UNFINISHED).mkdir()
    assert run.interrupted(tmp_path) == 130
    assert capsys.readouterr().err == "\nInterrupted: this rehearsal leaves no report.\n"
    (tmp_path / "report.html").write_text("last")
    run.interrupted(tmp_path)
    assert capsys.readouterr().err == (
        f"\nInterrupted: this rehearsal leaves no report. The report of the last one is still {tmp_path}/report.html.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_interrupt_before_anything_was_started_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_purpose: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "require", interrupt)
    assert __main__.main([]) == 130
    assert capsys.readouterr().err == "\nInterrupted: nothing was started.\n"


def test_a_reader_that_goes_away_interrupts_and_keeps_the_last_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("last")
    aws = mock.MagicMock()
    aws.initial_account.subnets = 0
    monkeypatch.setattr(run, "local_aws", lambda *_: aws)
    monkeypatch.setattr(logging, "disable", lambda: None)
    reading, writing = os.pipe()
    os.close(reading)
    closed = os.fdopen(writing, "w")
    wanted = __main__.options(["--report", str(tmp_path)])
    with socket.socket() as listener, pytest.raises(KeyboardInterrupt):
        run.Rehearsal(wanted, tmp_path, Progress(Console(file=closed)), listener).run()
    with contextlib.suppress(BrokenPipeError):
        closed.close()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
