"""The clients of AWS services."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session

from benchwright.settings import settings

if TYPE_CHECKING:
    import boto3

_clients: dict[str, Any] = {}


@cache
def session() -> Session:
    """Return where all clients get credentials and models from. It is botocore's: boto3, which adds resources and
    transfers in threads that nothing here uses, would take an eighth more to import (docs/performance.md).
    """
    return Session()


def _client(service: str) -> Any:
    """Return the client of an AWS service, made once per process; botocore retries what is safe to retry."""
    if service not in _clients:
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 4},
            user_agent_extra=f"benchwright/{settings().version}",
        )
        _clients[service] = session().create_client(service, config=config)
    return _clients[service]


if TYPE_CHECKING:
    client = boto3.client  # its stubs know what each service's client takes and returns
else:
    client = _client
