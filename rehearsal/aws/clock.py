"""AWS time: how long things would have taken in an account, while nothing here waits that long.

The clock runs `speed` times faster than the wall as long as someone waits and no one works. While something real is at
work (a function, a node's script, the interpreter between two states) it runs at the speed of the wall, so that real
work is never counted many times over. So it does while no one waits for anything: a local AWS that is left alone over
night is a night older, not a season. With an infinite speed it jumps to the next moment someone waits for: waiting
costs nothing.

Machines of an account each have processors of their own; here they share those of this machine. So only as many work at
once as it has processors, and while others wait for one, time runs as much slower as more want to work than can.

Rules for who uses it: real work runs inside `busy()`, every AWS duration is a `wait()`, or a `sleep()` inside `busy()`.
What a machine of the account computes runs inside `processor()`, too. Work of which is known how long it takes in an
account runs inside `within()`: it counts as so many seconds, or as long as it takes here if that is longer.
"""

import contextlib
import datetime as real_datetime
import functools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

HURRY: Final = 1000
"""AWS seconds per second of the wall while something is installed that no one watches."""

# Threads hand over to one another within this time; only after it is everyone known to wait (infinite speed only).
QUIET_SECONDS = 0.004


@contextlib.contextmanager
def _between(begin: Callable[[], object], end: Callable[[], object]) -> Iterator[None]:
    begin()
    try:
        yield
    finally:
        end()


@dataclass(eq=False)
class _Waiter:
    deadline: float
    patient: bool = False
    """Whether time runs as it does without it."""
    asked: int = -1
    """The number of the last `wake()` after which its `stop()` was asked."""


