"""The local AWS endpoint: moto's server, with operations added, requests checked and every call recorded.

Each request is read with botocore's own models before anybody answers it, so added operations receive parsed parameters
and return plain dictionaries, for every service and protocol alike, and limits of the models (length, pattern, enum)
are refused here as AWS refuses them, whoever answers. Each answer is read with them too: one that is not in the form of
its model is none.
"""

import contextlib
import dataclasses
import datetime
import functools
import io
import logging
import re
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, Protocol

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, make_server

from rehearsal.aws import answers, moto_clock
from rehearsal.aws.recorder import Identity, Recorder

logger = logging.getLogger(__name__)

EXECUTION_HEADER = (
    "X-Rehearsal-Execution"  # which execution a call of a state machine belongs to; AWS needs no such hint
)
UNKNOWN = Identity(caller="unknown")
SIGNED_AT = "%Y%m%dT%H%M%SZ"

# Signing names (what stands in the credential scope) that are not botocore's name of the service.
SERVICE_OF_SIGNING_NAME = {
    "elasticfilesystem": "efs",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
# Services whose own checks differ from their model (S3: elsewhere; EC2: codes of its own, no lengths).
UNCHECKED = frozenset({"s3", "s3control", "ec2", "sts"})
# Where the code of a violated constraint is not the usual one of the protocol.
INVALID_CODES = {
    "imagebuilder": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "sns": "InvalidParameter",
}


class Proceed:
    """What an added operation returns to let moto answer after all."""


PROCEED = Proceed()


class ServiceError(ServiceException):
    """An error answer: the code as the service's model names it, and a message."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass(frozen=True)
class Call:
    """One request, as parsed by the service's model."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    identity: Identity
    region: str
    headers: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)


class Answer(NamedTuple):
    """What goes back: `outcome` is "ok" or the error's code, as it is recorded."""

    outcome: str
    status: int
    headers: dict[str, str]
    content: bytes


type Operation = Callable[[Call], Mapping[str, Any] | Proceed | None]


class Faults(Protocol):
    """What must fail in a rehearsal. `take` returns what to do, once, or None; what `at_end` is given takes back a
    fault that lasts.

    Of a "call" it returns the error to answer with (`code`, and perhaps `message` and `status`), or `lost`: the
    connection breaks before the call takes effect ("request") or after it ("answer"); `with_it` then ends the caller.
    """

    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None: ...

    def at_end(self, lift: Callable[[], None]) -> None: ...


class NoFaults:
    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        return None

    def at_end(self, lift: Callable[[], None]) -> None:
        return None


