"""State machines: moto's interpreter, made to behave as Step Functions does where the two differ.

moto leaves JSONata, the calls of a machine under its own role, the checks of a definition, and parts of an execution's
description to others; they stand here. What an execution did is read from its history with `report()`.
"""

import contextlib
import datetime
import functools
import hashlib
import importlib
import json
import logging
import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore.exceptions as refusals
import jsonata
from moto.core.config import default_user_config

from rehearsal.aws import moto_clock
from rehearsal.aws.server import Call, ServiceError

MAXIMUM_PAYLOAD_BYTES = 262_144  # https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_STATES = "moto.stepfunctions.parser.asl.component."
# The prefix of an error's name in an aws-sdk integration: the service's name in the SDK for Java.
SDK_ERROR_PREFIXES = {
    "autoscaling": "AutoScaling",
    "cloudformation": "CloudFormation",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "ec2": "Ec2",
    "efs": "Efs",
    "eventbridge": "EventBridge",
    "iam": "Iam",
    "imagebuilder": "Imagebuilder",
    "kms": "Kms",
    "lambda": "Lambda",
    "rds": "Rds",
    "s3": "S3",
    "scheduler": "Scheduler",
    "secretsmanager": "SecretsManager",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
    "sts": "Sts",
}

OPENING = re.compile(r"(\$\w+\()?\(")
ASSIGNED = re.compile(r"\$(\w+):=")

# (service, role ARN, state machine, execution ARN) -> a boto3 client, or whatever answers like one
type Clients = Callable[[str, str, str, str], Any]


# --- Machines and executions, also without a server ------------------------------------------------------------------


def backend(account: str, region: str) -> Any:
    return _module("moto.stepfunctions.parser.models").stepfunctions_parser_backends[account][region]


def create(name: str, definition: Mapping[str, Any], role_arn: str, account: str, region: str) -> str:
    """A state machine; returns its ARN. Raises InvalidDefinition as AWS does."""
    return backend(account, region).create_state_machine(name, json.dumps(definition), role_arn).arn


def start(arn: str, payload: Any, name: str | None = None) -> Any:
    """Starts an execution of the machine and returns moto's object of it."""
    _, _, _, region, account, _, _ = arn.split(":")
    return backend(account, region).start_execution(arn, name, json.dumps(payload))


def events_of(execution: Any) -> list[dict[str, Any]]:
    """The history of one of moto's executions, also while it runs, in the form of GetExecutionHistory."""
    environment = execution.exec_worker.env
    events = environment.event_manager.get_event_history() if environment is not None else []
    return [
        {
            **event,
            "type": str(getattr(event["type"], "value", event["type"])),
            "timestamp": datetime.datetime.fromisoformat(event["timestamp"]),
        }
        for event in events
    ]


# --- Patches ---------------------------------------------------------------------------------------------------------

_clients: Clients | None = None
_task = threading.local()


def install(aws: Any) -> None:
    """Into a LocalAws: machines call it with keys of their role, and its endpoint answers for executions."""

    def clients(service: str, role_arn: str, machine: str, execution: str) -> Any:
        return aws.client(service, role_arn, machine, execution, attempts=1)

    prepare(clients)
    aws.server.add("stepfunctions", "StartExecution", functools.partial(_start_execution, aws))
    aws.server.add("stepfunctions", "StopExecution", functools.partial(_stop_execution, aws))
    aws.server.add("stepfunctions", "DescribeExecution", functools.partial(_describe_execution, aws))
    aws.server.add("stepfunctions", "ListExecutions", functools.partial(_list_executions, aws))
    aws.server.add("stepfunctions", "GetExecutionHistory", functools.partial(_get_execution_history, aws))


def prepare(clients: Clients) -> None:
    """Makes the interpreter whole; tasks get their clients from `clients`. The clock must be in force."""
    global _clients  # noqa: PLW0603 - moto is one per process
    first = _clients is None
    _clients = clients
    if first:
        default_user_config["stepfunctions"] = {"execute_state_machine": True}  # holds in server mode too
        # A failing state would be logged with its payload and the whole syntax tree.
        logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
        parser = _module("moto.stepfunctions.parser.models")
        # moto keeps machines twice; executions run from the parser's.
        _module("moto.stepfunctions.models").stepfunctions_backends = parser.stepfunctions_parser_backends
        _patch_jsonata()
        _patch_start(parser.StepFunctionsParserBackend)
        _patch_definition_checks(parser)
        _patch_tasks()
        _patch_lambda_errors()
        _patch_error_names()
        _patch_endings()
        moto_clock.patch_datetimes()


