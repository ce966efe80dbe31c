"""Background work of the local AWS: on threads that last, each in the network of who starts it."""

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.services import work
from tests.waiting import PATIENCE, until


def done() -> tuple[int, int]:
    """The thread on which a task runs, and its network."""
    found: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    work.start(Clock(), lambda: found.put((threading.get_native_id(), network())))
    return found.get(timeout=PATIENCE)


def network() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@contextlib.contextmanager
def another_network() -> Iterator[None]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    os.unshare(os.CLONE_NEWNET)
    try:
        yield
    finally:
        os.setns(before, os.CLONE_NEWNET)
        os.close(before)


def test_a_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    work.start(Clock(), lambda: 1 // 0)
    until(lambda: "ZeroDivisionError" in caplog.text, "the log")


def test_a_thread_outlives_its_tasks() -> None:
    thread, _ = done()
    assert done() and thread in {each.native_id for each in threading.enumerate()}


@pytest.mark.root
def test_a_task_runs_in_the_network_of_who_starts_it() -> None:
    here = done()
    assert here[1] == network()
    with another_network():
        there = done()
        assert there[1] == network() != here[1]
    assert done()[1] == here[1]