@dataclass
class Server:
    """Answers on every socket given to `listen`. Operations added here come before moto's, and may take their time.

    `names` says what the parameters of a role's call name, before it is answered: it is recorded with the call.
    """

    recorder: Recorder
    faults: Faults = field(default_factory=NoFaults)
    identify: Callable[[str], Identity | None] = lambda _access_key: None
    names: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _parameters: {}
    moto_lock: threading.RLock = field(default_factory=threading.RLock)
    """Held by whoever is inside moto: its dictionaries may not change while another request goes through them."""
    _operations: dict[tuple[str, str], Operation] = field(default_factory=dict)
    _listeners: list[tuple[BaseWSGIServer, threading.Thread]] = field(default_factory=list)

    def add(self, service: str, operation: str, handler: Operation) -> None:
        """`service` and `operation` as botocore names them: add("ssm", "SendCommand", handler)."""
        get_service_model(service).operation_model(operation)  # a name that botocore does not know is a mistake here
        self._operations[service, operation] = handler

    def operation(self, service: str, operation: str) -> Callable[[Operation], Operation]:
        """`add` as a decorator."""

        def register(handler: Operation) -> Operation:
            self.add(service, operation, handler)
            return handler

        return register

    def listen(self, listener: socket.socket | tuple[str, int]) -> int:
        """Serves on an open, bound socket, or on an address; returns the port. Sockets stay the caller's to close."""
        if isinstance(listener, socket.socket):
            host, port = listener.getsockname()[:2]
            file_descriptor: int | None = listener.fileno()
        else:
            (host, port), file_descriptor = listener, None
        server = make_server(host, port, self._application, threaded=True, request_handler=_Handler, fd=file_descriptor)
        server.daemon_threads = True
        name, pause = f"aws-{host}:{server.port}", 0.02  # seconds after which it notices that it must stop
        thread = threading.Thread(target=server.serve_forever, args=(pause,), name=name, daemon=True)
        thread.start()
        self._listeners.append((server, thread))
        return server.port

    def stop(self) -> None:
        for server, thread in self._listeners:
            server.shutdown()
            thread.join()
            server.server_close()
        self._listeners.clear()

    @functools.cached_property
    def _moto(self) -> DomainDispatcherApplication:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request

        def create(service: Any) -> Any:
            application = create_backend_app(service)
            moto_clock.patch_datetimes()  # moto loads a service at its first request
            return application

        # Errors such as throttling are common to all services and stand in no service's model.
        warnings.filterwarnings("ignore", message=".*does not match an error shape", module="moto.core.serialize")
        return DomainDispatcherApplication(create)

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = _read_body(environ)
        reading = _read_request(environ, body)
        if reading is None:
            with self.moto_lock:
                return self._moto(environ, start_response)
        call, model = reading
        call = dataclasses.replace(call, identity=self._identity(environ))
        fault = self.faults.take("call", **_facts(call)) or {}
        if fault.get("lost") == "request":
            _hang_up(environ, fault)
        if fault.get("lost") == "answer":
            list(self._perform(call, model, {}, environ, lambda *_: lambda _: None))
            _hang_up(environ, fault)
        return self._perform(call, model, fault, environ, start_response)

    def _perform(
        self,
        call: Call,
        model: Any,
        fault: Mapping[str, Any],
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        with self.moto_lock:
            named = self.names(call.parameters) if call.identity.role_arn else {}
        answer = self._answer(call, model, fault)
        if answer is None:
            try:
                return self._proceed(call, model, named, environ, start_response)
            except ServiceError as error:
                answer = _error_answer(call, model, error)
            except Exception as error:
                logger.exception("moto failed in %s:%s", call.service, call.operation)
                missing = f"The rehearsal has no answer to {call.service}:{call.operation}: {error!r}"
                answer = _error_answer(call, model, ServiceError("InternalFailure", missing, 501))
        start_response(f"{answer.status} {answer.outcome}", list(answer.headers.items()))
        self.recorder.record(call.identity, call.service, call.operation, call.parameters, answer.outcome, named=named)
        return [answer.content]

    def _answer(self, call: Call, model: Any, fault: Mapping[str, Any]) -> Answer | None:
        """The answer of a fault, a violated constraint or an added operation; None lets moto answer."""
        handler = self._operations.get((call.service, call.operation))
        try:
            if fault:
                message = fault.get("message", "A fault of the rehearsal.")
                return _error_answer(call, model, ServiceError(fault["code"], message, fault.get("status")))
            _refuse_skew(call, model)
            if call.service not in UNCHECKED:
                refuse_violations(call, model.input_shape)
            result = handler(call) if handler is not None else PROCEED
            if isinstance(result, Proceed):
                return None
            answer = Answer("ok", *_serialize(call, model, result or {}))
            _refuse_answer(call, model, answer.status, _in_lower_case(answer.headers.items()), answer.content)
            return answer
        except ServiceException as error:
            return _error_answer(call, model, error)
        except JsonRESTError as error:  # moto's own, out of an added operation
            return _error_answer(call, model, ServiceError(error.error_type, error.message, error.code))
        except Exception as error:
            logger.exception("%s:%s failed", call.service, call.operation)
            failure = ServiceError("InternalFailure", f"The rehearsal failed: {error!r}", 501)
            return _error_answer(call, model, failure)

    def _proceed(
        self,
        call: Call,
        model: Any,
        named: Mapping[str, Any],
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        with self.moto_lock:
            chunks = self._moto(environ, lambda status, headers, _exc_info=None: begun.append((status, headers)))
        line, headers = begun[-1]
        status, named_headers, outcome = int(line.split(maxsplit=1)[0]), _in_lower_case(headers), "ok"
        if status >= 400 or not model.has_streaming_output:
            content = b"".join(chunks)
            chunks = [content]
            _refuse_answer(call, model, status, named_headers, content)
            if status >= 500:
                logger.error("moto answered %s:%s with %s: %s", call.service, call.operation, line, content[:500])
            if status >= 400:
                outcome = _error_code(status, named_headers, content)
        if "x-amzn-requestid" not in named_headers:
            headers = [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))]
        start_response(line, headers)
        self.recorder.record(call.identity, call.service, call.operation, call.parameters, outcome, named=named)
        return chunks

    def _identity(self, environ: Mapping[str, Any]) -> Identity:
        key = re.search(
            r"Credential=([^/]+)/", f"{environ.get('HTTP_AUTHORIZATION', '')} {environ.get('QUERY_STRING', '')}"
        )
        return (key and self.identify(key[1])) or UNKNOWN