def _module(name: str) -> Any:
    return importlib.import_module(name)


def evaluate(expression: str) -> Any:
    """The value of a JSONata expression; an undefined one is None, which moto turns into QueryEvaluationError."""
    values, own = _split_expression(expression)
    parsed = jsonata.Jsonata(own)
    for name, value in values.items():
        parsed.assign(name, value)
    if "$uuid" in own:
        parsed.register_lambda("uuid", lambda: str(uuid.uuid4()))
    if "$hash" in own:
        parsed.register_lambda("hash", _hash)
    return json.loads(json.dumps(parsed.evaluate(None), default=float))


def _split_expression(expression: str) -> tuple[dict[str, Any], str]:
    """The values of the variables, and the expression without them.

    moto writes `($states:={…};$plan:={…};EXPRESSION)`, at times within a function, and jsonata takes long to read JSON.
    """
    opening = OPENING.match(expression)
    position = start = opening.end() if opening else 0
    values = {}
    while named := ASSIGNED.match(expression, position):
        try:
            value, end = JSON.raw_decode(expression, named.end())
        except json.JSONDecodeError:
            break
        if expression[end : end + 1] != ";":
            break
        values[named[1]], position = _with_nulls(value), end + 1
    return values, expression[:start] + expression[position:]


def _number(text: str) -> float:
    """A number as JavaScript has it: exact to 53 bits, and whole where it has no fraction."""
    value = float(text)
    return int(value) if value.is_integer() else value


JSON = json.JSONDecoder(parse_int=_number, parse_float=_number)


def _with_nulls(value: Any) -> Any:
    """A value as jsonata has it where it stands in an expression: its None is what is undefined."""
    if isinstance(value, dict):
        return {key: _with_nulls(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_nulls(member) for member in value]
    return jsonata.utils.Utils.NULL_VALUE if value is None else value


def _hash(value: str, algorithm: str) -> str:
    names = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    if algorithm not in names:
        raise ValueError(f"$hash: algorithm is {algorithm}; it must be one of {', '.join(names)}")
    return hashlib.new(names[algorithm], value.encode()).hexdigest()


def _patch_jsonata() -> None:
    module = _module("moto.stepfunctions.parser.asl.jsonata.jsonata")
    functions = _module(_STATES + "intrinsic.jsonata")._DECLARATION_BY_VARIABLE_REFERENCE

    def evaluate_or_raise(expression: str) -> Any:
        try:
            return evaluate(expression)
        except Exception as error:
            raise module.JSONataException(type(error).__name__, str(error)) from error

    def declarations(bindings: Mapping[str, Any]) -> str:  # moto's own pastes strings unescaped
        return "".join(f"{name}:={module.to_json_str(value)};" for name, value in bindings.items())

    module._eval_jsonata = evaluate_or_raise
    functions.pop("$uuid", None)  # moto's return a sentence that they are not supported
    functions.pop("$hash", None)
    for user in (
        module,
        _module("moto.stepfunctions.parser.asl.eval.states"),
        _module("moto.stepfunctions.parser.asl.eval.variable_store"),
    ):
        user.encode_jsonata_variable_declarations = declarations


def _patch_start(parser_backend: Any) -> None:
    original = parser_backend.start_execution

    def start_execution(
        self: Any, state_machine_arn: str, name: str | None = None, execution_input: str | None = None, *rest: Any
    ) -> Any:
        text = "{}" if execution_input is None else execution_input
        if len(text.encode()) > MAXIMUM_PAYLOAD_BYTES:
            raise ServiceError(
                "ValidationException",
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAXIMUM_PAYLOAD_BYTES}",
            )
        if name is not None and not re.fullmatch(r"""[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}""", name):
            raise ServiceError("InvalidName", f"Invalid Name: '{name}'")
        try:
            json.loads(text)
        except ValueError as error:
            raise ServiceError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from error
        return original(self, state_machine_arn, name or str(uuid.uuid4()), text, *rest)

    parser_backend.start_execution = start_execution


