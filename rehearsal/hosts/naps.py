"""Scripts that only wait on a host wait in AWS time: what sleeps does not work.

The `sleep` that such a script finds leaves the seconds in a file of its own and ends when it reads a line from a pipe
beside it. Whoever runs the script lets the time pass, and writes that line; meanwhile the script needs no processor. A
script that never ends costs no more than its time-out.
"""

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rehearsal.aws.clock import Clock

FOLDER: Final = Path("/opt/rehearsal/naps")
"""Where a host has the commands that wait in AWS time."""

COMMANDS: Final[Mapping[str, str]] = {
    "sleep": """#!/bin/sh
case $1 in infinity) ;; *[!0-9.]*) exec /usr/bin/sleep "$@" ;; esac
nap=$REHEARSAL_NAPS/$$
mkfifo "$nap.end"
exec 3<>"$nap.end"
echo "$1" >"$nap"
read -r _ <&3
""",
    # flock -w SECONDS DESCRIPTOR
    "flock": """#!/bin/sh
if [ "$1" != -w ]; then exec /usr/bin/flock "$@"; fi
looks=$(($2 * 2))
until /usr/bin/flock -n "$3"; do
  [ "$looks" -gt 0 ] || exit 1
  looks=$((looks - 1))
  sleep 0.5
done
""",
}
LOOK_SECONDS: Final = 0.02
"""Wall seconds between two looks whether a script sleeps."""


def variables(folder: Path, path: str) -> dict[str, str]:
    """The environment of a script whose naps are in `folder`, as the host sees it."""
    return {"PATH": f"{FOLDER}:{path}", "REHEARSAL_NAPS": str(folder)}


class Naps:
    """The naps of one script. `folder` is as this process sees it, and so is `processes`, the host's /proc."""

    def __init__(self, folder: Path, processes: Path, clock: Clock) -> None:
        self._folder = folder
        self._processes = processes
        self._clock = clock
        folder.mkdir()

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Wait until the script ends: False when AWS `seconds` are over before. The caller holds the clock, and one of
        its processors.
        """
        deadline = self._clock.now() + seconds
        with self._ending(process) as ended:
            while (left := deadline - self._clock.now()) > 0:
                nap = self._nap()
                if nap:
                    file, length = nap
                    with self._clock.no_processor():
                        self._clock.sleep(min(length, left), lambda: ended(0))
                    if length <= left:  # or the time-out would wake the script before it kills it
                        self._end(file)
                if ended(0 if nap else LOOK_SECONDS):
                    process.wait()
                    return True
        return False

    def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _nap(self) -> tuple[Path, float] | None:
        """The file of a command that sleeps, and has not been killed; and how long it sleeps."""
        with contextlib.suppress(FileNotFoundError):  # the host has ended
            for file in self._folder.iterdir():
                if not file.name.isdecimal():
                    continue
                if not (self._processes / file.name).exists():
                    self._forget(file)
                elif (text := file.read_text()).endswith("\n"):
                    return file, float(text)
        return None

    def _end(self, file: Path) -> None:
        """The pipe is open for reading as long as the command lives, which opened it before it left its file."""
        with contextlib.suppress(OSError):  # killed meanwhile, or the host has ended
            pipe = os.open(file.with_suffix(".end"), os.O_WRONLY | os.O_NONBLOCK)
            self._forget(file)
            os.write(pipe, b"\n")
            os.close(pipe)

    @staticmethod
    def _forget(file: Path) -> None:
        file.unlink(missing_ok=True)
        file.with_suffix(".end").unlink(missing_ok=True)

    @staticmethod
    @contextlib.contextmanager
    def _ending(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
        """A function that waits some wall seconds for the end of a process, and returns whether it came."""
        descriptor = os.pidfd_open(process.pid)
        try:
            yield lambda seconds: bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)
