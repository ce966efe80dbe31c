"""Where moto's interpreter differs from Step Functions, the rehearsal's does not."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from jsonata import Jsonata
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branch_worker import BranchWorker
from moto.stepfunctions.parser.asl.eval.environment import Environment

from rehearsal.aws import moto_clock
from rehearsal.aws.calls import ServiceError
from rehearsal.aws.clock import Clock
from rehearsal.aws.services.step_functions.definition import check_definition
from rehearsal.aws.services.step_functions.executions import backend
from rehearsal.aws.services.step_functions.expressions import evaluate
from tests.waiting import PATIENCE, until
from tests.workflow.workflow import Function, Workflow, end, workflows


@pytest.fixture
def workflow() -> Iterator[Workflow]:
    with workflows() as made:
        yield made


INVOKE = "arn:aws:states:::lambda:invoke"
REAL_SECONDS = 60
"""What the work of a loaded machine may add to AWS time."""


def task(function: str, payload: Any = "{% $states.input %}", **fields: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": INVOKE, "Arguments": {"FunctionName": function, "Payload": payload}}
    return {**state, "Output": "{% $states.result.Payload %}", **fields}


def machine(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **fields}


def fails(name: str, message: str = "because") -> Callable[[Any], Any]:
    def function(_event: Any) -> Any:
        raise type(name, (Exception,), {})(message)

    return function


def stop(started: Future[Any]) -> None:
    """Stop an execution from inside: it may come to this before the call that starts it has returned."""
    started.result(timeout=PATIENCE).stop(None, error="Stopped", cause="by the test")


def test_a_task_returns_what_its_function_returned(workflow: Workflow) -> None:
    workflow.functions["Echo"] = lambda event: {"heard": event}
    report = workflow.run(machine({"Ask": task("Echo", End=True)}), {"say": 'a "quote", a \\ and \u2028'})
    assert (report.status, report.output) == ("SUCCEEDED", {"heard": {"say": 'a "quote", a \\ and \u2028'}})
    assert report.transitions == 1


def test_polling_takes_its_aws_time_and_counts_its_transitions(workflow: Workflow) -> None:
    answers = iter([False, False, True])
    workflow.functions["Look"] = lambda _event: {"done": next(answers)}
    report = workflow.run(
        machine(
            {
                "Look": task("Look", Next="Done?"),
                "Done?": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% $states.input.done %}", "Next": "End"}],
                    "Default": "Wait",
                },
                "Wait": {"Type": "Wait", "Seconds": 300, "Next": "Look"},
                "End": {"Type": "Succeed"},
            }
        ),
        {},
    )
    assert report.visited == ["Look", "Done?", "Wait", "Look", "Done?", "Wait", "Look", "Done?", "End"]
    assert report.transitions == 9
    assert 600 <= report.seconds < 600 + REAL_SECONDS


def test_branches_take_the_time_of_the_longest(workflow: Workflow) -> None:
    def branch(seconds: int, times: int) -> dict[str, Any]:
        names = [f"Wait {seconds} s, {number}" for number in range(times)]
        states = {
            name: {"Type": "Wait", "Seconds": seconds, "Next": after} for name, after in itertools.pairwise(names)
        }
        return {"StartAt": names[0], "States": {**states, names[-1]: {"Type": "Wait", "Seconds": seconds, "End": True}}}

    both = {"Type": "Parallel", "Branches": [branch(30, 7), branch(60, 4)], "Next": "Then"}
    report = workflow.run(machine({"Both": both, "Then": {"Type": "Wait", "Seconds": 5, "End": True}}), {})
    assert 245 <= report.seconds < 245 + REAL_SECONDS
    assert report.transitions == 13


def test_retries_count_as_transitions_and_their_intervals_as_time(workflow: Workflow) -> None:
    attempts: Iterator[Function] = iter([fails("TransientError"), fails("TransientError"), lambda _event: "at last"])
    workflow.functions["Flaky"] = lambda _event: next(attempts)({})
    retry = [{"ErrorEquals": ["TransientError"], "IntervalSeconds": 20, "BackoffRate": 2, "MaxAttempts": 3}]
    report = workflow.run(machine({"Try": task("Flaky", Retry=retry, End=True)}), {})
    assert (report.output, report.transitions) == ("at last", 3)
    assert 60 <= report.seconds < 60 + REAL_SECONDS


def test_the_error_of_a_branch_reaches_the_catch_of_its_parallel_by_name(workflow: Workflow) -> None:
    workflow.functions["Build"] = fails("ImageBuildFailed", "the log says so")
    failed = {
        "Type": "Fail",
        "Error": "{% $states.input.Error %}",
        "Cause": "{% 'Build image: ' & $parse($states.input.Cause).errorMessage %}",
    }
    catch = [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Branch failed"}]
    branches = [
        {"StartAt": "Build", "States": {"Build": task("Build", Catch=catch, End=True), "Branch failed": failed}},
        {"StartAt": "Slow", "States": {"Slow": {"Type": "Wait", "Seconds": 900, "End": True}}},
    ]
    outer = [{"ErrorEquals": ["ImageBuildFailed"], "Output": "{% $states.errorOutput %}", "Next": "Explain"}]
    report = workflow.run(
        machine(
            {
                "Both": {"Type": "Parallel", "Branches": branches, "Catch": outer, "End": True},
                "Explain": {**failed, "Cause": "{% $states.input.Cause %}"},
            }
        ),
        {},
    )
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert report.cause == "Build image: the log says so"
    assert report.seconds < REAL_SECONDS


def test_an_undefined_result_is_a_query_error_that_a_parallel_can_catch(workflow: Workflow) -> None:
    branch = {
        "StartAt": "Shape",
        "States": {"Shape": {"Type": "Pass", "Output": "{% $states.input.nothing %}", "End": True}},
    }
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "End"}]
    parallel = {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": True}
    report = workflow.run(machine({"Both": parallel, "End": {"Type": "Succeed"}}), {})
    assert (report.status, report.output) == ("SUCCEEDED", "caught")


def test_a_result_above_256_kib_cannot_be_caught_by_states_all(workflow: Workflow) -> None:
    workflow.functions["Much"] = lambda _event: "x" * 262_200
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "End"}]
    report = workflow.run(machine({"Ask": task("Much", Catch=catch, End=True), "End": {"Type": "Succeed"}}), {})
    assert (report.status, report.error) == ("FAILED", "States.DataLimitExceeded")


def test_an_input_above_256_kib_is_refused(workflow: Workflow) -> None:
    with pytest.raises(Exception, match="less than or equal to 262144"):
        workflow.run(machine({"End": {"Type": "Succeed"}}), "x" * 262_143)


def test_an_input_that_is_no_json_is_refused(workflow: Workflow) -> None:
    arn = workflow.start(machine({"End": {"Type": "Succeed"}}), {}).state_machine_arn
    region, account = arn.split(":")[3:5]
    with pytest.raises(ServiceError, match="Invalid State Machine Execution Input: 'Expecting value") as refused:
        backend(account, region).start_execution(arn, None, "not json")
    assert refused.value.code == "InvalidExecutionInput"


def test_stopping_keeps_error_and_cause_and_ends_a_wait_at_once(workflow: Workflow) -> None:
    started: Future[Any] = Future()
    workflow.functions["Look"] = lambda _event: stop(started)
    execution = workflow.start(
        machine({"Sleep": {"Type": "Wait", "Seconds": 1, "Next": "Look"}, "Look": task("Look", Next="Long"),
                 "Long": {"Type": "Wait", "Seconds": 100_000, "End": True}}),
        {},
    )  # fmt: skip
    started.set_result(execution)
    report = end(execution)
    assert (report.status, report.error, report.cause) == ("ABORTED", "Stopped", "by the test")


def test_the_history_of_a_stopped_execution_ends_with_the_stop(workflow: Workflow) -> None:
    """What its branches still do, and how they fail without it, is not reported."""
    met = threading.Barrier(2, timeout=PATIENCE)
    started: Future[Any] = Future()

    def stop_and_fail(_event: object) -> object:
        met.wait()
        stop(started)
        raise RuntimeError("no more")

    def succeed(_event: object) -> object:
        met.wait()
        return {}

    workflow.functions |= {"Stop": stop_and_fail, "Succeed": succeed, "Go on": lambda _event: {}}
    branches = [
        machine({"Stop": task("Stop", End=True)}),
        machine({"Succeed": task("Succeed", Next="Again"), "Again": task("Go on", End=True)}),
    ]
    execution = workflow.start(machine({"Both": {"Type": "Parallel", "Branches": branches, "End": True}}), {})
    started.set_result(execution)
    report = end(execution)
    assert report.status == "ABORTED"
    history = [event["type"].value for event in execution.exec_worker.env.event_manager.get_event_history()]
    assert history[-1] == "ExecutionAborted"
    assert "TaskFailed" not in history


def test_a_branch_that_begins_after_a_stop_keeps_no_one_waiting(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the clock, where nothing is at work any more, leaps to the time-out of the execution."""
    begun: list[BranchWorker] = []
    started: Future[Any] = Future()
    start = BranchWorker.start

    def start_and_stop(worker: BranchWorker) -> None:
        start(worker)
        begun.append(worker)
        if len(begun) == 1:
            stop(started)

    monkeypatch.setattr(BranchWorker, "start", start_and_stop)
    wait = machine({"Begin": {"Type": "Wait", "Seconds": 1, "Next": "Both"}}, TimeoutSeconds=80_000)
    branches = [machine({name: {"Type": "Wait", "Seconds": 60, "End": True}}) for name in ("One", "Two")]
    wait["States"]["Both"] = {"Type": "Parallel", "Branches": branches, "End": True}
    execution = workflow.start(wait, {})
    started.set_result(execution)
    report = end(execution)
    assert (report.status, len(begun)) == ("ABORTED", 2)
    assert report.seconds < 8_000
    until(lambda: moto_clock.in_force()._workers == 0, "the last worker, which leaves when the status is known")


