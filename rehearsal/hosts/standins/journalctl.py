"""`journalctl -u UNIT [-n LINES]`: the last lines of what a unit printed."""

import os
import sys

from . import systemd
from .surroundings import read


def main(arguments: list[str]) -> int:
    """Other options do not change what is shown."""
    words = iter(arguments[1:])
    units: list[str] = []
    count = 1000
    for word in words:
        if word in {"-u", "--unit", "-xeu"}:
            units.append(next(words, ""))
        elif word.startswith("--unit="):
            units.append(word.removeprefix("--unit="))
        elif word in {"-n", "--lines"}:
            count = int(next(words, "10"))
    journals = [f"{systemd.JOURNAL}/{systemd.full_name(unit)}.log" for unit in units]
    lines = [line for journal in journals if os.path.exists(journal) for line in read(journal).splitlines()]
    sys.stdout.write("".join(f"{line}\n" for line in lines[-count:] or ["-- No entries --"]))
    return 0
