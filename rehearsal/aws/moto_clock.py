"""moto, its interpreter of state machines and JSONata in the time of a clock, by what stands for `datetime`, `time` and
`threading` in their modules.
"""

import contextlib
import datetime as real_datetime
import functools
import importlib
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

from rehearsal.aws.clock import Clock


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


class TimedEvent(ClockEvent):
    """What a state waits for that has begun work of its own. Made and waited for inside `busy()`."""

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        return self._clock.sleep(timeout, self.is_set)


class Thread(threading.Thread):
    """A thread of an execution: it stays in the time in which that began, even when another clock is in force."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._clock = in_force()

    def run(self) -> None:
        _thread.clock = self._clock
        super().run()


class TimedThread(Thread):
    """A thread whose `join(timeout)` counts in AWS time. Started and joined inside `busy()`."""

    _ended = False

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._ended = True
            self._clock.wake()

    def join(self, timeout: float | None = None) -> None:
        if timeout is None or self._clock.sleep(timeout, lambda: self._ended):
            with self._clock.idle():
                super().join()


# moto is one per process, and so is the clock it reads: patches are made once and ask for the clock in force.
_in_force: Clock | None = None
_thread = threading.local()
_STATES = "moto.stepfunctions.parser.asl.component."


def in_force() -> Clock:
    """The clock that was installed last; in a thread of an execution the one in which that began."""
    clock: Clock | None = getattr(_thread, "clock", _in_force)
    if clock is None:
        raise RuntimeError("no clock is in force: call moto_clock.install(Clock(speed)) before moto is used")
    return clock


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
    # TimeoutSeconds. The one who began work counts as working until it waits, and again once the work is late. Else
    # time could run past the time-out before it waits, or past the end of the work before it says that that is late.
    state, program = _module(_STATES + "state.exec.execute_state"), _module(_STATES + "program.program")
    state.threading, state.Thread = _threading(Event=TimedEvent), Thread
    program.threading = _threading(Thread=TimedThread)
    _around(state.ExecutionState, "_evaluate_with_timeout", lambda: in_force().busy())
    _around(program.Program, "eval", lambda: in_force().busy())

    callback = _module(_STATES + "state.exec.state_task.service.state_task_service_callback")
    callback.threading = _threading(Thread=Thread)
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

    worker.Thread = Thread
    branch.threading = inline.threading = _threading(Thread=Thread)

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
