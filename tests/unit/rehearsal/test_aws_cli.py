"""The AWS CLI of a node retries a request as version 2 does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rehearsal.hosts.standins import aws

SECRET = ["secretsmanager", "get-secret-value", "--secret-id", "a", "--query", "SecretString", "--output", "text"]
COMPLETE = ["autoscaling", "complete-lifecycle-action", "--instance-id", "i-1"]
COPY = ["s3", "cp", "s3://bucket/key", "-"]
BUSY = (503, b"")
THROTTLED = (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
SLOW = (503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
DENIED = (400, b'{"__type": "AccessDeniedException", "Message": "no"}')
GONE = (400, b"<Error><Code>ValidationError</Code><Message>No active Lifecycle Action found</Message></Error>")
SLOW_FORM = (400, b"<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>")
DONE = (200, b'{"SecretString": "done"}')
LOST = (0, b"")

type Answer = tuple[int, bytes]


class Service(ThreadingHTTPServer):
    """Gives the next of these answers to each request, none for LOST, and notes the headers of the retries."""

    answers: list[Answer]
    asked: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.asked.append((self.headers["Amz-Sdk-Invocation-Id"], self.headers["Amz-Sdk-Request"]))
        status, body = self.server.answers.pop(0)
        if status:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = [], []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name, value in {
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(aws, "clock_offset", lambda: 0.0)
        yield server
        server.shutdown()


@pytest.mark.parametrize("first", [BUSY, THROTTLED, LOST, SLOW])
def test_a_request_is_sent_three_times(service: Service, capsys: pytest.CaptureFixture[str], first: Answer) -> None:
    service.answers = [first, first, DONE]
    assert aws.main(["aws", *SECRET]) == 0
    assert capsys.readouterr().out == "done\n"
    assert [attempt for _, attempt in service.asked] == [f"attempt={number}; max=3" for number in (1, 2, 3)]
    assert len({invocation for invocation, _ in service.asked}) == 1


@pytest.mark.parametrize(
    ("words", "answers", "error"),
    [
        (
            SECRET,
            [THROTTLED] * 3,
            (254, "(ThrottlingException) when calling the GetSecretValue operation (reached max"),
        ),
        (SECRET, [DENIED], (254, "(AccessDeniedException) when calling the GetSecretValue operation: no")),
        (SECRET, [LOST] * 3, (255, "Could not connect to the endpoint URL: ")),
        (
            COMPLETE,
            [SLOW_FORM] * 3,
            (254, "(Throttling) when calling the CompleteLifecycleAction operation (reached max"),
        ),
        (COMPLETE, [LOST, GONE], (254, "(ValidationError) when calling the CompleteLifecycleAction operation: No act")),
        (
            COPY,
            [SLOW] * 3,
            (1, "(503) when calling the HeadObject operation (reached max retries: 2): Service Unavail"),
        ),
        (COPY, [(404, b"")], (1, "(403) when calling the HeadObject operation: Forbidden")),
    ],
)
def test_other_errors_and_the_third_are_reported(
    service: Service,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    answers: list[Answer],
    error: tuple[int, str],
) -> None:
    service.answers = [*answers]
    code, text = error
    assert aws.main(["aws", *words]) == code
    assert text in capsys.readouterr().err
    assert (len(service.asked), service.answers) == (len(answers), [])


def test_a_copy_holds_the_object_alone(service: Service, tmp_path: Path) -> None:
    service.answers = [BUSY, (200, json.dumps({"a": 1}).encode())]
    assert aws.main(["aws", "s3", "cp", "s3://bucket/key", str(tmp_path / "file")]) == 0
    assert (tmp_path / "file").read_text() == '{"a": 1}'
