"""What AWS does in one piece and moto in two steps, between which another request may come."""

import functools
import threading
from typing import Any


def one_at_a_time(owner: type, *names: str) -> None:
    """Patch these methods of moto so that only one of them works at a time; moto is one per process, so once."""
    working = threading.RLock()
    for name in names:
        original = getattr(owner, name)
        if not hasattr(original, "one_at_a_time"):
            guarded = _guarded(original, working)
            guarded.one_at_a_time = True
            setattr(owner, name, guarded)


def _guarded(original: Any, working: threading.RLock) -> Any:
    @functools.wraps(original)
    def guarded(*arguments: Any, **keywords: Any) -> Any:
        with working:
            return original(*arguments, **keywords)

    return guarded
