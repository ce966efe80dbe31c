"""The local AWS endpoint: moto's server, with operations added, requests checked and every call recorded.

Each request is read with botocore's own models before it is answered, so added operations receive parsed parameters
and return plain dictionaries, for every service and protocol alike, and limits of the models (length, pattern, enum)
are refused here as AWS refuses them, whoever answers. Each answer is read with them too: one that is not in the form of
its model is none.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import re
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from botocore import xform_name
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from rehearsal.aws import direct, moto_clock
from rehearsal.aws.calls import PROCEED, Call, Operation, Proceed, ServiceError
from rehearsal.aws.protocols import (
    UNKNOWN,
    Answer,
    error_answer,
    error_code,
    in_lower_case,
    read_body,
    read_request,
    serialize,
)
from rehearsal.aws.recorder import Identity, Recorder
from rehearsal.aws.request_checks import UNCHECKED, refuse_skew, refuse_violations
from rehearsal.aws.response_checks import refuse_answer

logger = logging.getLogger(__name__)


class Faults(Protocol):
    """What must fail in a rehearsal. `take` returns what to do, once, or None; `awaits`, whether any of a kind is to
    come; what `at_end` is given takes back a fault that lasts.

    Of a "call" it returns the error to answer with (`code`, and perhaps `message` and `status`), or `lost`: the
    connection breaks before the call takes effect ("request") or after it ("answer"); `with_it` then ends the caller.
    """

    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None: ...

    def awaits(self, kind: str) -> bool: ...

    def at_end(self, lift: Callable[[], None]) -> None: ...


class NoFaults:
    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        return None

    def awaits(self, kind: str) -> bool:
        return False

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

    def locked(self, backend: Any) -> Any:
        """A backend of moto for handlers that change what it holds: each of its methods takes the lock."""
        return _LockedBackend(backend, self.moto_lock)

    def add(self, service: str, operation: str, handler: Operation) -> None:
        """`service` and `operation` as botocore names them: add("ssm", "SendCommand", handler)."""
        get_service_model(service).operation_model(operation)  # a name that botocore does not know is a mistake here
        self._operations[service, operation] = handler

    def serve(
        self,
        service: str,
        *owners: object,
        within: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
        whole: bool = False,
    ) -> None:
        """`add` each method of the owners that has boto3's name of an operation of the service.

        Of a `whole` service moto answers nothing: an operation without a method is refused by name.
        """

        def handler(method: Operation, call: Call) -> Mapping[str, Any] | Proceed | None:
            with within():
                return method(call)

        for operation in get_service_model(service).operation_names:
            found = (getattr(owner, xform_name(operation), None) for owner in owners)
            method = next(filter(None, found), _refuse if whole else None)
            if method is not None:
                self.add(service, operation, functools.partial(handler, method))

    def listen(self, listener: socket.socket | tuple[str, int]) -> int:
        """Serves on an open, bound socket, or on an address; returns the port. Sockets stay the caller's to close."""
        if isinstance(listener, socket.socket):
            host, port = listener.getsockname()[:2]
            file_descriptor: int | None = listener.fileno()
        else:
            (host, port), file_descriptor = listener, None
        server = make_server(host, port, self._application, threaded=True, request_handler=_Handler, fd=file_descriptor)
        server.daemon_threads = True
        name, pause = f"aws-{host}:{server.port}", 0.05  # seconds after which it notices that it must stop
        thread = threading.Thread(target=server.serve_forever, args=(pause,), name=name, daemon=True)
        thread.start()
        self._listeners.append((server, thread))
        if host == "127.0.0.1":
            direct.SERVERS[os.getpid(), server.port] = server
        return server.port

    def stop(self) -> None:
        for server, thread in self._listeners:
            direct.SERVERS.pop((os.getpid(), server.port), None)
            server.shutdown()
            thread.join()
            server.server_close()
        self._listeners.clear()

    @functools.cached_property
    def _moto(self) -> DomainDispatcherApplication:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
        # Errors such as throttling are common to all services and stand in no service's model.
        warnings.filterwarnings("ignore", message=".*does not match an error shape", module="moto.core.serialize")
        return DomainDispatcherApplication(_moto_service)

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = read_body(environ)
        reading = read_request(environ, body)
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
                answer = error_answer(call, model, error)
            except Exception as error:
                logger.exception("moto failed in %s:%s", call.service, call.operation)
                missing = f"The rehearsal has no answer to {call.service}:{call.operation}: {error!r}"
                answer = error_answer(call, model, ServiceError("InternalFailure", missing, 501))
        start_response(f"{answer.status} {answer.outcome}", list(answer.headers.items()))
        self.recorder.record(call.identity, call.service, call.operation, call.parameters, answer.outcome, named=named)
        return [answer.content]

    def _answer(self, call: Call, model: Any, fault: Mapping[str, Any]) -> Answer | None:
        """The answer of a fault, a violated constraint or an added operation; None lets moto answer."""
        handler = self._operations.get((call.service, call.operation))
        try:
            if fault:
                message = fault.get("message", "A fault of the rehearsal.")
                return error_answer(call, model, ServiceError(fault["code"], message, fault.get("status")))
            refuse_skew(call, model)
            if call.service not in UNCHECKED:
                refuse_violations(call, model.input_shape)
            result = handler(call) if handler is not None else PROCEED
            if isinstance(result, Proceed):
                return None
            answer = Answer("ok", *serialize(call, model, result or {}))
            refuse_answer(call, model, answer.status, in_lower_case(answer.headers.items()), answer.content)
            return answer
        except ServiceException as error:
            return error_answer(call, model, error)
        except JsonRESTError as error:  # moto's own, out of an added operation
            return error_answer(call, model, ServiceError(error.error_type, error.message, error.code))
        except Exception as error:
            logger.exception("%s:%s failed", call.service, call.operation)
            failure = ServiceError("InternalFailure", f"The rehearsal failed: {error!r}", 501)
            return error_answer(call, model, failure)

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
        status, named_headers, outcome = int(line.split(maxsplit=1)[0]), in_lower_case(headers), "ok"
        if status >= 400 or not model.has_streaming_output:
            content = b"".join(chunks)
            chunks = [content]
            refuse_answer(call, model, status, named_headers, content)
            if status >= 500:
                logger.error("moto answered %s:%s with %s: %s", call.service, call.operation, line, content[:500])
            if status >= 400:
                outcome = error_code(status, named_headers, content)
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