def _facts(call: Call) -> dict[str, Any]:
    """What a fault of a call is chosen by."""
    return {
        "service": call.service,
        "operation": call.operation,
        "caller": call.identity.caller,
        "call": call,
    }


def _refuse_skew(call: Call, model: Any) -> None:
    """Raises when a request was signed too far from now. Who signs knows the time of the wall only.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html, and the error responses of Amazon S3.
    The code follows the protocol: that of STS stands in github.com/aws/aws-cli/issues/6676, those of DynamoDB and
    Lambda in github.com/aws/aws-sdk-js/issues/2565 and 2598.
    """
    signed = call.headers.get("X-Amz-Date")
    if not signed:
        return
    moment = datetime.datetime.strptime(signed, SIGNED_AT).replace(tzinfo=datetime.UTC)
    now = datetime.datetime.now(datetime.UTC)
    minutes = 15 if call.service == "s3" else 5
    if abs(now - moment) <= datetime.timedelta(minutes=minutes):
        return
    if call.service == "s3":
        message = "The difference between the request time and the current time is too large."
        raise ServiceError("RequestTimeTooSkewed", message, 403)
    expired = moment < now
    limit = now + datetime.timedelta(minutes=-minutes if expired else minutes)
    protocol = determine_request_protocol(model.service_model, call.headers.get("Content-Type", ""))
    raise ServiceError(
        "InvalidSignatureException" if protocol in {"json", "rest-json"} else "SignatureDoesNotMatch",
        f"Signature {'expired' if expired else 'not yet current'}: {signed} is "
        f"{'now earlier' if expired else 'still later'} than {limit.strftime(SIGNED_AT)} "
        f"({now.strftime(SIGNED_AT)} {'-' if expired else '+'} {minutes} min.)",
        403,
    )


def _hang_up(environ: Mapping[str, Any], fault: Mapping[str, Any]) -> NoReturn:
    """Break the connection without an answer."""
    fault.get("with_it", lambda: None)()
    with contextlib.suppress(OSError, KeyError):  # a call without a socket breaks by the error alone
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("a fault of the rehearsal")


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, and `Expect: 100-continue` is answered at once

    def log_request(self, *_args: Any, **_keywords: Any) -> None: ...


def refuse_violations(call: Call, shape: Any) -> None:
    """Raises as AWS does when a parameter is missing, too long, too short, out of range, no enum value or no match."""
    found = list(_violations(shape, call.parameters, "")) if shape is not None else []
    if not found:
        return
    protocol = str(get_service_model(call.service).protocol)
    code = INVALID_CODES.get(call.service, "ValidationError" if protocol == "query" else "ValidationException")
    if len(found) == 1:
        raise ServiceError(code, f"1 validation error detected: {found[0]}")
    raise ServiceError(code, f"{len(found)} validation errors detected: {'; '.join(found)}")


def _refuse_answer(call: Call, model: Any, status: int, headers: Mapping[str, str], content: bytes) -> None:
    """Raises when a successful answer is not in the form of its model. `headers` are in lower case.

    It is logged, too: who calls may take the refusal for one of AWS, and swallow it.
    """
    if status >= 300 or model.output_shape is None or model.has_streaming_output:
        return
    protocol = determine_request_protocol(model.service_model, call.headers.get("Content-Type", ""))
    if found := answers.problems(model, protocol, status, headers, content):
        message = f"What the rehearsal answers to {call.service}:{call.operation} AWS would not: {'; '.join(found)}"
        logger.error(message)
        raise ServiceError("InternalFailure", message, 501)


