"""The clients of AWS services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchwright.settings import settings

_clients: dict[str, Any] = {}


def _client(service: str) -> Any:
    """Return the client of an AWS service, made once per process; botocore retries what is safe to retry."""
    if service not in _clients:
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 4},
            user_agent_extra=f"benchwright/{settings().version}",
        )
        _clients[service] = boto3.client(service, config=config)  # type: ignore[call-overload]
    return _clients[service]


if TYPE_CHECKING:
    client = boto3.client  # its stubs know what each service's client takes and returns
else:
    client = _client
