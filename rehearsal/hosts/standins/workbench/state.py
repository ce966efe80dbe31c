"""Where the server keeps its files, what a running one leaves on its host, and the sessions there."""

import os
import pwd

from ..surroundings import names_in, read

ETC = "/etc/rstudio"
STATE = "/var/lib/rstudio-server"
PID_FILE = "/run/rstudio-server.pid"
VERSION_FILE = "/usr/lib/rstudio-server/VERSION"


class ConfigurationError(Exception):
    """When the server, or the launcher, must not start: the message is the line of its log."""


class Refused(Exception):
    """When the cluster does not take this node, or does not do what is asked; the message is for the log."""


def version() -> str:
    """The version of the installed package, such as 2026.07.1+147.pro6."""
    return read(VERSION_FILE).strip()


def running() -> bool:
    """Whether the server that wrote the pid file lives."""
    try:
        number = int(read(PID_FILE))
    except (OSError, ValueError):
        return False
    return os.path.exists(f"/proc/{number}")


def sessions() -> list[tuple[int, str, str]]:
    """Process id, user and kind of the sessions on this host.

    What a session has forked has its name until it executes its own program.
    """
    found: dict[int, tuple[str, str, int]] = {}
    for number in sorted(int(name) for name in names_in("/proc") if name.isdecimal()):
        process = f"/proc/{number}"
        try:
            name = read(f"{process}/comm").strip()
            if name in {"rsession", "rworkspaces"}:
                parent = int(read(f"{process}/stat").rpartition(")")[2].split()[1])
                found[number] = (pwd.getpwuid(os.stat(process).st_uid).pw_name, name, parent)
        except (OSError, KeyError):  # it has ended, or belongs to no one who is known here
            pass
    return [(number, user, name) for number, (user, name, parent) in found.items() if parent not in found]
