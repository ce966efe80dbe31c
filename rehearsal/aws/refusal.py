"""What a person reads who asks for a database that is not there, in the words of PostgreSQL's protocol.

A closed connection would be reported as a server that crashed. libpq believes an error only inside TLS, so the refusal
begins as a server does: https://www.postgresql.org/docs/current/protocol-flow.html
"""

import contextlib
import socket
import ssl
import struct
from typing import Final

import trustme

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104
CANNOT_CONNECT_NOW: Final = "57P03"
SECONDS: Final = 10
LONGEST_GREETING: Final = 10_000


class Refusal:
    """Answers whoever connects with one FATAL sentence, under a certificate for `names`."""

    def __init__(self, authority: trustme.CA, names: tuple[str, ...], sentence: str) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self._tls)
        fields = {"S": "FATAL", "V": "FATAL", "C": CANNOT_CONNECT_NOW, "M": sentence}
        body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
        self._error = b"E" + struct.pack("!I", len(body) + 4) + body

    def answer(self, caller: socket.socket) -> None:
        """Greet, refuse and hang up; whoever does not speak PostgreSQL is hung up on."""
        caller.settimeout(SECONDS)
        with contextlib.suppress(OSError, struct.error):
            while (request := _greeting(caller)) == GSS_REQUEST:
                caller.sendall(b"N")
            if request != SSL_REQUEST:
                return
            caller.sendall(b"S")
            with self._tls.wrap_socket(caller, server_side=True) as encrypted:
                _greeting(encrypted)
                encrypted.sendall(self._error)


def _greeting(caller: socket.socket) -> int:
    """The number in the client's first message: a request for encryption, or the version of the protocol."""
    length, number = struct.unpack("!II", _exactly(caller, 8))
    if length > LONGEST_GREETING:
        raise OSError("this is no message of PostgreSQL's protocol")
    _exactly(caller, length - 8)
    return int(number)


def _exactly(caller: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = caller.recv(size - len(read))
        if not piece:
            raise OSError("the client hung up")
        read += piece
    return read
