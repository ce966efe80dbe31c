"""What report.json says of an execution, from a history written by hand."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import report
from tests.rehearsal.report import Execution, Report, State
from tests.rehearsal.secrets import Findings

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RESOLVE = "arn:aws:lambda:us-east-1:123456789012:function:benchwright-ResolvePlan-AB12"


class History:
    """Writes events as Step Functions does: each knows the one before it, in its own branch."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, second: float, previous: int, **details: Any) -> int:
        moment = START + dt.timedelta(seconds=second)
        self.events.append(
            {"id": len(self.events) + 1, "previousEventId": previous, "type": kind, "timestamp": moment, **details}
        )
        return len(self.events)

    def enter(self, kind: str, name: str, second: float, previous: int, text: str = "{}") -> int:
        return self.add(f"{kind}StateEntered", second, previous, stateEnteredEventDetails={"name": name, "input": text})

    def exit(self, kind: str, name: str, second: float, previous: int) -> int:
        return self.add(f"{kind}StateExited", second, previous, stateExitedEventDetails={"name": name, "output": "{}"})

    def state(self, kind: str, name: str, begin: float, end: float, previous: int) -> int:
        return self.exit(kind, name, end, self.enter(kind, name, begin, previous))


@pytest.fixture
def deployment() -> Sequence[report.Event]:
    """Plan 2 s; then image (60 s, with a Wait) beside foundation (40 s); then verify 10 s, at its second try."""
    history = History()
    last = history.add("ExecutionStarted", 0, 0)
    entered = history.enter("Task", "Resolve plan", 0, last, json.dumps({"text": "ü" * 50}))
    parameters = json.dumps({"FunctionName": RESOLVE, "Payload": {}})
    details = {"resourceType": "lambda", "resource": "invoke", "parameters": parameters}
    scheduled = history.add("TaskScheduled", 0, entered, taskScheduledEventDetails=details)
    failed = history.add("TaskFailed", 1, scheduled, taskFailedEventDetails={"error": "TransientError"})
    scheduled = history.add("TaskScheduled", 1, failed, taskScheduledEventDetails=details)
    last = history.exit("Task", "Resolve plan", 2, scheduled)
    parallel = history.enter("Parallel", "Image and foundation", 2, last)
    image = history.state("Wait", "Wait for image", 2, 62, parallel)
    foundation = history.state("Wait", "Wait for foundation", 2, 40, parallel)
    foundation = history.state("Pass", "Foundation is there", 40, 42, foundation)
    left = history.exit("Parallel", "Image and foundation", 62, max(image, foundation))
    last = history.state("Wait", "Wait for nodes", 62.5, 72.5, left)
    history.add("ExecutionSucceeded", 73, last)
    return history.events


def test_states_stand_in_the_order_of_entry(deployment: Sequence[report.Event]) -> None:
    assert [state.name for state in report.visits(deployment)] == [
        "Resolve plan",
        "Image and foundation",
        "Wait for image",
        "Wait for foundation",
        "Foundation is there",
        "Wait for nodes",
    ]
    assert report.visits(deployment)[2] == State(
        "Wait for image", "2026-01-01T00:00:02.000+00:00", "2026-01-01T00:01:02.000+00:00"
    )


def test_a_state_that_was_never_left_has_no_exit() -> None:
    history = History()
    history.enter("Task", "Build image", 1, history.add("ExecutionStarted", 0, 0))
    assert report.visits(history.events) == [State("Build image", "2026-01-01T00:00:01.000+00:00", None)]


def test_a_retry_is_a_transition(deployment: Sequence[report.Event]) -> None:
    assert report.transitions(deployment) == 6 + 1


def test_invocations_are_counted_by_logical_id(deployment: Sequence[report.Event]) -> None:
    names = {"benchwright-ResolvePlan-AB12": "ResolvePlan"}
    assert report.invocations(deployment, names) == {"ResolvePlan": 2}


def test_payloads_are_measured_in_bytes(deployment: Sequence[report.Event]) -> None:
    assert report.max_payload(deployment) == len(json.dumps({"text": "ü" * 50}).encode())


def test_the_critical_path_goes_through_the_slower_branch(deployment: Sequence[report.Event]) -> None:
    assert (report.makespan(deployment), report.critical_path(deployment)) == (73.0, 2 + 60 + 10)


def execution(status: str = "SUCCEEDED", payload: int = 100, started_by: str = "rehearsal") -> Execution:
    return Execution(
        "deploy", status, {}, {}, None, None, [], 0, {}, {}, payload, 0.0, 0.0, "", started_by
    )  # fmt: skip


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


def test_report_json_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    Report([execution()], 1.0, Findings(3, 0)).write(tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())
    assert set(written) >= {"executions", "wall_s", "secrets"}
    assert set(written["secrets"]) >= {"checked", "found", "where"}
    assert set(written["executions"][0]) >= {
        "state_machine", "status", "output", "error", "cause", "states", "transitions", "lambda_invocations",
        "aws_calls", "max_payload_bytes", "makespan_s", "critical_path_s", "started_by",
    }  # fmt: skip
