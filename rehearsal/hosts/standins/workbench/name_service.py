"""What Workbench's module of the name service, libnss_pwb.so.2, gives every program of a node.

The module is a library that asks the running server by its socket. A rehearsal has no compiler, so here the server
answers where the C library asks before it loads any module: by the protocol of nscd (glibc, nscd/nscd-client.h). It
answers for accounts of its database only where the module would: it is installed, `pwb` stands in the line of
/etc/nsswitch.conf, and /etc/rstudio/workbench-nss.conf exists. Otherwise the C library is sent to its own modules. When
the server does not run, no account of the database is known on its node, as with the real module. Not here: the whole
list (`getent passwd` without a name) and `shadow`, for which nscd is not asked.
"""

import contextlib
import grp
import pwd
import socketserver
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from . import accounts, cluster, log
from .configuration import Database
from .state import ETC, ConfigurationError

SOCKET = Path("/var/run/nscd/socket")
MODULE = Path("/usr/lib/x86_64-linux-gnu/libnss_pwb.so.2")
SWITCH = Path("/etc/nsswitch.conf")
MODULE_CONF = Path(ETC, "workbench-nss.conf")
MODULE_SETTINGS = "server-address=unix:/var/run/rstudio-server/rstudio-rserver/user-service.socket\n"
PWB = "pwb"
SHELL = "/bin/bash"

VERSION = 2
USER_BY_NAME, USER_BY_UID, GROUP_BY_NAME, GROUP_BY_GID, GROUPS_OF_USER = 0, 1, 2, 3, 15
FIELDS = {USER_BY_NAME: 9, USER_BY_UID: 9, GROUP_BY_NAME: 6, GROUP_BY_GID: 6, GROUPS_OF_USER: 3}
"""How many 32-bit numbers each answer begins with."""
OTHERS = 8
"""At least as many as any other answer has."""
SHARED_MEMORY = {11, 12, 13, 18, 21}
"""Requests for nscd's cache itself, which there is not: they get no answer, and the C library asks for each thing."""
REQUEST = struct.Struct("=iii")
LONGEST_KEY = 1024
RETRIES = 101
"""More than NSS_NSCD_RETRY of glibc's include/nss.h."""
DISABLED, MISSING, FOUND = -1, 0, 1


class NameService:
    """Answers the C library of every process of this node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._link: Connection | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen. The module's settings are written where they are missing, as Workbench does."""
        if not MODULE_CONF.exists():
            MODULE_CONF.write_text(MODULE_SETTINGS)
            MODULE_CONF.chmod(0o644)
        SOCKET.parent.mkdir(mode=0o755, exist_ok=True)
        SOCKET.unlink(missing_ok=True)
        listening = _Server(str(SOCKET), _handler_of(self))
        SOCKET.chmod(0o666)
        threading.Thread(target=listening.serve_forever, name="name service", daemon=True).start()
        # A process that found no one here before asks again at its hundredth look-up; the server has made some.
        for _ in range(RETRIES):
            pwd.getpwuid(0)
            grp.getgrgid(0)

    @staticmethod
    def stop() -> None:
        SOCKET.unlink(missing_ok=True)

    def answer(self, kind: int, key: str) -> bytes:
        """The answer to a request of glibc's; it asks its own modules where that says DISABLED."""
        if kind in SHARED_MEMORY:
            return b""
        fields = FIELDS.get(kind, OTHERS)
        line = "passwd" if kind in (USER_BY_NAME, USER_BY_UID) else "group"
        if kind not in FIELDS or not active(line):
            return _numbers(VERSION, DISABLED, *[0] * (fields - 2))
        for source in sources(line):
            with contextlib.suppress(KeyError):
                if source == "files":
                    return LOCAL[kind](key)
                if source == PWB:
                    return self._of_database(kind, key)
        return _numbers(VERSION, MISSING, *[0] * (fields - 2))

    def _of_database(self, kind: int, key: str) -> bytes:
        """Raises KeyError where the database has none of it, or does not answer."""
        with self._lock:
            try:
                if self._link is None or self._link.closed:
                    self._link = cluster.connect(self._database, "rserver-user-service")
                return _answer(self._link, kind, key)
            except (psycopg2.Error, ConfigurationError) as error:
                log.write("ERROR", f"The user service cannot read the database: {str(error).strip()}")
                if self._link is not None:
                    with contextlib.suppress(psycopg2.Error):
                        self._link.close()
                self._link = None
                raise KeyError(key) from error


