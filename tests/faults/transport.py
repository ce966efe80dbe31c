"""Calls that the local AWS makes to itself, without a socket: half of all calls of a deployment.

Functions are processes of their own and call over HTTP.
"""

import io
import urllib.parse
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from rehearsal.aws.local_aws import LocalAws


class Body(io.BytesIO):
    """A response's body as urllib3 gives it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def install(aws: LocalAws) -> None:
    """Have botocore, in this process, hand its requests to the server as WSGI does."""

    def send(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        answered: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            answered["status"], answered["headers"] = int(status.split(maxsplit=1)[0]), HeadersDict(headers)

        try:
            content = b"".join(aws.server._application(environment(request), start))
        except ConnectionError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        return AWSResponse(request.url, answered["status"], answered["headers"], Body(content))

    URLLib3Session.send = send  # type: ignore[assignment, method-assign]


def environment(request: AWSPreparedRequest) -> dict[str, Any]:
    """A request as a WSGI server would hand it over."""
    url = urllib.parse.urlsplit(request.url)
    body = _bytes(request.body)
    headers = {_text(name): _text(value) for name, value in request.headers.items()}
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote(url.path or "/", "latin-1"),
        "RAW_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "REQUEST_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "QUERY_STRING": url.query,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        **named,
        "CONTENT_LENGTH": str(len(body)),
    }


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray)) else bytes(body.read())


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
