"""What AWS worked at, from when to when: builds of images, change sets, operations on stacks, boots and commands."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One of them, in seconds of AWS time since the epoch. `subject` is the name of the recipe, stack, Auto Scaling
    group or document; `detail` the kind of operation on a stack, or the parameter Mode of a command.
    """

    kind: str
    subject: str
    detail: str
    begun: float
    ended: float


class Operations:
    """Those that have ended."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.ended: list[Operation] = []

    @contextlib.contextmanager
    def during(self, kind: str, subject: str, detail: str = "") -> Iterator[None]:
        """Note what is done inside, however it ends."""
        begun = self._now()
        try:
            yield
        finally:
            self.ended.append(Operation(kind, subject, detail, begun, self._now()))