def active(line: str) -> bool:
    """Whether the module is asked for what a line of nsswitch.conf is about."""
    return PWB in sources(line) and MODULE.exists() and MODULE_CONF.exists()


def sources(line: str) -> list[str]:
    """The sources of a line of nsswitch.conf in their order, such as files, systemd, pwb."""
    for text in SWITCH.read_text().splitlines() if SWITCH.exists() else []:
        name, _, rest = text.partition("#")[0].partition(":")
        if name.strip() == line:
            return [word for word in rest.split() if not word.startswith("[")]
    return []


def _answer(link: Connection, kind: int, key: str) -> bytes:
    if kind in (USER_BY_NAME, USER_BY_UID):
        account = accounts.account(link, name=key) if kind == USER_BY_NAME else accounts.account(link, uid=int(key))
        if account is None:
            raise KeyError(key)
        texts = (account.name, "*", account.display_name or "", account.home, SHELL)
        return _user(texts, account.uid, account.uid)
    if kind == GROUPS_OF_USER:
        account = accounts.account(link, name=key)
        own = [account.uid] if account else []
        return _groups(sorted({*_local_gids(key), *own, *accounts.gids(link, key)}))
    group = accounts.group(link, name=key) if kind == GROUP_BY_NAME else accounts.group(link, gid=int(key))
    if group is None:
        raise KeyError(key)
    return _group(group.name, group.gid, group.members)


def _numbers(*values: int) -> bytes:
    return struct.pack(f"={len(values)}i", *values)


def _text(*values: str) -> list[bytes]:
    return [value.encode() + b"\0" for value in values]


def _user(texts: Sequence[str], uid: int, gid: int) -> bytes:
    """texts: name, password, full name, home, shell."""
    name, password, *others = _text(*texts)
    lengths = (len(name), len(password), uid, gid, *map(len, others))
    return _numbers(VERSION, FOUND, *lengths) + b"".join((name, password, *others))


def _group(name: str, gid: int, members: Sequence[str]) -> bytes:
    first, password, *others = _text(name, "*", *members)
    head = _numbers(VERSION, FOUND, len(first), len(password), gid, len(others))
    return head + _numbers(*map(len, others)) + b"".join((first, password, *others))


def _groups(gids: Sequence[int]) -> bytes:
    return _numbers(VERSION, FOUND if gids else MISSING, len(gids), *gids)


# --------------------------------------------------------------------------------------- /etc/passwd and /etc/group


def _rows(file: str) -> list[list[str]]:
    return [line.split(":") for line in Path(file).read_text().splitlines() if line.count(":") >= 3]


def _local_user(place: int) -> Callable[[str], bytes]:
    def found(key: str) -> bytes:
        for name, password, uid, gid, *others in _rows("/etc/passwd"):
            if (name, uid)[place] == key:
                return _user((name, password, *others), int(uid), int(gid))
        raise KeyError(key)

    return found


def _local_group(place: int) -> Callable[[str], bytes]:
    def found(key: str) -> bytes:
        for name, _, gid, members in _rows("/etc/group"):
            if (name, gid)[place] == key:
                return _group(name, int(gid), [member for member in members.split(",") if member])
        raise KeyError(key)

    return found


def _local_gids(user: str) -> list[int]:
    return [int(gid) for _, _, gid, members in _rows("/etc/group") if user in members.split(",")]


def _nothing(key: str) -> bytes:
    """The groups of a user are those of all sources together."""
    raise KeyError(key)


LOCAL = {
    USER_BY_NAME: _local_user(0),
    USER_BY_UID: _local_user(1),
    GROUP_BY_NAME: _local_group(0),
    GROUP_BY_GID: _local_group(1),
    GROUPS_OF_USER: _nothing,
}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def _handler_of(service: NameService) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 5

        def handle(self) -> None:
            with contextlib.suppress(OSError, struct.error, UnicodeDecodeError, ValueError):
                _, kind, length = REQUEST.unpack(self.rfile.read(REQUEST.size))
                if 0 < length <= LONGEST_KEY:
                    key = self.rfile.read(length).rstrip(b"\0").decode()
                    self.wfile.write(service.answer(kind, key))

    return Handler
