"""What a host knows about its surroundings, and the metadata service as its own commands ask it."""

from __future__ import annotations

import sys
from pathlib import Path

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from typing import Any

REHEARSAL = Path("/opt/rehearsal")
FAULTS = Path("/run/rehearsal-faults")
METADATA = "169.254.169.254"
SECONDS = 5


def surroundings() -> dict[str, Any]:
    """What `Hosts.boot` wrote: instance_id, endpoint, region, access_points, file_system_actions."""
    import json

    answer: dict[str, Any] = json.loads((REHEARSAL / "host" / "instance.json").read_text())
    return answer


def fault(word: str) -> bool:
    """Whether this rehearsal wants the thing of this name to go wrong on this host."""
    return (FAULTS / word).exists()


def clock_offset() -> float:
    """The seconds by which the clock of this host is fast."""
    try:
        return float((FAULTS / "clock").read_text())
    except OSError:
        return 0.0


def metadata(path: str) -> str:
    """What the instance metadata service says at `path`, by version 2 of its protocol. Raises OSError."""
    token = _ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return _ask("GET", path, {"X-aws-ec2-metadata-token": token})


def _ask(method: str, path: str, headers: dict[str, str]) -> str:
    from http.client import HTTPConnection  # most commands do not ask, and this costs more than all else that they do

    link = HTTPConnection(METADATA, timeout=SECONDS)
    try:
        link.request(method, f"/latest/{path}", headers=headers)
        response = link.getresponse()
        text = response.read().decode()
    finally:
        link.close()
    if response.status >= 400:
        raise OSError(f"HTTP Error {response.status}: {response.reason}")
    return text


def complain(message: str, code: int = 1) -> int:
    """Say what is wrong on standard error and give the exit code."""
    print(message, file=sys.stderr)
    return code
