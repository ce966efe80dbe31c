"""The Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

import http.server
import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.launcher import stop_serving


@dataclass(frozen=True)
class Outcome:
    """What an invocation answers: the payload, and `Unhandled` if it is an error."""

    payload: bytes
    error: str | None = None

    @classmethod
    def failed(cls, kind: str, message: str) -> "Outcome":
        return cls(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


class RuntimeApi:
    """The HTTP API that the runtime client of one function asks for events and gives its results to.

    `events` are (request id, payload, deadline in milliseconds); `ready` is set when the client asks for the first one.
    """

    def __init__(self, arn: str) -> None:
        self.events: queue.Queue[tuple[str, bytes, int]] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.ready = threading.Event()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_args: Any) -> None: ...

            def do_GET(self) -> None:
                api.ready.set()
                request, payload, deadline = api.events.get()
                self.answer(
                    200,
                    payload,
                    {
                        "Lambda-Runtime-Aws-Request-Id": request,
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Invoked-Function-Arn": arn,
                        "Lambda-Runtime-Trace-Id": _trace_id(),
                        "Content-Type": "application/json",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                api.outcomes.put(Outcome(body, None if self.path.endswith("/response") else "Unhandled"))
                self.answer(202, b"{}", {"Content-Type": "application/json"})

            def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        stop_serving(self._server)


def _trace_id() -> str:
    return f"Root=1-{int(time.time()):x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=1"
