"""The running server: its place in the cluster and its HTTP."""

import contextlib
import http.server
import os
import re
import signal
import socket
import socketserver
import threading
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from . import accounts, administration, cluster, configuration, licensing, log, state
from .cluster import Node, Place
from .configuration import Configuration
from .name_service import NameService
from .state import ConfigurationError

if TYPE_CHECKING:
    from .saml import Provider

HEARTBEAT_SECONDS = 2.0
PEER_SECONDS = 3.0
LONGEST_FORM = 65_536
OWN_LOAD = "/load-balancer/server-status"


def address_towards(uri: str) -> str:
    """This host's address on the way to the database: what peers can reach."""
    host = psycopg2.extensions.parse_dsn(uri).get("host", "")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


class Server:
    """One running server: its place in the cluster and its HTTP."""

    def __init__(self, files: Configuration) -> None:
        self.files = files
        self.version = state.version()
        self.database = configuration.database(files)
        self.saml: Provider | None = None
        self.number = 0
        self._link: psycopg2.extensions.connection | None = None
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._http: http.server.ThreadingHTTPServer | None = None
        self._names: NameService | None = None

    def join(self) -> None:
        """Log in, migrate, register. Raises ConfigurationError or Refused."""
        for warning in self.files.warnings:
            log.write("WARNING", warning)
        key_hash = f"{zlib.crc32(self.files.key):08X}"
        if self.files.balanced and self.database.provider != "postgresql":
            raise ConfigurationError(
                "Load balancing needs provider=postgresql in database.conf: nodes cannot share SQLite"
            )
        if self.files.method == "openid":
            from . import openid

            openid.check(self.files)
        if self.files.method == "saml":
            from . import saml

            self.saml = saml.read_provider(self.files.server)
        if self.database.provider != "postgresql":
            if accounts.enabled(self.files):
                raise ConfigurationError("User provisioning needs provider=postgresql in database.conf")
            return
        if self.database.plain:
            log.write(
                "WARNING", "A plain text value is potentially being used for the PostgreSQL password in database.conf"
            )
        self._link = cluster.connect(self.database, "rserver")
        cluster.migrate(self._link, self.version)
        if self.files.balanced:
            host = self.files.host_name.partition(":")[0]
            place = Place(host, address_towards(self.database.uri), self.files.port)
            self.number = cluster.join(self._link, place, key_hash, self.files.protocol)
            log.write("INFO", f"Load balancing node {self.number} ({place.host}, {place.ipv4}) is online")
        self._disconnect()  # a connection does not survive the fork that follows

    def listen(self) -> None:
        """Take the port. Raises OSError when another process has it."""
        where = (self.files.server.get("www-address", "0.0.0.0"), self.files.port)
        self._http = _HttpServer(where, _handler_of(self))

    def serve(self) -> None:
        """Until SIGTERM: heartbeats and requests. Then leave the cluster in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._leaving.set())
        signal.signal(signal.SIGHUP, lambda *_: self._reload())
        if licensing.is_remote(self.files.server):
            try:
                licensing.lease()
            except OSError as error:
                log.write("ERROR", f"Could not obtain a lease of the license server: {error}")
        if accounts.enabled(self.files):
            self._names = NameService(self.database)
            self._names.start()
        Path(state.PID_FILE).write_text(str(os.getpid()))
        assert self._http
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        administration.serve(self.files, self.version)
        while not self._leaving.wait(HEARTBEAT_SECONDS):
            self._beat()
        if self.number:
            with contextlib.suppress(psycopg2.Error, ConfigurationError):
                cluster.leave(
                    self._connected(), self.number, delete=self.files.load_balancer.get("delete-node-on-exit") == "1"
                )
        Path(state.PID_FILE).unlink(missing_ok=True)
        if self._names:
            self._names.stop()
        licensing.release()
        log.write("INFO", "The server has stopped")
        os._exit(0)

    def _reload(self) -> None:
        """Read again what `rstudio-server reload` says that it reads; with what is wrong there, go on as before."""
        try:
            self.files = self.files._replace(load_balancer=configuration.read().load_balancer)
        except ConfigurationError as error:
            log.write("ERROR", str(error))
        else:
            log.write("INFO", "The configuration was read again")

    def nodes(self) -> list[Node]:
        """The nodes of the cluster, or none without a database that answers."""
        if not self.number:
            return []
        try:
            with self._lock:
                return cluster.nodes(self._connected())
        except (psycopg2.Error, ConfigurationError) as error:
            log.write("ERROR", f"Database error: {str(error).strip()}")
            self._disconnect()
            return []

    def health(self) -> str:
        """The body of /health-check."""
        held, leased = licensing.read(), licensing.leased()
        lines = {
            "active-sessions": len(state.sessions()),
            "idle-seconds": 0,
            "cpu-percent": "0.0",
            "memory-percent": "12.5",
            "swap-percent": "0.0",
            "load-average": f"{os.getloadavg()[0]:.1f}",
            "license-status": held.status if held else "Activated" if leased else "Expired",
            "license-days-left": held.days_left if held else int(leased.get("days-left", 0)),
            "license-allow-product-usage": int(bool(held.status == "Activated" if held else leased)),
        }
        return "".join(f"{name}: {value}\n" for name, value in lines.items())

    def own_status(self) -> str:
        """This node's block of /load-balancer/status."""
        own = next((node for node in self.nodes() if node.id == self.number), None)
        if own is None:
            return ""
        load = ", ".join(f"{average:.2g}" for average in os.getloadavg())
        lines = [f"{own.host}:{own.port} – {own.ipv4}  Load: {load}"]
        return (
            "\n".join([*lines, *(f"   {process} – {user} {name}" for process, user, name in state.sessions())]) + "\n"
        )

    def cluster_status(self) -> str:
        """The blocks of all nodes that are online: each is asked for its own."""
        from concurrent.futures import ThreadPoolExecutor  # only who is asked for this needs it

        others = [node for node in self.nodes() if node.status == cluster.ONLINE and node.id != self.number]
        with ThreadPoolExecutor(max_workers=16) as pool:
            blocks = [self.own_status(), *pool.map(status_of, others)]
        return "\n".join(block for block in blocks if block)

    def _beat(self) -> None:
        if not self.number:
            return
        try:
            with self._lock:
                if not cluster.beat(self._connected(), self.number):
                    log.write("ERROR", f"The row of this node ({self.number}) is gone from the cluster")
        except (psycopg2.Error, ConfigurationError) as error:
            log.write("ERROR", f"Database error: {str(error).strip()}")
            self._disconnect()

    @contextlib.contextmanager
    def link(self) -> Iterator[psycopg2.extensions.connection]:
        """The server's connection to the database, for one caller at a time."""
        with self._lock:
            yield self._connected()

    def _connected(self) -> psycopg2.extensions.connection:
        if self._link is None or self._link.closed:
            self._link = cluster.connect(self.database, "rserver")
        return self._link

    def _disconnect(self) -> None:
        if self._link is not None:
            with contextlib.suppress(psycopg2.Error):
                self._link.close()
        self._link = None