class Clock:
    """AWS time in seconds since the epoch. `speed` may be `math.inf`."""

    def __init__(self, speed: float = 60, processors: int | None = None) -> None:
        """`processors`: how many machines of the account work at once; without it, as many as this process may use."""
        if not speed >= 1:
            raise ValueError(f"speed is {speed}; it must be at least 1")
        self.speed = float(speed)
        self._processors = processors or max(2, os.process_cpu_count() or 2)
        self._free = threading.Semaphore(self._processors)
        self._queued = 0
        self._changed = threading.Condition()
        self._workers = 0
        self._due: list[float] = []  # when the work inside each `within()` is done in an account
        self._waiters: list[_Waiter] = []
        self._hurried = 0  # those for whom time runs fast
        self._wakes = 0
        self._aws = time.time()
        self._wall = self._quiet_since = time.monotonic()

    def now(self) -> float:
        with self._changed:
            return self._tick()

    def datetime(self) -> real_datetime.datetime:
        return real_datetime.datetime.fromtimestamp(self.now(), real_datetime.UTC)

    def busy(self) -> AbstractContextManager[None]:
        """Something real is at work here."""
        return _between(self.hold, self.release)

    def idle(self) -> AbstractContextManager[None]:
        """Inside `busy()`: another works, this one only waits for it."""
        return _between(self.release, self.hold)

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Inside `busy()`: real work that an account does in so many seconds. Until then time runs as if it were not
        there, and then with the wall until it is done. It must not `sleep()`.
        """
        with self._changed:
            due = self._tick() + seconds
            self._due.append(due)
            self._count(-1)
        try:
            yield
        finally:
            with self._changed:
                self._count(+1)
                self._due.remove(due)

    def hold(self) -> None:
        """The beginning of `busy()`, where begin and end are in different threads."""
        self._count(+1)

    def release(self) -> None:
        """The end of what `hold()` began."""
        self._count(-1)

    def processor(self) -> AbstractContextManager[None]:
        """Inside `busy()`: a machine of the account computes. Waits until fewer others do than there are processors."""
        return _between(self._take_processor, self._free.release)

    def no_processor(self) -> AbstractContextManager[None]:
        """Inside `processor()`: this machine only waits; another may compute meanwhile."""
        return _between(self._free.release, self._take_processor)

    @contextlib.contextmanager
    def at_speed(self, speed: float) -> Iterator[None]:
        """Another speed for a while: of what a person is made to wait for before anything can be looked at."""
        before = self._change_speed(speed)
        try:
            yield
        finally:
            self._change_speed(before)

    def wait(self, seconds: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """Waits AWS seconds; returns True if `stop()` ended it early (it is asked after every `wake()`)."""
        with self._changed:
            return self._wait(seconds, stop)

    def sleep(self, seconds: float, stop: Callable[[], bool] = lambda: False, *, patient: bool = False) -> bool:
        """`wait()` inside `busy()`: this worker does not count as long as it sleeps.

        `patient`: what goes on for as long as the account does, such as a health check. It gets its turn at its moment,
        and time does not run fast for it alone.
        """
        with self._changed:
            self._count(-1)
            try:
                return self._wait(seconds, stop, and_then=functools.partial(self._count, +1), patient=patient)
            except BaseException:
                self._count(+1)
                raise

    def wake(self) -> None:
        """Lets every waiter ask its `stop()` again."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def _take_processor(self) -> None:
        if self._free.acquire(blocking=False):
            return
        self._queue(+1)
        try:
            self._free.acquire()
        finally:
            self._queue(-1)

    def _queue(self, change: int) -> None:
        with self._changed:
            self._tick()
            self._queued += change
            self._changed.notify_all()

    @property
    def _rate(self) -> float:
        """AWS seconds in a second of the wall; 0 where the clock jumps."""
        if self._workers > 0 or any(due <= self._aws for due in self._due):
            # Every machine that wants to compute gets its share of the processors, and takes so much longer.
            return self._processors / (self._processors + self._queued)
        if not self._hurried:
            return 1
        return 0 if math.isinf(self.speed) else self.speed

    def _tick(self) -> float:
        wall = time.monotonic()
        left, self._wall = wall - self._wall, wall
        while (due := self._next_due) < self._aws + left * self._rate:
            left -= (due - self._aws) / self._rate
            self._aws = due  # from here on with the wall
        self._aws += left * self._rate
        return self._aws

    @property
    def _next_due(self) -> float:
        return min((due for due in self._due if due > self._aws), default=math.inf)

    def _change_speed(self, speed: float) -> float:
        with self._changed:
            self._tick()
            before, self.speed = self.speed, speed
            self._changed.notify_all()
            return before

    def _count(self, change: int) -> None:
        with self._changed:
            self._tick()
            self._workers += change
            self._quiet_since = self._wall
            self._changed.notify_all()

    def _wait(
        self,
        seconds: float,
        stop: Callable[[], bool],
        and_then: Callable[[], None] = lambda: None,
        *,
        patient: bool = False,
    ) -> bool:
        waiter = _Waiter(self._tick() + seconds, patient)
        self._waiters.append(waiter)
        if not patient:
            self._hurried += 1
            if self._hurried == 1:  # time runs faster now than those who wait patiently know
                self._changed.notify_all()
        try:
            while not (stopped := self._asked(waiter, stop)):
                left = waiter.deadline - self._tick()
                if left <= 0:
                    break
                self._changed.wait(self._until_next_look(left))
        finally:
            self._tick()
            self._waiters.remove(waiter)
            self._hurried -= not patient
        and_then()
        return stopped

    def _asked(self, waiter: "_Waiter", stop: Callable[[], bool]) -> bool:
        waiter.asked = self._wakes
        return stop()

    def _until_next_look(self, left: float) -> float:
        """Wall seconds after which a waiter looks at the time again; with infinite speed also the place of the jump."""
        if rate := self._rate:
            return min(left / rate + 1e-4, 3600)
        quiet = self._wall - self._quiet_since
        if quiet < QUIET_SECONDS:
            return QUIET_SECONDS - quiet + 1e-4
        # Who was woken by the last jump, or by `wake()`, and has not run yet is in the list: no one jumps past it.
        if any(waiter.asked != self._wakes for waiter in self._waiters):
            return QUIET_SECONDS
        earliest = min(self._next_due, *(waiter.deadline for waiter in self._waiters))
        if earliest > self._aws:
            self._aws = earliest
            self._quiet_since = self._wall
            self._changed.notify_all()
            return 0
        return QUIET_SECONDS
