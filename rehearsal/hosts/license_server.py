"""A licence server: leases of a floating licence, for as many nodes as it has seats.

Posit's own speaks a protocol that is not published. What is published is kept: a host and a port (8989), a lease for
each node that expires unless it is renewed, and none left once all seats are taken. Source: Posit Workbench
administration guide, "License management", "Floating licensing".
"""

import http.server
import json
import socketserver
import threading

from rehearsal.launcher import stop_serving

HOST, PORT = "licenses.example.com", 8989
TERMS = {"tier": "Advanced", "users": "25", "days-left": "200"}


class LicenseServer:
    """Serves leases: POST /lease takes one for the address that asks, DELETE /lease gives it back."""

    def __init__(self) -> None:
        self.seats = 50
        self.leases: set[str] = set()
        self._lock = threading.Lock()
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self, address: str) -> None:
        self._server = _Server((address, PORT), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, name="license server", daemon=True).start()

    def stop(self) -> None:
        if self._server:
            stop_serving(self._server)

    def take(self, address: str) -> bool:
        """Lease a seat, or renew the lease; False where none is left."""
        with self._lock:
            if address not in self.leases and len(self.leases) >= self.seats:
                return False
            self.leases.add(address)
            return True

    def give_back(self, address: str) -> None:
        with self._lock:
            self.leases.discard(address)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # not HTTPServer's, which asks a name server for this machine's name


def _handler_of(licenses: LicenseServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self) -> None:
            taken = licenses.take(str(self.client_address[0]))
            self._answer(200 if taken else 409, json.dumps(TERMS if taken else {"error": "No lease is available"}))

        def do_DELETE(self) -> None:
            licenses.give_back(str(self.client_address[0]))
            self._answer(200, "{}")

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler
