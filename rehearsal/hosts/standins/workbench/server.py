"""The running server: its place in the cluster, and what it says of itself."""

import contextlib
import os
import signal
import socket
import threading
import zlib
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
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


def address_towards(uri: str) -> str:
    """This host's address on the way to the database: what peers can reach."""
    host = psycopg2.extensions.parse_dsn(uri).get("host", "")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


class Server:
    """One running server."""

    def __init__(self, files: Configuration) -> None:
        self.files = files
        self.version = state.version()
        self.database = configuration.database(files)
        self.saml: Provider | None = None
        self.number = 0
        self._link: psycopg2.extensions.connection | None = None
        self._lock = threading.Lock()
        self._leaving = threading.Event()
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

    def serve(self, listening: ThreadingHTTPServer) -> None:
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
        threading.Thread(target=listening.serve_forever, daemon=True).start()
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
            blocks = [self.own_status(), *pool.map(cluster.status_of, others)]
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