def status_of(node: Node) -> str:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://{node.host}:{node.port}{OWN_LOAD}", timeout=PEER_SECONDS) as response:
            text: str = response.read().decode()
    except OSError as error:
        log.write("ERROR", f"{error} [host: {node.host}:{node.port}, uri: {OWN_LOAD}]")
        return ""
    return text


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


def _handler_of(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            # Nothing public says how Workbench's nginx reads a path. This reads it as liberally as a server can.
            meant = re.sub("/+", "/", os.path.normpath(urllib.parse.unquote(path)))
            if meant.startswith(("/health-check", "/load-balancer/")):
                path = meant
            caller = str(self.client_address[0])
            if path.startswith("/health-check") and server.files.server.get("server-health-check-enabled") == "1":
                self._answer(200, server.health())
            elif path.startswith("/load-balancer/") and server.files.balanced:
                if caller != "127.0.0.1" and caller not in {node.ipv4 for node in server.nodes()}:
                    self._answer(403, "Forbidden\n")
                elif path == "/load-balancer/status":
                    self._answer(200, server.cluster_status())
                elif path == OWN_LOAD:
                    self._answer(200, server.own_status())
                else:
                    self._answer(404, "Not Found\n")
            else:
                from . import pages  # only people who come by a browser need them

                query = self.path.partition("?")[2]
                self._answer(*pages.get(server, path, query, self.headers))

        def do_POST(self) -> None:
            from . import pages

            length = int(self.headers.get("Content-Length") or 0)
            if length > LONGEST_FORM:
                self._answer(413, "Payload Too Large\n")
                return
            body, path = self.rfile.read(length), self.path.partition("?")[0]
            if path.startswith(("/api/", "/load-balancer/api/")):
                from . import api

                self._answer(*api.post(server, path, body, self.headers, str(self.client_address[0])))
                return
            form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
            self._answer(*pages.post(server, self.path.partition("?")[0], form, self.headers))

        def _answer(self, status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
            body = text.encode()
            self.send_response(status)
            given = {name for name, _ in headers}
            if "Content-Type" not in given:
                self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
