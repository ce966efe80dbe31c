"""Calls of this process to a local AWS of this process, without a connection, which is half of what a call costs.

What botocore signed is read as the server reads it from a connection, and botocore parses the bytes of the answer.
Functions, nodes and commands are processes of their own and call over HTTP.
"""

import io
import os
from http.client import HTTPMessage
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import MockRawResponse
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer

SERVERS: dict[tuple[int, int], BaseWSGIServer] = {}
"""Those on the loopback, by process and port: threads that serve do not survive a fork."""


def send(session: URLLib3Session, request: AWSPreparedRequest, connect: Any = URLLib3Session.send) -> AWSResponse:
    """What botocore does with each request: answered here if it is for a server of this process, else over HTTP."""
    url = urlsplit(request.url)
    server = SERVERS.get((os.getpid(), url.port or 80)) if url.hostname in {"localhost", "127.0.0.1"} else None
    if server is None:
        return connect(session, request)
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    environ = DirectRequest(server, request, url.netloc).make_environ()
    del environ["werkzeug.socket"]
    try:
        content = b"".join(server.app(environ, lambda status, headers, _error=None: begun.append((status, headers))))
    except ConnectionError as error:
        raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
    status, headers = begun[-1]
    named: Any = dict(headers)
    return AWSResponse(request.url, int(status.split(maxsplit=1)[0]), named, MockRawResponse(content))


URLLib3Session.send = send  # type: ignore[method-assign, assignment]


class DirectRequest(MotoRequestHandler):
    """A request as the server has it once it was read from a connection."""

    def __init__(self, server: BaseWSGIServer, request: AWSPreparedRequest, host: str) -> None:
        body: Any = request.body or b""
        content = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else bytes(body)
        self.server, self.connection, self.client_address = server, None, ("127.0.0.1", 0)
        self.command, self.request_version = request.method, "HTTP/1.1"
        self.path = request.url.partition(host)[2] or "/"
        self.rfile = io.BytesIO(content)
        self.headers = HTTPMessage()
        given = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        for name, value in ({"Host": host} | given).items():
            if name.lower() not in {"content-length", "transfer-encoding"}:
                self.headers[name] = value
        self.headers["Content-Length"] = str(len(content))
