"""Carries connections from a socket of the machine to a server inside the rehearsal's network."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5
PIECE: Final = 65_536


class Forwarder:
    """Whoever connects to `listener` speaks with what `find()` names at that moment; with None, `refuse()` answers.

    `listener` was opened where the callers are; the connections begin in the network of the thread that made this.
    """

    def __init__(
        self,
        listener: socket.socket,
        find: Callable[[], tuple[str, int] | None],
        refuse: Callable[[socket.socket], None] = lambda _caller: None,
    ) -> None:
        self._listener, self._find, self._refuse = listener, find, refuse
        threading.Thread(target=self._accept, name="forwarder", daemon=True).start()

    def stop(self) -> None:
        """Take no further connection; those that are open go on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # stopped
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            target = self._find()
            if target is None:
                self._refuse(caller)
                return
            try:
                server = socket.create_connection(target, CONNECT_SECONDS)
            except OSError:
                logger.exception("nothing answers at %s, to which a connection leads", target)
                raise
            with server:
                server.settimeout(None)
                back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
                back.start()
                _pump(caller, server)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until it ends, and that it has ended."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
