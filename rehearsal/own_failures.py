"""What fails of the rehearsal itself, separated from what fails in the account that it stands for.

Every module of the rehearsal logs as an error what AWS would not do: a PostgreSQL that does not start, a call that has
no answer, work in the background that ends with an exception. A stand-in on a node that ends with one leaves a file.
"""

import logging
import threading
from pathlib import Path
from typing import Final

EXIT_OWN_FAILURE: Final = 3
"""Exit code of a rehearsal that failed itself: whatever its executions say, they say nothing about the account."""

LOG: Final = "rehearsal.log"
"""The file beside the log groups that has what is known of it, with tracebacks."""

LOGGER: Final = logging.getLogger("rehearsal")
"""The parent of the loggers of all modules here."""


class Failures(logging.Handler):
    """A handler that keeps every error of the rehearsal's own modules. `causes` has a sentence for each."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.causes: list[str] = []
        self._text: list[str] = []
        self._read: set[Path] = set()
        self._guard = threading.Lock()
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        LOGGER.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._add(f"{record.getMessage()}{f': {_words(error)}' if error else ''}", self.format(record))

    def add(self, error: BaseException) -> None:
        """What ended the rehearsal."""
        LOGGER.error("the rehearsal could not go on", exc_info=error)

    def read_crashes(self, directory: Path) -> None:
        """Add what stand-ins on nodes left in `directory` since the last call."""
        for file in sorted({*directory.glob("*")} - self._read):
            self._read.add(file)
            text = file.read_text(encoding="utf-8", errors="replace")
            last = text.strip().rpartition("\n")[2]
            self._add(f"the stand-in {file.name.partition('.')[0]} on a node crashed: {last}", text)

    def write(self, directory: Path) -> None:
        """Leave the log where there is something to say, and take no more."""
        LOGGER.removeHandler(self)
        LOGGER.addHandler(logging.NullHandler())  # or logging prints what ends with the local AWS to stderr
        if self._text:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / LOG).write_text("\n".join(self._text) + "\n", encoding="utf-8")

    def _add(self, cause: str, text: str) -> None:
        with self._guard:
            self.causes += [cause] if cause not in self.causes else []
            self._text.append(text)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
