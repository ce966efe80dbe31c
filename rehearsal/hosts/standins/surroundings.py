"""What a host knows about its surroundings, and the metadata service as its own commands ask it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from typing import Any

SURROUNDINGS = "/opt/rehearsal/host/instance.json"
FAULTS = "/run/rehearsal-faults"
METADATA = "169.254.169.254"
SECONDS = 5


def surroundings() -> dict[str, Any]:
    """What `Hosts.boot` wrote: instance_id, endpoint, region, access_points, file_system_actions."""
    import json

    answer: dict[str, Any] = json.loads(read(SURROUNDINGS))
    return answer


def fault(word: str) -> bool:
    """Whether this rehearsal wants the thing of this name to go wrong on this host."""
    return os.path.exists(f"{FAULTS}/{word}")


def clock_offset() -> float:
    """The seconds by which the clock of this host is fast."""
    try:
        return float(read(f"{FAULTS}/clock"))
    except OSError:
        return 0.0


def metadata(path: str) -> str:
    """What the instance metadata service says at `path`, by version 2 of its protocol. Raises OSError."""
    token = _ask("PUT", "api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "60"})
    return _ask("GET", path, {"x-aws-ec2-metadata-token": token})


def _ask(method: str, path: str, headers: dict[str, str]) -> str:
    status, reason, body = exchange((METADATA, 80), method, f"/latest/{path}", headers, seconds=SECONDS)
    if status >= 400:
        raise OSError(f"HTTP Error {status}: {reason}")
    return body.decode()


def exchange(
    server: tuple[str, int], method: str, path: str, headers: dict[str, str], body: bytes = b"", *, seconds: float
) -> tuple[int, str, bytes]:
    """Status, reason and body of the answer to one request; header names are in small letters. Raises OSError.

    By HTTP/1.0, where an answer ends as the server hangs up (RFC 1945, 7.2.2): to import http.client costs more than
    all else that a command of a node does.
    """
    import socket

    host, port = server
    own = {"host": f"{host}:{port}", **headers, **({"content-length": str(len(body))} if body else {})}
    lines = [f"{method} {path} HTTP/1.0", *(f"{name}: {value}" for name, value in own.items()), "", ""]
    with socket.create_connection(server, seconds) as link, link.makefile("rb") as answer:
        link.sendall("\r\n".join(lines).encode("latin-1") + body)
        head, ended, content = answer.read().partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    if not ended or int(fields.get("content-length", len(content))) != len(content) or "transfer-encoding" in fields:
        raise OSError(f"the answer of {host} is not complete")
    _, status, reason = first.split(" ", 2)
    return int(status), reason, content


def complain(message: str, code: int = 1) -> int:
    """Say what is wrong on standard error and give the exit code."""
    print(message, file=sys.stderr)
    return code


def read(path: str) -> str:
    """The text of a file: pathlib would take longer to import than most commands of a node run."""
    with open(path) as file:
        return file.read()


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def names_in(folder: str, end: str = "") -> list[str]:
    """The names in a folder that end so, in their order; none where there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(end))
    except FileNotFoundError:
        return []
