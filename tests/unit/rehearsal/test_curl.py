"""The `curl` of nodes on machines that have none: where it goes, and where it does not go on its own."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

PLACE = "127.0.0.9"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(302 if self.path == "/" else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/":
            self.send_header("Location", "/sign-in?from=here")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer((PLACE, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("-fsS", "302 http://a.example:{port}/sign-in?from=here|a.example:{port} /"),
        ("-fsSL", "200 |a.example:{port} /sign-in?from=here"),
    ],
)
def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(port: int, options: str, answer: str) -> None:
    program = "import sys; from rehearsal.hosts.standins.curl import main; sys.exit(main(sys.argv))"
    written = "|%{http_code} %{redirect_url}"
    asked = [options, "-w", written, "--resolve", f"a.example:{port}:{PLACE}", f"http://a.example:{port}/"]
    done = subprocess.run(
        [sys.executable, "-c", program, *asked], capture_output=True, text=True, check=True, timeout=30
    )
    codes, _, body = answer.format(port=port).partition("|")
    assert done.stdout == f"{body}|{codes}"
