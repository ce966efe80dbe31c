"""What commands of a node ask over HTTP, and answers that are cut."""

import socket
import threading

import pytest

from rehearsal.hosts.standins.surroundings import exchange


def answered(answer: bytes) -> tuple[list[bytes], tuple[int, str, bytes]]:
    """What a server is asked that answers with these bytes and hangs up, and what the caller takes from them."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        try:
            return asked, exchange(listener.getsockname(), "PUT", "/x", {"host": "aws"}, b"body", seconds=30)
        finally:
            server.join()


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na\r\n\r\nb", (200, "OK", b"a\r\n\r\nb")),
        (b"HTTP/1.0 404 Not Found\r\n\r\nno", (404, "Not Found", b"no")),
    ],
)
def test_an_answer_is_read_to_its_end(answer: bytes, taken: tuple[int, str, bytes]) -> None:
    assert answered(answer) == ([b"PUT /x HTTP/1.0\r\nhost: aws\r\ncontent-length: 4\r\n\r\nbody"], taken)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_is_cut_is_an_error_of_the_network(answer: bytes) -> None:
    with pytest.raises(OSError, match=r"^the answer of 127\.0\.0\.1 is not complete$"):
        answered(answer)
