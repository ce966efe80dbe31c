"""The server's log, in the form of a real one."""

import datetime
from pathlib import Path

LOG = Path("/var/log/rstudio/rstudio-server/rserver.log")


def write(level: str, message: str) -> None:
    """Append a line: time in UTC, program, level, message."""
    now = datetime.datetime.now(datetime.UTC)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as file:
        file.write(f"{now:%Y-%m-%dT%H:%M:%S.%f}Z [rserver] {level} {message}\n")
