"""What a running server leaves on its host, and the sessions there."""

import contextlib
import pwd
from pathlib import Path

PID_FILE = Path("/run/rstudio-server.pid")
VERSION_FILE = Path("/usr/lib/rstudio-server/VERSION")


def version() -> str:
    """The version of the installed package, such as 2026.07.1+147.pro6."""
    return VERSION_FILE.read_text().strip()


def running() -> bool:
    """Whether the server that wrote the pid file lives."""
    try:
        number = int(PID_FILE.read_text())
    except (OSError, ValueError):
        return False
    return Path(f"/proc/{number}").exists()


def sessions() -> list[tuple[int, str, str]]:
    """Process id, user and kind of the sessions on this host."""
    found = []
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError, KeyError):
            name = (entry / "comm").read_text().strip()
            if name in {"rsession", "rworkspaces"}:
                found.append((int(entry.name), pwd.getpwuid(entry.stat().st_uid).pw_name, name))
    return found
