"""`curl`, for machines that have none: the options that scripts of a node use, and curl's exit codes."""

import getopt
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from .surroundings import complain

LONG = (
    "fail silent show-error location output= request= header= max-time= connect-timeout= head write-out= interface= "
    "retry= retry-delay= retry-max-time= retry-connrefused retry-all-errors resolve="
)
COULD_NOT_RESOLVE, COULD_NOT_CONNECT, HTTP_ERROR, TIMED_OUT, BAD_CERTIFICATE = 6, 7, 22, 28, 60
FIRST_DELAY, LONGEST_DELAY = 1, 600


def main(arguments: list[str]) -> int:
    """One address per call; --retry as curl does it, which counts 4xx as an error to repeat only with
    --retry-all-errors.
    """
    given, urls = getopt.gnu_getopt(arguments[1:], "fsSLIo:X:H:m:w:", LONG.split())
    options = dict(given)
    began = time.monotonic()
    delay = float(options.get("--retry-delay") or FIRST_DELAY)
    for left in reversed(range(int(options.get("--retry") or 0) + 1)):
        code = _attempt(given, urls)
        again = code == TIMED_OUT or (code == COULD_NOT_CONNECT and "--retry-connrefused" in options)
        if not left or not (again or (code and "--retry-all-errors" in options)):
            break
        if "--retry-max-time" in options and time.monotonic() - began + delay > float(options["--retry-max-time"]):
            break
        time.sleep(delay)
        if "--retry-delay" not in options:
            delay = min(2 * delay, LONGEST_DELAY)
    return code


def _attempt(given: list[tuple[str, str]], urls: list[str]) -> int:
    options = dict(given)
    headers = dict(value.split(": ", 1) for name, value in given if name in {"-H", "--header"})
    method = options.get("-X") or options.get("--request") or ("HEAD" if {"-I", "--head"} & options.keys() else "GET")
    seconds = float(options.get("-m") or options.get("--max-time") or options.get("--connect-timeout") or 300)
    silent = {"-s", "--silent"} & options.keys() and not {"-S", "--show-error"} & options.keys()
    opener = _opener(given, urls[0])
    redirected = ""

    def fail(code: int, message: str) -> int:
        return code if silent else complain(f"curl: ({code}) {message}", code)

    try:
        request = urllib.request.Request(urls[0], method=method, headers=headers)
        with opener.open(request, timeout=seconds) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
        redirected = urllib.parse.urljoin(urls[0], error.headers["Location"]) if "Location" in error.headers else ""
        if status >= 400 and {"-f", "--fail"} & options.keys():
            return fail(HTTP_ERROR, f"The requested URL returned error: {status}")
    except TimeoutError:
        return fail(TIMED_OUT, "Operation timed out")
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            return fail(COULD_NOT_RESOLVE, f"Could not resolve host: {urls[0].split('/')[2]}")
        if isinstance(error.reason, ssl.SSLError):
            return fail(BAD_CERTIFICATE, f"SSL certificate problem: {error.reason}")
        if isinstance(error.reason, TimeoutError):
            return fail(TIMED_OUT, "Connection timed out")
        return fail(COULD_NOT_CONNECT, f"Failed to connect to {urls[0].split('/')[2]}: {error.reason}")
    target = options.get("-o") or options.get("--output")
    if target:
        Path(target).write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
    if template := options.get("-w") or options.get("--write-out"):
        words = {"%{http_code}": str(status), "%{redirect_url}": redirected, "\\n": "\n"}
        for word, text in words.items():
            template = template.replace(word, text)
        sys.stdout.write(template)
    return 0


def _opener(given: list[tuple[str, str]], url: str) -> urllib.request.OpenerDirector:
    """What asks as the options say: by which device, where, and whether it goes on where an answer leads elsewhere.

    The authorities are read only where they may matter: it takes as long as all the rest, and a node asks its metadata
    service hundreds of times.
    """
    options = dict(given)
    if device := options.get("--interface"):
        socket.create_connection = partial(_through, device)  # where http.client takes its own from
    if places := [value for name, value in given if name == "--resolve"]:
        socket.getaddrinfo = partial(_resolved, socket.getaddrinfo, places)
    follow = bool({"-L", "--location"} & options.keys())
    if follow or not url.startswith("http:"):
        trust = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    else:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no one
    handlers = [] if follow else [_NoRedirect]
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust), *handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Without --location, an answer that leads elsewhere is the answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _resolved(ask: Any, places: list[str], host: str, port: Any, *more: Any, **named: Any) -> Any:
    """What a name resolves to, where --resolve HOST:PORT:ADDRESS says it."""
    for place in places:
        name, its_port, address = place.split(":", 2)
        if (name, its_port) == (host, str(port)):
            host = address
    return ask(host, port, *more, **named)


def _through(device: str, address: tuple[str, int], timeout: Any = None, *_: Any, **__: Any) -> socket.socket:
    """A connection whose socket is bound to a device, which no privilege is needed for."""
    client = socket.socket()
    try:
        client.settimeout(timeout)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        client.connect(address)
    except OSError:
        client.close()
        raise
    return client
