"""Where the server keeps its files, what a running one leaves on its host, and the sessions there."""

import contextlib
import pwd
from pathlib import Path

ETC = Path("/etc/rstudio")
STATE = Path("/var/lib/rstudio-server")
PID_FILE = Path("/run/rstudio-server.pid")
VERSION_FILE = Path("/usr/lib/rstudio-server/VERSION")


class ConfigurationError(Exception):
    """When the server, or the launcher, must not start: the message is the line of its log."""


class Refused(Exception):
    """When the cluster does not take this node, or does not do what is asked; the message is for the log."""


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
    """Process id, user and kind of the sessions on this host.

    What a session has forked has its name until it executes its own program.
    """
    found: dict[int, tuple[str, str, int]] = {}
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError, KeyError):
            name = (entry / "comm").read_text().strip()
            if name in {"rsession", "rworkspaces"}:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found[int(entry.name)] = (pwd.getpwuid(entry.stat().st_uid).pw_name, name, parent)
    return [(number, user, name) for number, (user, name, parent) in found.items() if parent not in found]
