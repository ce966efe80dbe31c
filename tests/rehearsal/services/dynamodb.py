"""DynamoDB: one write of an item at a time, since a conditional write looks and writes at once.

moto does it in two steps, between which another request may write: then two would hold a lock that only one can hold.
"""

import functools
import threading
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

from tests.rehearsal.aws import LocalAws

WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")
_writing = threading.RLock()


def install(_aws: LocalAws) -> None:
    """Patch moto once: it is one per process."""
    for name in WRITES:
        original = getattr(DynamoDBBackend, name)
        if not hasattr(original, "__wrapped__"):
            setattr(DynamoDBBackend, name, _one_at_a_time(original))


def _one_at_a_time(original: Any) -> Any:
    @functools.wraps(original)
    def write(*arguments: Any, **keywords: Any) -> Any:
        with _writing:
            return original(*arguments, **keywords)

    return write