def _patch_tasks() -> None:
    """Calls of a machine: shapes by botocore's models, and clients with the keys of the machine's own role."""
    service_task = _module(_STATES + "state.exec.state_task.service.state_task_service").StateTaskService
    task = _module(_STATES + "state.exec.state_task.state_task").StateTask
    to_json = _module("moto.stepfunctions.parser.asl.utils.encoding").to_json_str
    from moto.core.utils import get_service_model

    def shape(self: Any, service: str | None, action: str | None, kind: str) -> Any:
        model = get_service_model(self._get_boto_service_name(service))
        wanted = self._get_boto_service_action(action).replace("_", "").lower()
        names = (name for name in model.operation_names if name.lower() == wanted)
        return next((getattr(model.operation_model(name), kind) for name in names), None)

    def normalise_parameters(
        self: Any,
        parameters: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        if input_shape := shape(self, boto_service_name, service_action_name, "input_shape"):
            self._to_boto_request(parameters, input_shape)

    def normalise_response(
        self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
    ) -> None:
        if output_shape := shape(self, boto_service_name, service_action_name, "output_shape"):
            self._from_boto_response(response, output_shape)
        if isinstance(response, dict):  # dates left as objects would make DescribeExecution fail
            plain = json.loads(to_json(response))
            response.clear()
            response.update(plain)

    service_task._normalise_parameters = normalise_parameters
    service_task._normalise_response = normalise_response

    for concrete in _with_subclasses(task):
        if "_eval_execution" in vars(concrete):
            _remember_execution(concrete)

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        assert _clients is not None
        return _clients(service, state_credentials.role_arn, _task.machine, _task.execution)

    original = _module("moto.stepfunctions.parser.asl.utils.boto_client").boto_client_for
    for module in list(sys.modules.values()):  # fourteen modules import it by name
        if getattr(module, "boto_client_for", None) is original:
            module.boto_client_for = client_for  # type: ignore[attr-defined]


def _with_subclasses(cls: Any) -> Iterator[Any]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from _with_subclasses(subclass)


def _remember_execution(task: Any) -> None:
    original = task._eval_execution

    def eval_execution(self: Any, env: Any) -> None:
        context = env.states.context_object.context_object_data
        _task.execution, _task.machine = context["Execution"]["Id"], context["StateMachine"]["Name"]
        original(self, env)

    task._eval_execution = eval_execution


def _patch_lambda_errors() -> None:
    """A connection to Lambda that breaks is an error of the SDK for Java, which Step Functions calls with."""
    service = _module(_STATES + "state.exec.state_task.service.state_task_service_lambda").StateTaskServiceLambda
    original = service._from_error

    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, (refusals.ConnectionError, refusals.HTTPClientError)):
            error = {"Code": "SdkClientException", "Message": f"Unable to execute HTTP request: {ex}"}
            metadata = {"HTTPStatusCode": 0, "RequestId": ""}
            ex = refusals.ClientError({"Error": error, "ResponseMetadata": metadata}, "Invoke")  # type: ignore[typeddict-item]
        return original(self, env, ex)

    service._from_error = from_error


