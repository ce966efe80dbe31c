"""Connections are carried both ways, to whom the forwarder finds at that moment."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from rehearsal import launcher
from rehearsal.forwarder import Forwarder
from tests.waiting import PATIENCE


class Upper(socketserver.StreamRequestHandler):
    """Answers in capitals, when all was said."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upper) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield "127.0.0.1", serving.server_address[1]
        serving.shutdown()


def said(address: tuple[str, int], words: bytes) -> bytes:
    """What is answered; nothing where the connection is closed, or reset since words were left unread."""
    with socket.create_connection(address, PATIENCE) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()
        return b""


def test_connections_are_carried_to_what_is_found_when_they_come(server: tuple[str, int]) -> None:
    listener = launcher.listening("127.0.0.1")
    address = listener.getsockname()
    found: list[tuple[str, int]] = []
    forwarder = Forwarder(listener, lambda: found[0] if found else None)
    assert said(address, b"too early") == b""
    found.append(server)
    long = b"word " * 100_000
    assert [said(address, words) for words in (b"one", long)] == [b"ONE", long.upper()]
    forwarder.stop()
    with pytest.raises(ConnectionRefusedError):
        said(address, b"too late")


def test_a_server_that_is_not_there_ends_the_connection() -> None:
    with launcher.listening("127.0.0.1") as free:
        absent = free.getsockname()
    listener = launcher.listening("127.0.0.1")
    forwarder = Forwarder(listener, lambda: absent)
    assert said(listener.getsockname(), b"anybody?") == b""
    forwarder.stop()
