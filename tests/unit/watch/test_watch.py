"""`make watch` on the Step Functions of the rehearsal, with the public SDK; and what its connection does to it."""

import io
import json
import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.stub import Stubber
from rich.console import Console

from benchwright.models import DEFAULT_CLUSTER
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from tests.documentation.generated import DOCS
from tests.unit.watch.test_progress import EVENTS
from watch import __main__ as command
from watch import executions
from watch.progress import Watched

ROLE: Final = "arn:aws:iam::123456789012:role/deploy"
ARN: Final = "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy:first"
MACHINE: Final = "arn:aws:states:us-east-1:123456789012:stateMachine:benchwright-deploy"
OUTPUT: Final = {
    "cluster": "workbench",
    "nodes": [],
    "connection": {"url": "https://workbench.example.com", "port_forwarding": "aws ssm", "ssh_config": "Host i-*"},
}
FAILURE: Final = {"Type": "Fail", "Error": "StackFailed", "Cause": "The stack rolled back.\nDo this next."}
SUCCESS: Final = {"Type": "Pass", "Result": OUTPUT, "End": True}


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetExecutionHistory")


@pytest.fixture(autouse=True)
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An account with two state machines, in which no time passes; the shell has its endpoint, region and keys."""
    monkeypatch.setattr(command, "LOOK_SECONDS", 0.01)
    with mock.patch.dict(os.environ):
        modules = ("rehearsal.aws.services.step_functions",)
        local = LocalAws(clock=Clock(math.inf), directory=tmp_path, modules=modules)
        local.start()
        os.environ.update(local.environment())
        try:
            yield local
        finally:
            local.stop()


def create(aws: LocalAws, name: str, last: dict[str, Any]) -> str:
    states = {"Wait": {"Type": "Wait", "Seconds": 600, "Next": "Last"}, "Last": last}
    definition = json.dumps({"StartAt": "Wait", "States": states})
    created = aws.client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=ROLE)
    return str(created["stateMachineArn"])


def begin(aws: LocalAws, machine: str, content: str = "{}") -> str:
    return str(aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=content)["executionArn"])


def test_a_success_ends_with_the_link_and_with_0(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    begin(aws, create(aws, "benchwright-deploy", SUCCESS), '{"cluster":"b"}')
    assert command.main([]) == 0
    first, end, *_ = lines = capsys.readouterr().out.splitlines()
    assert (first, end) == (
        'benchwright-deploy {"cluster": "b"}',
        "  SUCCEEDED after 10:00",
    )
    assert "    People connect to https://workbench.example.com" in lines


def test_a_failure_ends_with_its_text_and_with_1(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    arn = begin(aws, create(aws, "benchwright-verify", FAILURE))
    assert command.main([arn]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == ["    The stack rolled back.", "    Do this next.", ""]


def test_one_that_was_stopped_ends_with_1(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    with aws.clock.busy():
        arn = begin(aws, create(aws, "benchwright-deploy", SUCCESS))
        aws.client("stepfunctions").stop_execution(executionArn=arn, error="ByHand", cause="not now")
    assert command.main([arn]) == 1
    assert "  ABORTED ByHand after" in capsys.readouterr().out


def test_without_an_argument_the_newest_one_of_the_application_is_shown(aws: LocalAws) -> None:
    create(aws, "another", SUCCESS)
    begin(aws, create(aws, "benchwright-deploy", SUCCESS))
    aws.clock.sleep(60)
    newest = begin(aws, create(aws, "benchwright-verify", SUCCESS))
    aws.clock.sleep(60)
    begin(aws, create(aws, "benchwright-b-deploy", SUCCESS))
    assert executions.newest(executions.client(), "benchwright") == newest


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "us-east-1 has no application benchwright: no state machine is called benchwright-deploy or"),
        (["--application", "b"], "No execution of b was started in us-east-1 yet."),
        (["first"], "EXECUTION=first is not the ARN of an execution, such as "),
        ([MACHINE], f"EXECUTION={MACHINE} is not the ARN of an execution, such as "),
        ([ARN], "The execution cannot be read: An error occurred (ExecutionDoesNotExist)"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence_and_2(
    aws: LocalAws, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create(aws, "b-deploy", SUCCESS)
    assert command.main(arguments) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.startswith(problem)) == ("", True), output.err


def test_without_a_region_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        del os.environ[name]
    assert command.main([]) == 2
    assert capsys.readouterr().err == "No region is known: give AWS_REGION=, or run `aws configure`.\n"


class Broken:
    """A connection that breaks at a call: of each operation the first calls succeed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
        self.calls: list[str] = []
        self._errors = errors
        real = executions.client

        def client(region: str | None = None) -> Any:
            made = real(region)
            made.meta.events.register("before-call.sfn", self._called)
            return made

        monkeypatch.setattr(executions, "client", client)

    def _called(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        if self._errors and self.calls.count("GetExecutionHistory") == 1 and model.name == "GetExecutionHistory":
            raise self._errors.pop(0)
        if self._errors and self.calls.count("GetExecutionHistory") > 1:
            raise self._errors.pop(0)


LOST: Final = "The connection to AWS is lost: trying again."
ERRORS: Final = [
    (exceptions.EndpointConnectionError(endpoint_url="https://states"), LOST),
    (exceptions.ReadTimeoutError(endpoint_url="https://states"), LOST),
    (exceptions.ConnectionClosedError(endpoint_url="https://states"), LOST),
    (exceptions.UnauthorizedSSOTokenError(), command.SIGN_IN),
    (refused("ExpiredTokenException"), command.SIGN_IN),
    (refused("ThrottlingException"), "AWS answered ThrottlingException: trying again."),
    (refused("Busy", 503), "AWS answered Busy: trying again."),
]


@pytest.mark.parametrize(("error", "sentence"), ERRORS, ids=lambda value: type(value).__name__)
def test_a_lost_connection_is_said_and_watching_goes_on(
    aws: LocalAws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BotoCoreError | ClientError,
    sentence: str,
) -> None:
    arn = begin(aws, create(aws, "benchwright-deploy", FAILURE))
    Broken(monkeypatch, [error, error])
    assert command.main([arn]) == 1
    assert capsys.readouterr().out.splitlines()[1:3] == [f"         {sentence}", "  FAILED StackFailed after 10:00"]


@pytest.mark.parametrize(
    "error", [refused("AccessDeniedException"), exceptions.NoCredentialsError()], ids=["denied", "signed out"]
)
def test_what_stays_wrong_ends_it(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    arn = begin(aws, create(aws, "benchwright-deploy", FAILURE))
    Broken(monkeypatch, [error])
    assert command.main([arn]) == 2
    assert f"The execution cannot be read: {error}" in capsys.readouterr().err


def test_the_policy_for_people_who_watch_is_what_it_calls(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(aws, create(aws, "benchwright-deploy", SUCCESS))
    begin(aws, create(aws, "benchwright-verify", SUCCESS))
    broken = Broken(monkeypatch, [])
    assert command.main([]) == 0
    [policy] = [
        json.loads(policy)
        for policy in re.findall(r"```jsonc\n(.*?)```", (DOCS / "security.md").read_text(), re.DOTALL)
        if "states:" in policy
    ]
    assert {action for each in policy["Statement"] for action in each["Action"]} == {
        f"states:{name}" for name in broken.calls
    }


def test_whoever_stops_watching_reads_that_the_execution_goes_on(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with aws.clock.busy():
        arn = begin(aws, create(aws, "benchwright-deploy", SUCCESS))
        monkeypatch.setattr(command, "time", mock.Mock(sleep=mock.Mock(side_effect=KeyboardInterrupt)))
        assert command.main([arn]) == 130
        assert capsys.readouterr().err == (f"\nThe execution goes on. To watch it again: make watch EXECUTION={arn}\n")
        aws.client("stepfunctions").stop_execution(executionArn=arn)


def test_the_time_is_that_of_aws_and_never_before_the_newest_event() -> None:
    now, event = executions.Now(), _event(EVENTS[-1])
    newest = event["timestamp"].timestamp()

    def at(date: str, *events: Any) -> int:
        return int(now({"ResponseMetadata": {"HTTPHeaders": {"date": date}}}, events) - newest)

    before, after = "Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 01:09:00 GMT"
    assert [at(before, event), at(before), at(after)] == [0, 0, 3600]


# What earlier executions say of how long it takes.


def test_only_executions_of_the_same_cluster_say_how_long_a_step_takes() -> None:
    """The execution itself, one of another cluster, a dry run, and two that had to wait, for 8 minutes and for 12."""
    states = executions.client()
    began = datetime(2026, 1, 1, tzinfo=UTC)
    longer = [*EVENTS[:-1], EVENTS[-1] | {"timestamp": "2026-01-01T00:13:00+00:00"}]
    itself, *others = [
        {"executionArn": f"{ARN}{name}", "stateMachineArn": MACHINE, "name": name, "status": "SUCCEEDED"}
        | {"startDate": began, "stopDate": began + timedelta(minutes=minutes)}
        for name, minutes in [("itself", 1), ("b", 90), ("dry", 1), ("c", 10), ("d", 30)]
    ]
    with Stubber(states) as stub:
        stub.add_response("list_executions", {"executions": [itself, *others]})
        dry_run = ('{"dry_run": true}', None)
        inputs = [('{"cluster": "b"}', None), dry_run, ("{}", EVENTS), ('{"cluster": "workbench"}', longer)]
        for execution, (content, events) in zip(others, inputs, strict=True):
            stub.add_response("describe_execution", {**execution, "input": content})
            if events:
                stub.add_response("get_execution_history", {"events": [_event(each) for each in reversed(events)]})
        expected, durations = executions.earlier(states, itself | {"input": "{}"})
        stub.assert_no_pending_responses()
    assert (expected, durations) == ({"Build image": 600.0}, [600.0, 1800.0])


def _event(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"timestamp": datetime.fromisoformat(event["timestamp"])}


def test_the_cluster_of_an_input_is_the_one_that_it_is_deployed_for() -> None:
    assert [executions.purpose(each)[0] for each in ("{}", None, '{"cluster": null}')] == [DEFAULT_CLUSTER] * 3
    assert [executions.purpose(each)[0] for each in ('{"cluster": "b"}', "[]", "nonsense")] == ["b", "", ""]


def test_a_dry_run_says_nothing_of_how_long_a_deployment_takes() -> None:
    inputs = ('{"dry_run": true}', '{"dry_run": false}', '{"cluster": "b"}', '{"cluster": "b", "delete_data": "b"}')
    assert [executions.purpose(each)[1:] for each in inputs] == [("dry_run",), (), (), ("delete_data",)]


@pytest.mark.parametrize(
    ("expected", "line"),
    [({"Build image": 480.0}, "Build image  3:00 of about 8:00"), ({}, "Build image  3:00")],
    ids=["known", "unknown"],
)
def test_a_step_shows_how_far_it_is_where_that_is_known(expected: dict[str, float], line: str) -> None:
    text = io.StringIO()
    watched = Watched(Console(file=text, width=120), expected=expected)
    watched.read([*map(_event, EVENTS[:5])], _event(EVENTS[4])["timestamp"].timestamp())
    text.truncate(0)
    watched.console.print(watched)
    head, step = text.getvalue().strip("\0").splitlines()
    assert head == "   4:00  "
    assert line in step
    assert step.rstrip().endswith("waits for the build")
    assert ("━" in step) is bool(expected)