@dataclass(frozen=True)
class _LockedBackend:
    """A backend of moto whose methods take moto's lock: a request that goes through a dictionary never sees it change
    its size. Attributes are moto's own.
    """

    _backend: Any
    _lock: threading.RLock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return found(*arguments, **named)

        return call


@functools.cache
def _moto_service(service: Any) -> Any:
    """moto's application of a service, which finds its account by each request: one for all servers of a process."""
    application = create_backend_app(service)
    moto_clock.patch_datetimes()  # moto loads a service at its first request
    return application


def _refuse(call: Call) -> NoReturn:
    raise LookupError(f"The rehearsal does not implement {call.service}:{call.operation}")


def _facts(call: Call) -> dict[str, Any]:
    """What a fault of a call is chosen by."""
    return {
        "service": call.service,
        "operation": call.operation,
        "caller": call.identity.caller,
        "call": call,
    }


def _hang_up(environ: Mapping[str, Any], fault: Mapping[str, Any]) -> NoReturn:
    """Break the connection without an answer."""
    fault.get("with_it", lambda: None)()
    with contextlib.suppress(OSError, KeyError):  # a call without a socket breaks by the error alone
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("a fault of the rehearsal")


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, and `Expect: 100-continue` is answered at once

    def log_request(self, *_args: Any, **_keywords: Any) -> None: ...
