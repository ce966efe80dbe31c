"""Who asks for a database that is not there reads why, in any client of PostgreSQL."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import trustme

from rehearsal import launcher
from rehearsal.aws.refusal import Refusal
from rehearsal.forwarder import Forwarder
from tests.waiting import PATIENCE, until


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where nothing is found, under certificates that `ca.pem` trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    listener = launcher.listening("127.0.0.1")
    refusal = Refusal(authority, ("localhost",), "there is no database yet")
    forwarder = Forwarder(listener, lambda: None, refusal.answer)
    yield listener.getsockname()[1]
    forwarder.stop()


def test_a_client_that_checks_certificates_reads_the_sentence(port: int, tmp_path: Path) -> None:
    with pytest.raises(psycopg2.OperationalError) as refused:
        psycopg2.connect(
            host="localhost",
            port=port,
            user="rstudio",
            sslmode="verify-full",
            sslrootcert=tmp_path / "ca.pem",
            connect_timeout=PATIENCE,  # seconds: who is not answered reads `timeout expired`
        )
    assert str(refused.value).endswith("failed: FATAL:  there is no database yet\n")


def test_a_client_with_another_authority_is_not_deceived(port: int, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        psycopg2.connect(
            host="localhost", port=port, user="rstudio", sslmode="verify-full", sslrootcert=tmp_path / "other.pem"
        )


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\0\0\0\0", b"", b"\0\0"])
def test_who_speaks_something_else_is_hung_up_on(port: int, words: bytes) -> None:
    before = threading.active_count()
    # Where words are left unread, the connection is reset.
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection, contextlib.suppress(OSError):
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    until(lambda: threading.active_count() <= before, "the thread of the connection to end")