def _patch_error_names() -> None:
    """Names as AWS spells them, and what States.ALL does not match.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    _module(_STATES + "state.exec.state_task.service.state_task_service_aws_sdk")._SERVICE_ERROR_NAMES.update(
        SDK_ERROR_PREFIXES
    )
    equals = _module(_STATES + "common.error_name.error_equals_decl").ErrorEqualsDecl
    original = equals._eval_body

    def eval_body(self: Any, env: Any) -> None:
        name = getattr(env.stack[-1], "error_name", None)
        if name in {"States.DataLimitExceeded", "States.Runtime"} and name not in {
            e.error_name for e in self.error_names
        }:
            env.stack.pop()
            env.stack.append(False)
        else:
            original(self, env)

    equals._eval_body = eval_body
    custom = _module(_STATES + "common.error_name.custom_error_name").CustomErrorName
    names = _module(_STATES + "common.error_name.error_name").ErrorName

    def initialise(self: Any, error_name: str | None) -> None:  # a branch may fail with a States.* error
        names.__init__(self, error_name)

    custom.__init__ = initialise


def _patch_endings() -> None:
    """An execution that has ended stays as it ended; an aborted one keeps the error and cause it was stopped with."""
    environment = _module("moto.stepfunctions.parser.asl.eval.environment").Environment
    for name in ("set_error", "set_timed_out"):
        setattr(environment, name, _while_it_runs(getattr(environment, name)))
    communication = _module("moto.stepfunctions.parser.backend.execution").BaseExecutionWorkerCommunication
    original = communication._reflect_execution_status

    def reflect(self: Any) -> None:
        original(self)
        state = self.execution.exec_worker.env.program_state()
        if type(state).__name__ == "ProgramStopped":
            self.execution.error, self.execution.cause = state.error or None, state.cause or None

    communication._reflect_execution_status = reflect
    _patch_history(environment)
    _patch_late_branches()


def _patch_history(environment: Any) -> None:
    """The history of an execution that was stopped ends with that: what its branches still do is not reported."""
    manager = _module("moto.stepfunctions.parser.asl.eval.event.event_manager").EventManager
    set_stop, add_event = environment.set_stop, manager.add_event

    def stop(self: Any, *arguments: Any, **keywords: Any) -> None:
        if self.is_running() and not self.is_frame():  # a frame is stopped where another branch has failed
            self.event_manager.is_stopped = True
        set_stop(self, *arguments, **keywords)

    def add(self: Any, context: Any, event_type: Any, *arguments: Any, **keywords: Any) -> Any:
        if getattr(self, "is_stopped", False) and not event_type.startswith("Execution"):
            return context.last_published_event_id
        return add_event(self, context, event_type, *arguments, **keywords)

    environment.set_stop, manager.add_event = stop, add


def _patch_late_branches() -> None:
    """A branch that is to begin when the execution has been stopped ends at once; moto lets its thread die, and who
    waits for the branches would wait for ever.
    """
    program = _module(_STATES + "program.program").Program
    original = program.eval

    def evaluate(self: Any, env: Any) -> None:
        try:
            original(self, env)
        except RuntimeError:  # "Could not set NextState value"
            if env.is_running():
                raise

    program.eval = evaluate


def _while_it_runs(method: Any) -> Any:
    @functools.wraps(method)
    def change(self: Any, *arguments: Any, **keywords: Any) -> None:
        if self.is_running():
            method(self, *arguments, **keywords)

    return change


# --- A definition, checked as CreateStateMachine checks it -----------------------------------------------------------

_JSONPATH_FIELDS = frozenset(
    f"{name}Path" for name in ("Input", "Output", "Result", "Items", "Seconds", "Timestamp", "TimeoutSeconds", "Cause")
) | {"Parameters", "ResultSelector", "Variable", "ErrorPath", "HeartbeatSecondsPath", "MaxConcurrencyPath"}
_JSONATA_FIELDS = frozenset({"Arguments", "Output", "Items", "Condition"})


def check_definition(definition: Mapping[str, Any]) -> list[str]:
    """What AWS would refuse and moto does not: `CODE: message at /path`, as AWS words it."""
    return list(_machine_problems(definition, definition.get("QueryLanguage", "JSONPath"), "", set()))


def _machine_problems(machine: Mapping[str, Any], language: str, path: str, seen: set[str]) -> Iterator[str]:
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {machine.get('StartAt')} at {path}/StartAt"
    reached = {machine.get("StartAt")}
    for name, state in states.items():
        here = f"{path}/States/{name}"
        if name in seen:
            yield f"DUPLICATE_STATE_NAME: Duplicate State name: {name} at {here}"
        if len(name) > 80:
            yield f"SCHEMA_VALIDATION_FAILED: State name is longer than 80 characters at {here}"
        seen.add(name)
        for field, target in _targets(state):
            reached.add(target)
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {here}/{field}"
        yield from _state_problems(state, state.get("QueryLanguage", language), here)
        for field, inner in _inner_machines(state):
            yield from _machine_problems(inner, inner.get("QueryLanguage", language), f"{here}/{field}", seen)
    for name in states:
        if name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Catch", "Choices"):
        for index, rule in enumerate(state.get(field, [])):
            yield f"{field}[{index}]/Next", rule.get("Next")


def _inner_machines(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, branch in enumerate(state.get("Branches", [])):
        yield f"Branches[{index}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]


def _state_problems(state: Mapping[str, Any], language: str, path: str) -> Iterator[str]:
    kind = state.get("Type")
    if kind in {"Task", "Pass", "Wait", "Parallel", "Map"} and ("Next" in state) == bool(state.get("End")):
        yield f"SCHEMA_VALIDATION_FAILED: A {kind} state must have exactly one of Next and End at {path}"
    foreign = _JSONPATH_FIELDS if language == "JSONata" else _JSONATA_FIELDS
    for owner, where in ((state, path), *((rule, f"{path}/Choices") for rule in state.get("Choices", []))):
        for field in sorted(foreign & owner.keys()):
            yield f"SCHEMA_VALIDATION_FAILED: Field is not supported with QueryLanguage {language} at {where}/{field}"
    for index, retrier in enumerate(state.get("Retry", [])[:-1]):
        if "States.ALL" in retrier.get("ErrorEquals", []):
            yield f"SCHEMA_VALIDATION_FAILED: States.ALL must be in the last retrier at {path}/Retry[{index}]"
    if language == "JSONata":
        outer = {
            field: value for field, value in state.items() if field not in {"Branches", "ItemProcessor", "Iterator"}
        }
        yield from _expression_problems(outer, path)


def _expression_problems(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key != "Comment":
                yield from _expression_problems(member, f"{path}/{key}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _expression_problems(member, f"{path}[{index}]")
    elif isinstance(value, str) and value.startswith("{%"):
        if not value.endswith("%}"):
            yield f"SCHEMA_VALIDATION_FAILED: The JSONata expression does not end with %}} at {path}"
            return
        try:
            jsonata.Jsonata(value[2:-2])
        except Exception as error:
            yield f"SCHEMA_VALIDATION_FAILED: The JSONata expression is not valid: {error} at {path}"


def _patch_definition_checks(parser: Any) -> None:
    original = parser.StepFunctionsParserBackend._validate_definition

    def validate(definition: str) -> None:
        with contextlib.suppress(json.JSONDecodeError):
            if problems := check_definition(json.loads(definition)):
                listed = ", ".join(f"'{problem}'" for problem in problems)
                raise ServiceError("InvalidDefinition", f"Invalid State Machine Definition: {listed}")
        original(definition)

    parser.StepFunctionsParserBackend._validate_definition = staticmethod(validate)


# --- The API of executions -------------------------------------------------------------------------------------------


def _start_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).start_execution(
        call["stateMachineArn"], call.get("name"), call.get("input")
    )
    return {"executionArn": execution.execution_arn, "startDate": execution.start_date}


def _stop_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).describe_execution(call["executionArn"])
    now = aws.clock.datetime()
    execution.stop(stop_date=now, error=call.get("error"), cause=call.get("cause"))
    return {"stopDate": now}


def _describe_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).describe_execution(call["executionArn"])
    return _without_none(
        executionArn=execution.exec_arn,
        stateMachineArn=execution.state_machine_arn,
        name=execution.name,
        status=execution.status,
        startDate=execution.start_date,
        stopDate=execution.stop_date,
        input=execution.execution_input,
        inputDetails={"included": True},
        output=json.dumps(execution.output, ensure_ascii=False) if execution.status == "SUCCEEDED" else None,
        error=execution.error,
        cause=execution.cause,
        redriveCount=0,
        redriveStatus="NOT_REDRIVABLE",
    )


def _list_executions(aws: Any, call: Call) -> dict[str, Any]:
    machine = backend(aws.account, call.region).describe_state_machine(call["stateMachineArn"])
    executions = sorted(machine.executions, key=lambda execution: execution.start_date, reverse=True)
    listed = [
        _without_none(
            executionArn=execution.exec_arn,
            stateMachineArn=machine.arn,
            name=execution.name,
            status=execution.status,
            startDate=execution.start_date,
            stopDate=execution.stop_date,
        )
        for execution in executions
        if call.get("statusFilter") in {None, execution.status}
    ]
    page, token = _page(listed, call)
    return _without_none(executions=page, nextToken=token)


def _get_execution_history(aws: Any, call: Call) -> dict[str, Any]:
    events = events_of(backend(aws.account, call.region).describe_execution(call["executionArn"]))
    page, token = _page(events[::-1] if call.get("reverseOrder") else events, call)
    return _without_none(events=page, nextToken=token)


def _page(items: list[Any], call: Call) -> tuple[list[Any], str | None]:
    first = int(call.get("nextToken") or 0)
    size = call.get("maxResults") or 100
    following = first + size
    return items[first:following], str(following) if following < len(items) else None


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
