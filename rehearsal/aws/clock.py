"""AWS time: how long things would have taken in an account, while nothing here waits that long.

The clock runs `speed` times faster than the wall as long as someone waits and no one works. While something real is at
work (a function, a node's script, the interpreter between two states) it runs at the speed of the wall, so that real
work is never counted many times over. So it does while no one waits for anything: a local AWS that is left alone over
night is a night older, not a season. With an infinite speed it jumps to the next moment someone waits for: waiting
costs nothing.

Machines of an account each have processors of their own; here they share those of this machine. So only as many work at
once as it has processors, and while others wait for one, time runs as much slower as more want to work than can.

Rules for who uses it: real work runs inside `busy()`, every AWS duration is a `wait()`, or a `sleep()` inside `busy()`.
What a machine of the account computes runs inside `processor()`, too.
"""

import contextlib
import datetime as real_datetime
import functools
import importlib
import math
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

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
        self._waiters: list[_Waiter] = []
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

    def hold(self) -> None:
        """The beginning of `busy()`, where begin and end are in different threads."""
        self._count(+1)

    def release(self) -> None:
        """The end of what `hold()` began."""
        self._count(-1)

    def processor(self) -> AbstractContextManager[None]:
        """Inside `busy()`: a machine of the account computes. Waits, in the order of arrival, until few others do."""
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

    def sleep(self, seconds: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """`wait()` inside `busy()`: this worker does not count as long as it sleeps."""
        with self._changed:
            self._count(-1)
            try:
                return self._wait(seconds, stop, and_then=functools.partial(self._count, +1))
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
    def _working_speed(self) -> float:
        """Every machine that wants to compute gets its share of the processors, and takes so much longer."""
        return self._processors / (self._processors + self._queued)

    def _tick(self) -> float:
        wall = time.monotonic()
        if self._workers > 0:
            speed = self._working_speed
        else:
            speed = 1 if not self._waiters else 0 if math.isinf(self.speed) else self.speed
        self._aws += (wall - self._wall) * speed
        self._wall = wall
        return self._aws

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

    def _wait(self, seconds: float, stop: Callable[[], bool], and_then: Callable[[], None] = lambda: None) -> bool:
        waiter = _Waiter(self._tick() + seconds)
        self._waiters.append(waiter)
        try:
            while not (stopped := self._asked(waiter, stop)):
                left = waiter.deadline - self._tick()
                if left <= 0:
                    break
                self._changed.wait(self._until_next_look(left))
        finally:
            self._tick()
            self._waiters.remove(waiter)
        and_then()
        return stopped

    def _asked(self, waiter: "_Waiter", stop: Callable[[], bool]) -> bool:
        waiter.asked = self._wakes
        return stop()

    def _until_next_look(self, left: float) -> float:
        """Wall seconds after which a waiter looks at the time again; with infinite speed also the place of the jump."""
        if self._workers > 0:
            return min(left / self._working_speed + 1e-4, 3600)
        if not math.isinf(self.speed):
            return min(left / self.speed + 1e-4, 3600)
        quiet = self._wall - self._quiet_since
        if quiet < QUIET_SECONDS:
            return QUIET_SECONDS - quiet + 1e-4
        # Who was woken by the last jump, or by `wake()`, and has not run yet is in the list: no one jumps past it.
        if any(waiter.asked != self._wakes for waiter in self._waiters):
            return QUIET_SECONDS
        earliest = min(waiter.deadline for waiter in self._waiters)
        if earliest > self._aws:
            self._aws = earliest
            self._quiet_since = self._wall
            self._changed.notify_all()
            return 0
        return QUIET_SECONDS


class ClockEvent(threading.Event):
    """An event whose time-out is AWS time. Made by code that is patched, so it takes the clock in force."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = in_force()

    def set(self) -> None:
        super().set()
        self._clock.wake()

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait() if timeout is None else self._clock.wait(timeout, self.is_set)


class HandOver(threading.Event):
    """What a Parallel or Map waits for: who sets it hands its place among the workers to the one who waited.

    Without that, time would run fast between the end of the last branch and the moment its parent goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._clock = in_force()
        self._once = threading.Lock()

    def set(self) -> None:
        if self._once.acquire(blocking=False):
            self._clock.hold()
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.release()
        return super().wait(timeout)


class ClockThread(threading.Thread):
    """A thread whose `join(timeout)` counts in AWS time."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._clock = in_force()
        self._ended = False

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._ended = True
            self._clock.wake()

    def join(self, timeout: float | None = None) -> None:
        if timeout is not None:
            self._clock.wait(timeout, lambda: self._ended)
            if not self._ended:
                return
        super().join()


# moto is one per process, and so is the clock it reads: patches are made once and ask for the clock in force.
_in_force: Clock | None = None
_STATES = "moto.stepfunctions.parser.asl.component."


def in_force() -> Clock:
    if _in_force is None:
        raise RuntimeError("no clock is in force: call clock.install(Clock(speed)) before moto is used")
    return _in_force


def install(clock: Clock) -> None:
    """Makes moto, its interpreter of state machines and JSONata live in this clock's time."""
    global _in_force  # noqa: PLW0603 - moto is one per process
    first = _in_force is None
    _in_force = clock
    if first:
        _patch_interpreter()
        _patch_jsonata()
    patch_datetimes()


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _patch_interpreter() -> None:
    """Every line of control of an execution works, except while it waits: Wait, a retry's interval, its branches."""
    wait = _module(_STATES + "state.wait.wait_function.wait_function")
    wait.WaitFunction._wait_interval = lambda _self, env, wait_seconds: in_force().sleep(
        wait_seconds, lambda: not env.is_running()
    )
    sleep = types.SimpleNamespace(sleep=lambda seconds: in_force().sleep(seconds))
    _module(_STATES + "common.retry.retrier_decl").time = sleep
    _module(_STATES + "state.exec.execute_state").threading = _threading(Event=ClockEvent)  # TimeoutSeconds of a state
    _module(_STATES + "program.program").threading = _threading(Thread=ClockThread)  # TimeoutSeconds of the machine

    callback = _module(_STATES + "state.exec.state_task.service.state_task_service_callback")
    callback.time = types.SimpleNamespace(sleep=lambda _seconds: in_force().sleep(1))  # the poll of .sync
    _module("moto.stepfunctions.parser.asl.eval.callback.callback").Event = ClockEvent
    _around(callback.StateTaskServiceCallback, "_eval_wait_for_task_token", lambda: in_force().idle())

    _patch_branches()
    environment = _module("moto.stepfunctions.parser.asl.eval.environment").Environment
    for change in ("set_ended", "set_error", "set_timed_out", "set_stop"):
        _after(environment, change, lambda: in_force().wake())


def _patch_branches() -> None:
    """Executions, branches and iterations hold the clock from their start to their end; who waits for them does not."""
    worker = _module("moto.stepfunctions.parser.backend.execution_worker")
    branches = _module(_STATES + "state.exec.state_parallel.branches_decl")
    branch = _module(_STATES + "state.exec.state_parallel.branch_worker")
    job = _module(_STATES + "state.exec.state_map.iteration.job")
    iteration = _module(_STATES + "state.exec.state_map.iteration.iteration_worker")
    inline = _module(_STATES + "state.exec.state_map.iteration.inline_iteration_component")

    def hold() -> None:
        in_force().hold()

    def release() -> None:
        in_force().release()

    _before(worker.ExecutionWorker, "start", hold)
    _before(worker.SyncExecutionWorker, "start", hold)
    _after(worker.ExecutionWorker, "_execution_logic", release)
    _before(branch.BranchWorker, "start", hold)
    _after(branch.BranchWorker, "_thread_routine", release)
    _before(inline.InlineIterationComponent, "_launch_worker", hold)
    _after(iteration.IterationWorker, "eval", release)
    branches.threading = _threading(Event=HandOver)
    job.threading = _threading(Event=HandOver)
    # moto asks first whether all is done; then the hand-over would have a giver and no taker.
    job.JobPool.await_jobs = lambda self: self._termination_event.wait() if self._jobs_number else None


def _threading(**replacements: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{**vars(threading), **replacements})


def _before(owner: type, name: str, action: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*args: Any, **keywords: Any) -> Any:
        action()
        return original(*args, **keywords)

    setattr(owner, name, method)


def _after(owner: type, name: str, action: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*args: Any, **keywords: Any) -> Any:
        try:
            return original(*args, **keywords)
        finally:
            action()

    setattr(owner, name, method)


def _around(owner: type, name: str, manager: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*args: Any, **keywords: Any) -> Any:
        with manager():
            return original(*args, **keywords)

    setattr(owner, name, method)


def _patch_jsonata() -> None:
    timebox = _module("jsonata.timebox")
    timebox.Timebox.current_milli_time = staticmethod(lambda: round(in_force().now() * 1000))


class _IsADatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real_datetime.datetime)


