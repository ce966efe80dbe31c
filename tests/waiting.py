"""Waiting for what other processes and threads do: for a condition, never for a time that should be enough."""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 120
"""Wall seconds after which a test fails. A loaded machine needs many times what an idle one needs, and only a test
that fails waits this long.
"""
PAUSE: Final = 0.02
"""Wall seconds between two looks."""


def until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE, pause: float = PAUSE) -> None:
    """Return when `condition()` is true. Raises AssertionError, which names `what` was waited for, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(pause)
