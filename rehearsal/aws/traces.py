"""The X-Ray daemon beside each function, which keeps what it gets in a file: secrets must not stand there either."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Final

LONGEST: Final = 65_536  # bytes of a datagram


class Daemon:
    """Listens on a port of its own, and adds each segment document to `path`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive, daemon=True, name="X-Ray daemon")
        self._thread.start()

    @property
    def address(self) -> str:
        """As in AWS_XRAY_DAEMON_ADDRESS."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def stop(self) -> None:
        """Take what has arrived, and end."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _receive(self) -> None:
        with self._path.open("ab") as file:
            while document := self._socket.recv(LONGEST):
                file.write(document + b"\n")
                file.flush()
