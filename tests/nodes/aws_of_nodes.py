"""The AWS calls that a node makes, answered from dictionaries (moto has no CompleteLifecycleAction)."""

import itertools
import json
import threading
import urllib.parse
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rehearsal.launcher import stop_serving

LATEST = timedelta(minutes=15)
"""How far the time of a request may be off (S3 API reference, RequestTimeTooSkewed)."""
NO_ACTION = "No active Lifecycle Action found with instance ID {}"


class AwsOfNodes:
    """Objects by `BUCKET/KEY`, secrets by (ARN, version), the instances that wait in a lifecycle hook, log events by
    (group, stream), the group of every instance, and metrics by name and dimensions.

    `calls` are those of the node script; the CloudWatch agent calls when it likes.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.secrets: dict[tuple[str, str], str] = {}
        self.waiting: set[tuple[str, str]] = set()
        self.calls: list[str] = []
        self.log_events: dict[tuple[str, str], list[str]] = {}
        self.group = ""
        self.metrics: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._server = ThreadingHTTPServer(("0.0.0.0", 0), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        stop_serving(self._server)

    def secret(self, name: str, text: str, version: str = "v1") -> str:
        """Store a secret and give its ARN."""
        arn = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}"
        self.secrets[arn, version] = text
        return arn

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        """The answer to a POST."""
        if target == "secretsmanager.GetSecretValue":
            wanted = json.loads(body)
            self.calls.append(f"GetSecretValue {wanted['SecretId'].rpartition(':')[2]}")
            text = self.secrets.get((wanted["SecretId"], wanted["VersionId"]))
            if text is None:
                return 400, json.dumps({"__type": "ResourceNotFoundException", "message": "no such secret"}).encode()
            return 200, json.dumps({"ARN": wanted["SecretId"], "SecretString": text}).encode()
        if target.startswith("Logs_20140328."):
            return self._log(target.partition(".")[2], json.loads(body))
        action = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
        if action["Action"] == "DescribeTags":
            item = f"<item><key>aws:autoscaling:groupName</key><value>{self.group}</value></item>"
            return (
                200,
                f"<DescribeTagsResponse><tagSet>{item if self.group else ''}</tagSet></DescribeTagsResponse>".encode(),
            )
        if action["Action"] == "PutMetricData":
            self.metrics |= _metrics(action)
            return 200, b"<PutMetricDataResponse/>"
        self.calls.append(f"{action['Action']} {action['LifecycleHookName']}")
        waits = (action["InstanceId"], action["LifecycleHookName"])
        if waits not in self.waiting:
            error = f"<Error><Code>ValidationError</Code><Message>{NO_ACTION.format(waits[0])}</Message></Error>"
            return 400, f"<ErrorResponse>{error}</ErrorResponse>".encode()
        self.waiting.remove(waits)
        return 200, b"<CompleteLifecycleActionResponse/>"

    def _log(self, operation: str, wanted: dict[str, Any]) -> tuple[int, bytes]:
        place = (wanted["logGroupName"], wanted["logStreamName"])
        if operation == "CreateLogStream":
            self.log_events.setdefault(place, [])
        elif place not in self.log_events:
            return 400, json.dumps({"__type": "ResourceNotFoundException", "message": "no such stream"}).encode()
        else:
            self.log_events[place] += [event["message"] for event in wanted["logEvents"]]
        return 200, b"{}"


def _metrics(action: dict[str, str]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The values of a PutMetricData, by name and dimensions."""
    found = {}
    for number in itertools.takewhile(
        lambda each: f"MetricData.member.{each}.MetricName" in action, itertools.count(1)
    ):
        datum = f"MetricData.member.{number}"
        dimensions = []
        for index in itertools.count(1):
            if f"{datum}.Dimensions.member.{index}.Name" not in action:
                break
            at = f"{datum}.Dimensions.member.{index}"
            dimensions.append((action[f"{at}.Name"], action[f"{at}.Value"]))
        found[action[f"{datum}.MetricName"], tuple(dimensions)] = float(action[f"{datum}.Value"])
    return found


def _handler_of(aws: AwsOfNodes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = urllib.parse.unquote(self.path.lstrip("/"))
            aws.calls.append(f"GetObject {key.rpartition('/')[2]}")
            missing = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            self._answer(200 if key in aws.objects else 404, aws.objects.get(key, missing))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*aws.answer(self.headers.get("X-Amz-Target", ""), body))

        def _answer(self, status: int, body: bytes) -> None:
            signed = datetime.strptime(self.headers.get("X-Amz-Date", "19700101T000000Z"), "%Y%m%dT%H%M%S%z")
            if "Authorization" not in self.headers or abs(datetime.now(UTC) - signed) > LATEST:
                status, body = (
                    403,
                    b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>",
                )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
