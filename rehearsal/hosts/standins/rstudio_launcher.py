"""`rstudio-launcher`, the job launcher: checks its files, then answers GET /status on its port.

At SIGHUP it reads its profiles again, and keeps those that it had where they are wrong (src/cpp/core/ConfigProfile.cpp
of rstudio/rstudio; launcher-go-sdk, docs/GUIDE.md). Older releases end at the signal, with their sessions.
A launcher that cannot make control groups warns in its log, and goes on without limits (seen with Workbench 2026.07 in
a container; the words of the line are not published).
"""

import http.server
import json
import os
import pwd
import signal
import socketserver
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from benchwright import rstudio_files

from .surroundings import fault
from .workbench import state
from .workbench.configuration import refuse_unknown
from .workbench.state import ETC, ConfigurationError

CONF, LOCAL_CONF = Path(ETC, "launcher.conf"), Path(ETC, "launcher.local.conf")
PROFILES = ("launcher.local.profiles.conf", "launcher.local.resources.conf")
LOG = Path("/var/log/rstudio/launcher/rstudio-launcher.log")
SECONDS_UNTIL_IT_LISTENS = 0.3


def main(_: list[str]) -> int:
    """Becomes a daemon when its configuration holds, which only then, and some time later, listens."""
    try:
        address, port = read()
        read_profiles()
    except ConfigurationError as error:
        print(f"ERROR {error}", file=sys.stderr)
        return 1
    if os.fork():
        return 0
    os.setsid()
    if _sections(CONF).get("server", {}).get("enable-cgroups") == "1" and fault("cgroups"):
        _log("WARNING Could not create cgroup /sys/fs/cgroup/launcher: Read-only file system")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if state.version() >= rstudio_files.LAUNCHER_RELOADS_SINCE:
        signal.signal(signal.SIGHUP, lambda *_: _reload())
    time.sleep(SECONDS_UNTIL_IT_LISTENS)
    try:
        server = _Server((address, port), _Handler)
    except OSError as error:
        print(f"ERROR {error}", file=sys.stderr)
        return 1
    server.serve_forever()
    return 0


def read() -> tuple[str, int]:
    """Where to listen. Raises ConfigurationError."""
    sections, known = _sections(CONF), _known(CONF.name)
    for section, values in sections.items():
        if section not in known:
            raise ConfigurationError(f"Error reading {CONF}: unknown section [{section}]")
        refuse_unknown(CONF, values.keys() - known[section])
    server = sections.get("server", {})
    if "cluster" not in sections:
        raise ConfigurationError(f"Error reading {ETC}/launcher.conf: there is no [cluster] section")
    try:
        user = pwd.getpwnam(server.get("server-user", "rstudio-server"))
    except KeyError as error:
        raise ConfigurationError(
            f"The server-user of {ETC}/launcher.conf does not exist: {server.get('server-user')}"
        ) from error
    _check_local(user)
    address = server.get("address", "localhost")
    return ("127.0.0.1" if address == "localhost" else address, int(server.get("port", "5559")))


def read_profiles() -> None:
    """Raises ConfigurationError about the first parameter that is not one."""
    for name in PROFILES:
        path = Path(ETC, name)
        for section, values in _sections(path).items():
            if not section:
                raise ConfigurationError(f"Invalid config section {min(values)} in file {path}")
            if unknown := values.keys() - _known(name)[""]:
                raise ConfigurationError(f"Unknown param {min(unknown)} specified in file {path}")


def _reload() -> None:
    try:
        read_profiles()
    except ConfigurationError as error:
        _log(f"ERROR {error}")
    else:
        _log("INFO The profiles were read again")


def _log(line: str) -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as log:
        print(line, file=log)


def _known(name: str) -> Mapping[str, Collection[str]]:
    return rstudio_files.FILES[name].keys or {}


def _check_local(user: pwd.struct_passwd) -> None:
    values = _sections(LOCAL_CONF).get("", {})
    refuse_unknown(LOCAL_CONF, values.keys() - _known(LOCAL_CONF.name)[""])
    if scratch := values.get("scratch-path"):
        folder = Path(scratch)
        try:
            folder.mkdir(exist_ok=True)
            if folder.stat().st_uid != user.pw_uid:
                os.chown(folder, user.pw_uid, user.pw_gid)
        except OSError as error:
            raise ConfigurationError(
                f"The scratch-path {scratch} cannot be made for {user.pw_name}: {error.strerror}"
            ) from error


def _sections(path: Path) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in map(str.strip, path.read_text().splitlines() if path.exists() else []):
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = {}
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            sections.setdefault(section, {})[name.strip()] = value.strip()
    return sections


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 20

    def do_GET(self) -> None:
        status, body = (
            (200, json.dumps({"status": "Green", "clusters": ["Local"]})) if self.path == "/status" else (404, "{}")
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass
