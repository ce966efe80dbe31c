"""What the history of an execution says, from histories written by hand."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from benchwright.report import history
from benchwright.report.history import State

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
def deployment() -> Sequence[history.Event]:
    """Plan 2 s; then image (60 s, with a Wait) beside foundation (40 s); then verify 10 s, at its second try."""
    written = History()
    last = written.add("ExecutionStarted", 0, 0)
    entered = written.enter("Task", "Resolve plan", 0, last, json.dumps({"text": "ü" * 50}))
    parameters = json.dumps({"FunctionName": RESOLVE, "Payload": {}})
    details = {"resourceType": "lambda", "resource": "invoke", "parameters": parameters}
    scheduled = written.add("TaskScheduled", 0, entered, taskScheduledEventDetails=details)
    failed = written.add("TaskFailed", 1, scheduled, taskFailedEventDetails={"error": "TransientError"})
    scheduled = written.add("TaskScheduled", 1, failed, taskScheduledEventDetails=details)
    last = written.exit("Task", "Resolve plan", 2, scheduled)
    parallel = written.enter("Parallel", "Image and foundation", 2, last)
    image = written.state("Wait", "Wait for image", 2, 62, parallel)
    foundation = written.state("Wait", "Wait for foundation", 2, 40, parallel)
    foundation = written.state("Pass", "Foundation is there", 40, 42, foundation)
    left = written.exit("Parallel", "Image and foundation", 62, max(image, foundation))
    last = written.state("Wait", "Wait for nodes", 62.5, 72.5, left)
    written.add("ExecutionSucceeded", 73, last)
    return written.events


def test_states_stand_in_the_order_of_entry(deployment: Sequence[history.Event]) -> None:
    assert [state.name for state in history.visits(deployment)] == [
        "Resolve plan",
        "Image and foundation",
        "Wait for image",
        "Wait for foundation",
        "Foundation is there",
        "Wait for nodes",
    ]
    assert history.visits(deployment)[2] == State(
        "Wait for image", "Wait", "2026-01-01T00:00:02.000+00:00", "2026-01-01T00:01:02.000+00:00", critical=True
    )


def test_a_state_that_was_never_left_has_no_exit() -> None:
    written = History()
    written.enter("Task", "Build image", 1, written.add("ExecutionStarted", 0, 0))
    assert history.visits(written.events) == [
        State("Build image", "Task", "2026-01-01T00:00:01.000+00:00", None, critical=True)
    ]


def test_a_retry_is_a_transition(deployment: Sequence[history.Event]) -> None:
    assert history.transitions(deployment) == 6 + 1


def test_invocations_are_counted_by_logical_id(deployment: Sequence[history.Event]) -> None:
    names = {"benchwright-ResolvePlan-AB12": "ResolvePlan"}
    assert history.invocations(deployment, names) == {"ResolvePlan": 2}


def test_payloads_are_measured_in_bytes(deployment: Sequence[history.Event]) -> None:
    assert history.max_payload(deployment) == len(json.dumps({"text": "ü" * 50}).encode())


def test_the_critical_path_goes_through_the_slower_branch(deployment: Sequence[history.Event]) -> None:
    assert (history.makespan(deployment), history.critical_path(deployment)) == (73.0, 2 + 60 + 10)


def test_the_critical_path_leaves_out_what_stood_beside_it(deployment: Sequence[history.Event]) -> None:
    assert [state.name for state in history.visits(deployment) if not state.critical] == [
        "Wait for foundation",
        "Foundation is there",
    ]


def test_a_task_that_succeeded_at_last_has_no_error_and_says_what_it_waits_for() -> None:
    written = History()
    entered = written.enter("Task", "Build image", 0, written.add("ExecutionStarted", 0, 0))
    failed = written.add("TaskFailed", 1, entered, taskFailedEventDetails={"error": "TransientError"})
    output = json.dumps({"Payload": {"waiting_for": "Image Builder"}})
    done = written.add("TaskSucceeded", 2, failed, taskSucceededEventDetails={"output": output})
    written.exit("Task", "Build image", 2, done)
    (visit,) = history.visits(written.events)
    assert (visit.error, visit.waiting_for) == (None, "Image Builder")


@pytest.fixture
def failure() -> Sequence[history.Event]:
    """A branch fails at 9 s, caught by its own Catch; the other, begun as early, waits then; then the failure path."""
    written = History()
    parallel = written.enter("Parallel", "Both", 0, written.add("ExecutionStarted", 0, 0))
    image = written.enter("Task", "Build image", 0, parallel)
    foundation = written.enter("Wait", "Wait for foundation", 0, parallel)
    image = written.add("TaskFailed", 9, image, taskFailedEventDetails={"error": "ImageBuildFailed"})
    image = written.exit("Task", "Build image", 9, image)
    written.enter("Fail", "Image failed", 9, image)
    left = written.exit("Parallel", "Both", 9, written.add("ParallelStateFailed", 9, foundation))
    last = written.enter("Fail", "Deployment failed", 10, written.state("Task", "Explain failure", 9, 10, left))
    written.add("ExecutionFailed", 10, last, executionFailedEventDetails={"error": "ImageBuildFailed"})
    return written.events


def test_a_failure_is_reported_where_it_happened(failure: Sequence[history.Event]) -> None:
    assert [(state.name, state.exited is None, state.error) for state in history.visits(failure)] == [
        ("Both", False, None),
        ("Build image", False, "ImageBuildFailed"),
        ("Wait for foundation", True, None),
        ("Image failed", True, None),
        ("Explain failure", False, None),
        ("Deployment failed", True, "ImageBuildFailed"),
    ]


def test_the_critical_path_of_a_failure_goes_through_the_branch_that_failed(failure: Sequence[history.Event]) -> None:
    assert history.critical_path(failure) == 9 + 1
    assert [state.name for state in history.visits(failure) if not state.critical] == ["Wait for foundation"]
