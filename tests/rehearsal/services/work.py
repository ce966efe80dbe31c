"""Background work of the services: what goes on in AWS after a call was answered.

The threads last as long as the process. That matters: a child process that asks to die with its parent dies with the
*thread* that started it, and the web server has one thread for each request.

A task holds the clock from its start to its end, and lets go of it with `clock.sleep()`, or `clock.idle()` while it
waits for another: so no time passes between two of its waits but what its real work takes.
"""

import logging
import queue
import threading
from collections.abc import Callable

from tests.rehearsal.clock import Clock

logger = logging.getLogger("rehearsal")

_tasks: queue.SimpleQueue[tuple[Clock, Callable[[], None]]] = queue.SimpleQueue()
_lock = threading.Lock()
_free = 0


def start(clock: Clock, task: Callable[[], None]) -> None:
    """Run the task on a lasting thread, at once. What it raises is logged: nobody waits for it."""
    global _free  # noqa: PLW0603 - one pool for the process
    clock.hold()
    with _lock:
        if _free:
            _free -= 1
        else:
            threading.Thread(target=_work, name="aws", daemon=True).start()
    _tasks.put((clock, task))


def _work() -> None:
    global _free  # noqa: PLW0603
    while True:
        clock, task = _tasks.get()
        try:
            task()
        except Exception:
            logger.exception("work in the background of the local AWS failed")
        finally:
            clock.release()
        with _lock:
            _free += 1
