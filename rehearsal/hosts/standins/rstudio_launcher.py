"""`rstudio-launcher`, the job launcher: checks launcher.conf, then answers GET /status on its port."""

import http.server
import json
import os
import pwd
import signal
import socketserver
import sys
import time
from pathlib import Path

from .workbench.configuration import refuse_unknown
from .workbench.state import ETC, ConfigurationError

SERVER_OPTIONS = """
    address port server-user admin-group authorization-enabled thread-pool-size enable-debug-logging scratch-path
    logging-dir secure-cookie-key-file enable-ssl certificate-file certificate-key-file max-message-size
    job-expiry-hours bootstrap-timeout-seconds enable-cgroups unprivileged rsandbox-path heartbeat-interval-seconds
    log-level
"""
LOCAL_OPTIONS = """
    scratch-path load-balancer-preference unprivileged node-connection-timeout-seconds rsandbox-path shell server-user
    save-unspecified-output heartbeat-interval-seconds job-expiry-hours enable-cgroups thread-pool-size encryption-key
"""
KNOWN = {
    "server": set(SERVER_OPTIONS.split()),
    "cluster": {"name", "type", "exe", "config-file", "allowed-groups"},
}
SECONDS_UNTIL_IT_LISTENS = 0.3
LOCAL = set(LOCAL_OPTIONS.split())


def main(_: list[str]) -> int:
    """Becomes a daemon when its configuration holds, which only then, and some time later, listens."""
    try:
        address, port = read()
    except ConfigurationError as error:
        print(f"ERROR {error}", file=sys.stderr)
        return 1
    if os.fork():
        return 0
    os.setsid()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
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
    sections = _sections(Path(ETC, "launcher.conf"))
    for section, values in sections.items():
        if section not in KNOWN:
            raise ConfigurationError(f"Error reading {ETC}/launcher.conf: unknown section [{section}]")
        refuse_unknown(Path(ETC, "launcher.conf"), values.keys() - KNOWN[section])
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


def _check_local(user: pwd.struct_passwd) -> None:
    values = _sections(Path(ETC, "launcher.local.conf")).get("", {})
    refuse_unknown(Path(ETC, "launcher.local.conf"), values.keys() - LOCAL)
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
