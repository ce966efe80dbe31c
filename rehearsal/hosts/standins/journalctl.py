"""`journalctl -u UNIT [-n LINES]`: the last lines of what a unit printed."""

import sys

from . import systemd


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
    journals = [systemd.JOURNAL / f"{systemd.full_name(unit)}.log" for unit in units]
    lines = [line for journal in journals if journal.exists() for line in journal.read_text().splitlines()]
    sys.stdout.write("".join(f"{line}\n" for line in lines[-count:] or ["-- No entries --"]))
    return 0