def test_what_fails_in_the_moment_of_a_stop_does_not_undo_it(workflow: Workflow) -> None:
    started: Future[Any] = Future()

    def stop_and_fail(_event: object) -> object:
        stop(started)
        started.result().exec_worker.env.set_error({"error": "States.Runtime", "cause": "no choice was made"})
        return {}

    workflow.functions["Look"] = stop_and_fail
    waiting = {"Type": "Wait", "Seconds": 1, "Next": "Look"}
    execution = workflow.start(machine({"Sleep": waiting, "Look": task("Look", End=True)}), {})
    started.set_result(execution)
    report = end(execution)
    assert (report.status, report.error, report.cause) == ("ABORTED", "Stopped", "by the test")


def test_the_machines_own_timeout_is_aws_time(workflow: Workflow) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 1000, "End": True}}
    report = workflow.run(machine(states, TimeoutSeconds=120), {})
    assert report.status == "TIMED_OUT"
    assert 120 <= report.seconds < 120 + REAL_SECONDS


def test_time_stands_still_until_the_one_who_began_work_waits_for_it_and_says_that_it_is_late(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine, what was begun comes to its own wait before that, and could end before it is called late."""

    def late(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def method(self: Any, *arguments: Any, **named: Any) -> Any:
            time.sleep(0.1)
            return original(self, *arguments, **named)

        monkeypatch.setattr(owner, name, method)

    late(moto_clock.TimedThread, "join")
    late(moto_clock.TimedEvent, "wait")
    late(Environment, "set_timed_out")
    whole = workflow.run(machine({"Sleep": {"Type": "Wait", "Seconds": 1000, "End": True}}, TimeoutSeconds=120), {})
    assert whole.status == "TIMED_OUT"
    workflow.functions["Work"] = lambda _event: moto_clock.in_force().sleep(1000)
    state = workflow.run(machine({"Work": task("Work", TimeoutSeconds=120, End=True)}), {})
    assert (state.status, state.error) == ("FAILED", "States.Timeout")


def test_an_execution_stays_in_the_time_in_which_it_began(workflow: Workflow) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(_event: Any) -> None:
        begun.set()
        go_on.wait(PATIENCE)

    workflow.functions["Work"] = work
    branch = {"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": 1000, "End": True}}}
    states = {"Work": task("Work", Next="Both"), "Both": {"Type": "Parallel", "Branches": [branch], "End": True}}
    before, execution = moto_clock.in_force(), workflow.start(machine(states), {})
    assert begun.wait(PATIENCE)
    moto_clock.install(now := Clock(math.inf))
    go_on.set()
    report = end(execution)
    assert (report.status, now._workers) == ("SUCCEEDED", 0)
    until(lambda: before._workers == 0, "the last worker, which leaves when the status is known")
    assert report.seconds >= 1000


def test_a_timeout_of_a_task_does_not_count_time_in_which_its_function_works(workflow: Workflow) -> None:

    workflow.functions["Work"] = lambda _event: time.sleep(0.3)
    report = workflow.run(machine({"Work": task("Work", TimeoutSeconds=5, Output="done", End=True)}), {})
    assert (report.status, report.output) == ("SUCCEEDED", "done")


def test_map_runs_each_item(workflow: Workflow) -> None:
    workflow.functions["Double"] = lambda event: 2 * event["number"]
    each = {
        "Type": "Map",
        "Items": "{% $states.input %}",
        "MaxConcurrency": 3,
        "ItemProcessor": {
            "StartAt": "Double",
            "States": {"Double": task("Double", {"number": "{% $states.input %}"}, End=True)},
        },
        "End": True,
    }
    assert workflow.run(machine({"Each": each}), list(range(10))).output == list(range(0, 20, 2))
    assert workflow.run(machine({"Each": each}), []).output == []


def test_uuid_and_hash_are_what_step_functions_adds_to_jsonata(workflow: Workflow) -> None:
    output = "{% {'id': $length($uuid()), 'hash': $hash('abc', 'SHA-256')} %}"
    report = workflow.run(machine({"Shape": {"Type": "Pass", "Output": output, "End": True}}), {})
    assert report.output == {"id": 36, "hash": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}


SUCCEED = {"Type": "Succeed"}


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ({"A": {"Type": "Pass", "Next": "B"}}, "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Next"),
        (
            {"A": SUCCEED, "B": SUCCEED},
            'MISSING_TRANSITION_TARGET: State "B" is not reachable. at /States/B',
        ),
        (
            {"A": {"Type": "Pass", "InputPath": "$.x", "End": True}},
            "SCHEMA_VALIDATION_FAILED: Field is not supported with QueryLanguage JSONata at /States/A/InputPath",
        ),
        (
            {"A": {"Type": "Pass"}},
            "SCHEMA_VALIDATION_FAILED: A Pass state must have exactly one of Next and End at /States/A",
        ),
        (
            {"A": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}},
            "The rehearsal does not implement the resource arn:aws:states:::sqs:sendMessage at /States/A/Resource",
        ),
        (
            {"A": {"Type": "Parallel", "Branches": [{"StartAt": "A", "States": {"A": SUCCEED}}], "End": True}},
            "DUPLICATE_STATE_NAME: Duplicate State name: A at /States/A/Branches[0]/States/A",
        ),
        (
            {
                "A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "C"}], "Default": "B"},
                "B": SUCCEED,
            },
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: C at /States/A/Choices[0]/Next",
        ),
    ],
)
def test_a_definition_that_aws_refuses_is_refused(states: dict[str, Any], problem: str) -> None:
    assert check_definition(machine(states)) == [problem]


def test_a_broken_expression_is_refused_when_the_machine_is_made(workflow: Workflow) -> None:
    with pytest.raises(Exception, match="The JSONata expression is not valid"):
        workflow.run(machine({"A": {"Type": "Pass", "Output": "{% $states.input.( %}", "End": True}}), {})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("($n:=null;$n)", None),
        ("$exists(($n:=null;$n))", True),
        ("$exists(($states:={};$states.input))", False),
        ('($states:={"input":[null,{"a":null}]};$states.input[1])', {"a": None}),
        ('($x:={"a":[{"b":1},{"b":2}]};$y:="a;$x:=1";$count($x.a.b) & $y)', "2a;$x:=1"),
        ("($x:=[1];$x)", [1]),
        ("($x:=$sum([1,2]);$y:=2;$x*$y)", 6),
        ("($x:=12345678901234567890;$x)", 12345678901234567168),
        ("($x:=1.0;$string($x))", "1"),
    ],
)
def test_variables_are_what_they_would_be_in_the_expression(expression: str, value: Any) -> None:
    assert evaluate(expression) == value
    assert Jsonata(expression).evaluate(None) == value
