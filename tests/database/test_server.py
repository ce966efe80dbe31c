"""The rehearsal's PostgreSQL itself: a net that holds, and no server left behind."""

import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from rehearsal.aws.postgres import FORWARDED, Postgres
from tests.database.step import NEWEST
from tests.waiting import until

STARTER = """
import sys, time
from pathlib import Path
from rehearsal.aws.postgres import FORWARDED, Postgres
postgres = Postgres(Path(sys.argv[1]))
postgres.start()
print(postgres.port, flush=True)
time.sleep(60)
"""


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@NEWEST
def test_a_password_in_a_statement_would_stand_in_the_log(postgres: Postgres) -> None:
    with closing(postgres.connect(postgres.master, postgres.master_password)) as connection:
        connection.cursor().execute("CREATE ROLE alice PASSWORD 'planted-in-the-log'")
    assert "planted-in-the-log" in postgres.log.read_text()


@NEWEST
@pytest.mark.root
def test_a_server_needs_no_account_but_those_of_the_system(postgres: Postgres) -> None:
    """tests/conftest.py shows the whole test run, and so each rehearsal in it, an /etc/passwd without people."""
    accounts = {int(line.split(":")[2]) for line in Path("/etc/passwd").read_text().splitlines()}
    assert accounts <= {*range(100), 65534}
    assert postgres.execute("SELECT 1") == [(1,)]


@NEWEST
def test_data_survive_a_restart_and_connections_do_not(postgres: Postgres) -> None:
    with closing(postgres.connect(postgres.master, postgres.master_password)) as connection:
        connection.cursor().execute("CREATE ROLE alice")
        connection.commit()
        postgres.restart()
        with pytest.raises(psycopg2.OperationalError):
            connection.cursor().execute("SELECT 1")
    assert postgres.execute("SELECT rolname FROM pg_roles WHERE rolname = 'alice'") == [("alice",)]


def test_the_server_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "postgres")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as starter:
        assert starter.stdout
        port = int(starter.stdout.readline())
        assert listens(port)
        starter.send_signal(signal.SIGKILL)
    until(lambda: not listens(port), "the end of the server")


@NEWEST
@pytest.mark.parametrize("name", FORWARDED)
def test_its_certificate_holds_for_who_comes_through_a_forwarder(postgres: Postgres, name: str) -> None:
    connection = postgres.connect(postgres.master, postgres.master_password, host=name, sslmode="verify-full")
    with closing(connection):
        assert connection.info.ssl_in_use
