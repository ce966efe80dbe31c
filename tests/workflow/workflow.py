"""State machines on the rehearsal's interpreter, with functions of a test: one process, waits that cost nothing."""

import contextlib
import functools
import io
import json
import math
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchwright.report import history
from rehearsal.aws import moto_clock
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import ACCOUNT, REGION
from rehearsal.aws.services.step_functions import executions, interpreter
from tests.waiting import until

STATEMACHINE = Path(__file__).parents[2] / "statemachine"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/state-machine"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"

REPORTED = "\n\nReport:\n- s3://reports/report.html"
REPORT = {"done": True, "report": {"page": "s3://reports/report.html"}, "text": REPORTED}
"""What the function that writes reports answers, unless a test gives another one."""

WRITTEN = {"report": REPORT["report"]}
"""What the output of an execution has more, then."""

type Function = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Ended:
    """An execution that has ended. seconds: AWS time from its start to its end. max_payload: the largest input or
    output of a state, in bytes.
    """

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    seconds: float
    visited: list[str]
    transitions: int
    max_payload: int


@dataclass
class Workflow:
    """Machines whose Lambda functions are Python functions, by logical id; an exception becomes a function error.

    >>> workflow.functions["ResolvePlan"] = lambda event: {"cluster": "workbench"}
    >>> workflow.run("deploy", {}).status
    """

    functions: dict[str, Function] = field(default_factory=lambda: {"WriteReport": lambda _: REPORT})
    invocations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)

    def start(self, machine: str | dict[str, Any], payload: Any) -> Any:
        """Starts `statemachine/NAME.asl.yaml`, or a definition given as such; returns moto's object of it."""
        name = machine if isinstance(machine, str) else "given"
        definition = definition_of(machine) if isinstance(machine, str) else machine
        backend = executions.backend(ACCOUNT, REGION)
        made = backend.create_state_machine(f"{name}-{uuid.uuid4().hex[:8]}", json.dumps(definition), ROLE)
        return backend.start_execution(made.arn, None, json.dumps(payload))

    def run(self, machine: str | dict[str, Any], payload: Any) -> Ended:
        """`start`, and wait for the end."""
        return end(self.start(machine, payload))

    def invoked(self) -> list[str]:
        """The names of the functions in the order in which they were invoked."""
        return [name for name, _ in self.invocations]

    def client(self, service: str, _role_arn: str, _machine: str, _execution: str) -> Any:
        return {"lambda": _Lambda(self), "sns": _Sns(self)}[service]


@dataclass
class _Lambda:
    workflow: Workflow

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        name = FunctionName.rsplit(":", 1)[-1]
        event = json.loads(Payload)
        self.workflow.invocations.append((name, event))
        try:
            result, failure = self.workflow.functions[name](event), {}
        except Exception as error:
            result = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
            failure = {"FunctionError": "Unhandled"}
        return {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "Payload": io.BytesIO(json.dumps(result).encode()),
            **failure,
        }


@dataclass
class _Sns:
    workflow: Workflow

    def publish(self, **parameters: Any) -> dict[str, Any]:
        self.workflow.published.append(parameters)
        return {"MessageId": str(uuid.uuid4())}


def end(execution: Any) -> Ended:
    """Wait until one of moto's executions has ended."""
    until(lambda: execution.status != "RUNNING", f"the end of {execution.exec_arn}", pause=0.002)
    events = executions.events_of(execution)
    return Ended(
        arn=execution.exec_arn,
        status=execution.status,
        output=execution.output,
        error=execution.error,
        cause=execution.cause,
        seconds=(execution.stop_date - execution.start_date).total_seconds(),
        visited=[state.name for state in history.visits(events)],
        transitions=history.transitions(events),
        max_payload=history.max_payload(events),
    )


def cause(report: Ended) -> str:
    """Why an execution failed; that one has a cause at all is part of the test."""
    assert report.cause is not None
    return report.cause


def definition_of(machine: str, notify_success: str = "DISABLED") -> dict[str, Any]:
    """The definition in `statemachine/`, its substitutions made as template.yaml makes them.

    notify_success: the stack's parameter.
    """
    definition: dict[str, Any] = json.loads(_definition_text(machine, notify_success))
    return definition


@functools.cache
def _definition_text(machine: str, notify_success: str) -> str:
    def substitute(found: re.Match[str]) -> str:
        name = found[1]
        known = {
            "LambdaInvoke": "arn:aws:states:::lambda:invoke",
            "SnsPublish": "arn:aws:states:::sns:publish",
            "TopicArn": TOPIC,
            "NotifySuccess": notify_success,
        }
        return known.get(name) or f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name.removesuffix('Arn')}"

    text = (STATEMACHINE / f"{machine}.asl.yaml").read_text()
    return json.dumps(yaml.load(re.sub(r"\$\{(\w+)\}", substitute, text), yaml.CSafeLoader))


@contextlib.contextmanager
def workflows() -> Iterator[Workflow]:
    """A workflow with no functions yet, in a time of its own that jumps from wait to wait."""
    moto_clock.install(Clock(math.inf))
    workflow = Workflow()
    interpreter.prepare(workflow.client)
    yield workflow
    executions.backend(ACCOUNT, REGION).reset()