def _in_lower_case(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_below(path, name)}' failed to satisfy constraint: Member must not be null"
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _violations(member, value[name], _below(path, name))
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _out_of_bounds(shape, len(value), value, path, "length")
        for index, item in enumerate(value):
            yield from _violations(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        yield from _out_of_bounds(shape, len(value), dict(value), path, "length")
        for key, item in value.items():
            yield from _violations(shape.value, item, _below(path, str(key)))
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text_violations(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"} and isinstance(value, int | float):
        yield from _out_of_bounds(shape, value, value, path, "value")


def _text_violations(shape: Any, value: str, path: str) -> Iterator[str]:
    failed = f"Value '{_short(value)}' at '{path}' failed to satisfy constraint: Member must satisfy"
    yield from _out_of_bounds(shape, len(value), value, path, "length")
    if shape.enum and value not in shape.enum:
        yield f"{failed} enum value set: [{', '.join(shape.enum)}]"
    if (pattern := shape.metadata.get("pattern")) and not _matches(pattern, value):
        yield f"{failed} regular expression pattern: {pattern}"


def _out_of_bounds(shape: Any, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    for bound, beyond, words in (
        ("max", size.__gt__, "less than or equal to"),
        ("min", size.__lt__, "greater than or equal to"),
    ):
        limit = shape.metadata.get(bound)
        if limit is not None and beyond(limit) is True:
            yield (
                f"Value '{_short(value)}' at '{path}' failed to satisfy constraint: "
                f"Member must have {what} {words} {limit}"
            )


def _below(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


@functools.lru_cache(maxsize=1000)
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # the models are written for Java
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def _read_body(environ: dict[str, Any]) -> bytes:
    """Takes the body off the connection and puts it back, so that it can be read twice."""
    stream = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = stream.read()
        del environ["HTTP_TRANSFER_ENCODING"]
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _read_request(environ: dict[str, Any], body: bytes) -> tuple[Call, Any] | None:
    """The request as a call, with the model of its operation; None if it is no AWS request that can be identified."""
    scope = re.search(
        r"Credential=[^/&]+(?:/|%2F)\d+(?:/|%2F)([^/%]+)(?:/|%2F)([^/%]+)(?:/|%2F)aws4_request",
        f"{environ.get('HTTP_AUTHORIZATION', '')} {environ.get('QUERY_STRING', '')}",
    )
    if scope is None:
        return None
    region, signing_name = scope[1], scope[2].lower()
    if signing_name == "elasticloadbalancing":
        service = "elb" if b"Version=2012-06-01" in body else "elbv2"
    elif signing_name == "s3" and environ["PATH_INFO"].startswith("/v20180820/"):
        service = "s3control"
    else:
        service = SERVICE_OF_SIGNING_NAME.get(signing_name, signing_name)
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    try:
        model = get_service_model(service)
        operation, path_parameters = get_service_router(service).match(request)
        parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)]
        parameters = parser(operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": body,
                "url_path": request.path,
                "url_params": path_parameters,
            }
        )
    # No such operation; a content type that the service does not speak; a protocol that moto does not parse, as CBOR.
    except (HTTPException, NotImplementedError, KeyError):
        return None
    return Call(service, operation.name, parameters or {}, UNKNOWN, region, dict(request.headers)), operation


def _serialize(call: Call, model: Any, result: Any) -> tuple[int, dict[str, str], bytes]:
    content_type = call.headers.get("Content-Type", "")
    protocol = determine_request_protocol(model.service_model, content_type)
    response = get_serializer_class(call.service, protocol)(model).serialize(result)
    body = response["body"] or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    headers = {str(name): str(value) for name, value in response["headers"].items()}
    headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
    headers["Content-Length"] = str(len(content))
    return int(response["status_code"]), headers, content


def _error_answer(call: Call, model: Any, error: ServiceException) -> Answer:
    status, headers, content = _serialize(call, model, error)
    return Answer(error.code, getattr(error, "status", None) or status, headers, content)


def _error_code(status: int, headers: Mapping[str, str], content: bytes) -> str:
    if name := headers.get("x-amzn-errortype"):
        return name.split(":")[0]
    text = content[:20000].decode("utf-8", "replace")
    found = re.search(r'"(?:__type|Code|code)"\s*:\s*"(?:[^"#]*#)?([^"]+)"', text) or re.search(
        r"<Code>([^<]+)</Code>", text
    )
    return found[1] if found else f"HTTP {status}"
