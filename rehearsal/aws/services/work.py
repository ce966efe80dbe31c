"""Background work of the services: what goes on in AWS after a call was answered.

The threads last as long as the process. That matters: a child process that asks to die with its parent dies with the
*thread* that started it, and the web server has one thread for each request. A thread stays in the namespaces in which
it was made, so an account in a network of its own has threads of its own.

A task holds the clock from its start to its end, and lets go of it with `clock.sleep()`, or `clock.idle()` while it
waits for another: so no time passes between two of its waits but what its real work takes.
"""

import collections
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from rehearsal.aws.clock import Clock

logger = logging.getLogger(__name__)


class Threads:
    """The threads of one network."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Clock, Callable[[], object]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0

    def take(self, clock: Clock, task: Callable[[], object]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                threading.Thread(target=self._work, name="aws", daemon=True).start()
        self._tasks.put((clock, task))

    def _work(self) -> None:
        while True:
            clock, task = self._tasks.get()
            try:
                task()
            except Exception:
                logger.exception("work in the background of the local AWS failed")
            finally:
                clock.release()
            with self._lock:
                self._free += 1


_threads: collections.defaultdict[tuple[int, ...], Threads] = collections.defaultdict(Threads)


def start(clock: Clock, task: Callable[[], object]) -> None:
    """Run the task on a lasting thread, at once. What it raises is logged: no one waits for it."""
    clock.hold()
    namespaces = tuple(Path(f"/proc/thread-self/ns/{kind}").stat().st_ino for kind in ("net", "mnt"))
    _threads[namespaces].take(clock, task)
