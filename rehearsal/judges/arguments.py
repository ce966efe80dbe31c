"""Watches the arguments of all processes: any user of a machine can read them in /proc.

A process of its own looks at /proc over and over, so that the local AWS does not slow it down. A process that lives for
less than a round (some milliseconds) may be missed: the watch is a net, not a proof.
"""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Self

PAUSE: Final = 0.002
YOUNG: Final = 100
"""Rounds in which a new process is looked at each time: it is a copy of its parent until it executes a program."""
OFTEN: Final = 50
"""Rounds between two looks at an older one, which seldom executes another program."""
SEPARATOR: Final = b"\n\0\n"
SECONDS_TO_START: Final = 60


class ArgumentWatch:
    """A context: what ran between its begin and its end is in `places()` afterwards."""

    def __init__(self) -> None:
        self._seen: list[bytes] = []

    def __enter__(self) -> Self:
        self._file: IO[bytes] = tempfile.TemporaryFile()
        self._watcher = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=self._file, start_new_session=True
        )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self.rounds:
            assert self._watcher.poll() is None and time.monotonic() < deadline, "the watch of arguments does not start"
            time.sleep(PAUSE)
        return self

    @property
    def rounds(self) -> int:
        """How often it has looked at every process."""
        return os.fstat(self._file.fileno()).st_size

    def __exit__(self, *_: object) -> None:
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(timeout=30)
        self._file.seek(0)
        self._seen = self._file.read().split(SEPARATOR)
        self._file.close()

    def places(self) -> Iterator[tuple[str, bytes]]:
        """The argument lists seen, one place each."""
        for arguments in filter(None, self._seen):
            command = arguments.split(b"\0", 1)[0].decode(errors="replace")
            yield f"arguments of {command}", arguments.replace(b"\0", b" ")


def watch() -> None:
    """Look until standard input ends, writing a sign for each round; then write every argument list instead."""
    seen: set[bytes] = set()
    ages: dict[str, int] = {}
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        ages = {name: ages.get(name, -1) + 1 for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208
        for name, age in ages.items():
            if age < YOUNG or age % OFTEN == 0:
                with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:  # noqa: PTH123
                    seen.add(file.read())
        os.write(1, b".")
    Path("/dev/stdout").write_bytes(SEPARATOR.join(sorted(seen)))


if __name__ == "__main__":
    watch()