class AwsDatetime(real_datetime.datetime, metaclass=_IsADatetime):
    """What moto's modules know as `datetime`: its now is the clock's."""

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> real_datetime.datetime:  # type: ignore[override]
        return real_datetime.datetime.fromtimestamp(in_force().now(), tz)

    @classmethod
    def utcnow(cls) -> real_datetime.datetime:  # type: ignore[override]
        return real_datetime.datetime.fromtimestamp(in_force().now(), real_datetime.UTC).replace(tzinfo=None)


_AWS_DATETIME_MODULE = types.ModuleType("datetime")
vars(_AWS_DATETIME_MODULE).update({**vars(real_datetime), "datetime": AwsDatetime})
_AWS_TIME_MODULE = types.ModuleType("time")
vars(_AWS_TIME_MODULE).update({**vars(time), "time": lambda: in_force().now()})


def patch_datetimes() -> None:
    """Puts AWS time behind `datetime`, `utcnow` and `time.time` in each moto module loaded so far; cheap to repeat."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("moto.") or module is None:
            continue
        for key, value in list(vars(module).items()):
            if value is real_datetime:
                setattr(module, key, _AWS_DATETIME_MODULE)
            elif value is time:
                setattr(module, key, _AWS_TIME_MODULE)
            elif value is real_datetime.datetime:
                setattr(module, key, AwsDatetime)
            elif key == "utcnow" and callable(value):
                setattr(module, key, AwsDatetime.utcnow)
