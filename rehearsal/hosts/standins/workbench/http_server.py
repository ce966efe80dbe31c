"""The HTTP of the running server: what is for nodes and load balancers, and the way to pages and API."""

import http.server
import os
import re
import socketserver
import urllib.parse
from collections.abc import Iterable

from .cluster import OWN_LOAD
from .server import Server

LONGEST_FORM = 65_536


def listen(server: Server) -> http.server.ThreadingHTTPServer:
    """Take the port. Raises OSError when another process has it."""
    where = (server.files.server.get("www-address", "0.0.0.0"), server.files.port)
    return _HttpServer(where, _handler_of(server))


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
