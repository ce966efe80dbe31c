"""moto's interpreter of state machines with the behaviour of Step Functions: clients, errors, endings, history."""

import contextlib
import functools
import importlib
import json
import logging
import pickle
import re
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore.exceptions as refusals
from moto.core.config import default_user_config

from rehearsal.aws import moto_clock
from rehearsal.aws.calls import ServiceError

from . import expressions
from .definition import check_definition
from .quotas import PAYLOAD_BYTES

_STATES = "moto.stepfunctions.parser.asl.component."
# (service, role ARN, state machine, execution ARN) -> a boto3 client, or whatever answers like one
type Clients = Callable[[str, str, str, str], Any]

_clients: Clients | None = None
_task = threading.local()


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
        _patch_parser()
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


def _patch_parser() -> None:
    """Parse each definition once: moto does so three times for a new machine, and again for every execution.

    An execution still gets components of its own: to unpickle them takes a twentieth of what it takes to make them.
    """
    module = _module("moto.stepfunctions.parser.asl.parse.asl_parser")
    parse = module.AmazonStateLanguageParser.parse

    @functools.lru_cache(maxsize=16)
    def parsed(definition: str) -> tuple[bytes, Any]:
        program, tree = parse(definition)
        return pickle.dumps(program), tree

    def parse_once(definition: str) -> tuple[Any, Any]:
        program, tree = parsed(definition)
        return pickle.loads(program), tree

    module.AmazonStateLanguageParser.parse = staticmethod(parse_once)


def _patch_jsonata() -> None:
    module = _module("moto.stepfunctions.parser.asl.jsonata.jsonata")
    functions = _module(_STATES + "intrinsic.jsonata")._DECLARATION_BY_VARIABLE_REFERENCE

    def evaluate_or_raise(expression: str) -> Any:
        try:
            return expressions.evaluate(expression)
        except Exception as error:
            raise module.JSONataException(type(error).__name__, str(error)) from error

    def declarations(bindings: Mapping[str, Any]) -> str:  # moto's own pastes strings unescaped
        return "".join(f"{name}:={module.to_json_str(value)};" for name, value in bindings.items())

    module._eval_jsonata = evaluate_or_raise
    # moto evaluates an expression whose value is a text once more, to see that its type is supported, as that of a text
    # is. What has no supported type, such as a function, is no JSON: `expressions.evaluate` has refused it before.
    _module("moto.stepfunctions.parser.asl.jsonata.validations")._validate_string_output = lambda *_: None
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
        if len(text.encode()) > PAYLOAD_BYTES:
            raise ServiceError(
                "ValidationException",
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {PAYLOAD_BYTES}",
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
    """Clients with the keys of the machine's own role."""
    task = _module(_STATES + "state.exec.state_task.state_task").StateTask
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
    """What States.ALL does not match, and names of errors that a branch fails with.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
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
        execution = self.execution
        ended = types.SimpleNamespace(exec_worker=execution.exec_worker)
        original(types.SimpleNamespace(execution=ended))
        state = execution.exec_worker.env.program_state()
        if type(state).__name__ == "ProgramStopped":
            ended.error, ended.cause = state.error or None, state.cause or None
        status = ended.exec_status
        del ended.exec_worker, ended.exec_status
        vars(execution).update(vars(ended))
        execution.exec_status = status  # last: who sees it sees the rest, too

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


def _patch_definition_checks(parser: Any) -> None:
    original = parser.StepFunctionsParserBackend._validate_definition

    @functools.lru_cache(maxsize=16)  # of those that are accepted: moto makes all components of a machine to check one
    def validate(definition: str) -> None:
        with contextlib.suppress(json.JSONDecodeError):
            if problems := check_definition(json.loads(definition)):
                listed = ", ".join(f"'{problem}'" for problem in problems)
                raise ServiceError("InvalidDefinition", f"Invalid State Machine Definition: {listed}")
        original(definition)

    parser.StepFunctionsParserBackend._validate_definition = staticmethod(validate)
