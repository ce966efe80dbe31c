"""The AWS CLI, for the three commands that a node uses: `s3 cp` of one object, `secretsmanager get-secret-value` and
`autoscaling complete-lifecycle-action`.

The real CLI takes 0.6 to 0.9 seconds a call on a small machine, nearly all of it imports; this one signs and sends its
requests itself, and retries as the real one does, without a delay. Credentials come from the metadata service, which it
asks as often as the real one does: once, unless AWS_METADATA_SERVICE_NUM_ATTEMPTS says more. The region comes from the
options or the environment, the endpoint from the environment or the rehearsal, since the nodes of a rehearsal cannot
resolve amazonaws.com.
"""

from __future__ import annotations

import getopt
import hashlib
import hmac
import json
import os
import re
import sys
import time

from .surroundings import clock_offset, complain, exchange, metadata, read, surroundings

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
KEPT_IN_PATHS = f"{KEPT}/"
SERVICE_ERROR, USAGE_ERROR, CREDENTIALS_ERROR = 254, 252, 253
SECONDS = 30
ATTEMPTS = 3
"""Of retry mode `standard`, the default of version 2 of the CLI, which retries a request without an answer and after
these errors (docs.aws.amazon.com/cli/latest/userguide/cli-configure-retries.html).
"""
RETRIED_STATUSES = {500, 502, 503, 504}
RETRIED_CODES = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
OPTIONS = {
    ("secretsmanager", "get-secret-value"): {"secret-id", "version-id", "version-stage"},
    ("autoscaling", "complete-lifecycle-action"): {
        "auto-scaling-group-name",
        "lifecycle-hook-name",
        "lifecycle-action-result",
        "lifecycle-action-token",
        "instance-id",
    },
    ("autoscaling", "record-lifecycle-action-heartbeat"): {
        "auto-scaling-group-name",
        "lifecycle-hook-name",
        "instance-id",
    },
    ("s3", "cp"): set(),
}
GLOBAL = {"region", "query", "output", "endpoint-url", "cli-connect-timeout", "cli-read-timeout"}
FLAGS = {"only-show-errors", "quiet", "no-progress", "no-cli-pager"}


class CallError(Exception):
    """When the CLI must end with an error: its text and exit code."""

    def __init__(self, message: str, code: int = SERVICE_ERROR) -> None:
        super().__init__(message)
        self.code = code


class ServiceError(Exception):
    """When the service answers with an error: its status and body."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body

    @property
    def code(self) -> str:
        """The code of the error in a body of JSON or XML; the status where it has none."""
        if self.body.startswith("{"):
            return str(json.loads(self.body).get("__type", self.status)).rpartition("#")[2]
        return self.xml("Code")

    @property
    def retried(self) -> bool:
        """Whether the CLI sends the request again."""
        return self.status in RETRIED_STATUSES or self.code in RETRIED_CODES

    def during(self, operation: str) -> str:
        """What the CLI says before the message: `(CODE) when calling the OPERATION operation`."""
        tries = f" (reached max retries: {ATTEMPTS - 1})" if self.retried else ""
        return f"({self.code}) when calling the {operation} operation{tries}"

    def xml(self, name: str) -> str:
        """The text of an element of the error."""
        found = re.search(rf"<{name}>(.*?)</{name}>", self.body, re.DOTALL)
        return found[1].strip() if found else str(self.status)


class Caller:
    """Who calls, and where the services are: `http://HOST[:PORT]`."""

    def __init__(self, region: str, endpoint: str, key: str, secret: str, token: str) -> None:
        self.region, self.endpoint = region, endpoint
        self.key, self.secret, self.token = key, secret, token

    def send(self, service: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """Sign and send a request, and retry it. Raises ServiceError, or OSError when no one answers."""
        invocation = os.urandom(16).hex()
        for attempt in range(1, ATTEMPTS + 1):
            own = {"Amz-Sdk-Invocation-Id": invocation, "Amz-Sdk-Request": f"attempt={attempt}; max={ATTEMPTS}"}
            try:
                return self._send(service, method, path, body, {**headers, **own})
            except (ServiceError, OSError) as error:
                if attempt == ATTEMPTS or (isinstance(error, ServiceError) and not error.retried):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _send(self, service: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        place = self.endpoint.removeprefix("http://")
        host, _, port = place.partition(":")
        signed = self._signed(service, method, path, body, {**headers, "Host": place})
        status, _, content = exchange((host, int(port or 80)), method, path, signed, body, seconds=SECONDS)
        if status >= 300:
            raise ServiceError(status, content.decode(errors="replace"))
        return content

    def _signed(self, service: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """Signature version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html)."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + clock_offset()))
        digest = hashlib.sha256(body).hexdigest()
        own = {**headers, "X-Amz-Date": moment, "X-Amz-Content-Sha256": digest, "X-Amz-Security-Token": self.token}
        named = {name.lower(): value for name, value in sorted(own.items(), key=lambda pair: pair[0].lower()) if value}
        listing = ";".join(named)
        request = "\n".join([method, path, "", *(f"{name}:{named[name]}" for name in named), "", listing, digest])
        scope = f"{moment[:8]}/{self.region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self.key}/{scope}"
        named["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={listing}, Signature={signature}"
        return named


def main(arguments: list[str]) -> int:
    """Exit codes as documented for the CLI: 252 usage, 253 no credentials or region, 254 the service refused."""
    if arguments[1:] == ["--version"]:
        version = read(f"{os.path.dirname(os.path.realpath(arguments[0]))}/VERSION").strip()
        print(f"aws-cli/{version} Python/3.14.0 Linux/6.8.0-1021-aws exe/x86_64.ubuntu.24")
        return 0
    try:
        command, options, words = _parsed(arguments[1:])
        caller = find_caller(options)
        if command == ("s3", "cp"):
            _copy(caller, words)
        elif command[0] == "secretsmanager":
            _print(call_json(caller, "secretsmanager", "secretsmanager", "GetSecretValue", _named(options)), options)
        else:
            call_query(caller, "autoscaling", "2011-01-01", _camel(command[1]), _named(options))
    except CallError as error:
        return complain(f"\n{error}", error.code)
    return 0


def _parsed(words: list[str]) -> tuple[tuple[str, str], dict[str, str], list[str]]:
    known = {name for names in OPTIONS.values() for name in names}
    try:
        given, rest = getopt.gnu_getopt(words, "", [*(f"{name}=" for name in known | GLOBAL), *FLAGS])
    except getopt.GetoptError as error:
        raise CallError(f"aws: [ERROR]: Unknown options: {error}", USAGE_ERROR) from error
    command = (rest[0], rest[1]) if len(rest) >= 2 else ("", "")
    options = {name.removeprefix("--"): value for name, value in given}
    if command not in OPTIONS:
        raise CallError(f"aws: [ERROR]: argument command: this stand-in has no 'aws {' '.join(rest[:2])}'", USAGE_ERROR)
    strange = options.keys() - OPTIONS[command] - GLOBAL - FLAGS
    if strange:
        raise CallError(f"aws: [ERROR]: Unknown options: {', '.join(sorted(strange))}", USAGE_ERROR)
    return command, options, rest[2:]


def find_caller(options: dict[str, str]) -> Caller:
    """Who calls, by the environment or the metadata service. Raises CallError."""
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise CallError(
            'You must specify a region. You can also configure your region by running "aws configure".',
            CREDENTIALS_ERROR,
        )
    endpoint = options.get("endpoint-url") or os.environ.get("AWS_ENDPOINT_URL") or surroundings()["endpoint"]
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return Caller(region, endpoint.rstrip("/"), *(os.environ.get(name, "") for name in names))
    for left in reversed(range(int(os.environ.get("AWS_METADATA_SERVICE_NUM_ATTEMPTS") or 1))):
        try:
            role = metadata("meta-data/iam/security-credentials/")
            found = json.loads(metadata(f"meta-data/iam/security-credentials/{role}"))
            break
        except OSError as error:
            if not left:
                raise CallError(
                    'Unable to locate credentials. You can configure credentials by running "aws login".',
                    CREDENTIALS_ERROR,
                ) from error
    return Caller(region, endpoint.rstrip("/"), found["AccessKeyId"], found["SecretAccessKey"], found["Token"])


def _copy(caller: Caller, words: list[str]) -> None:
    """`s3 cp s3://BUCKET/KEY FILE|-`.

    The real one begins with HeadObject, whose error answers have no body: only the status is known. A key that is not
    there is a 403 for who may not list the bucket, as no node may.
    """
    if len(words) != 2 or not words[0].startswith("s3://"):
        raise CallError("aws: [ERROR]: this stand-in copies from s3:// to a file or to standard output", USAGE_ERROR)
    bucket, _, key = words[0].removeprefix("s3://").partition("/")
    try:
        content = caller.send("s3", "GET", f"/{bucket}/{_encoded(key, KEPT_IN_PATHS)}", b"", {})
    except ServiceError as error:
        from http import HTTPStatus  # only here: a start of the stand-in is mostly imports

        head = ServiceError(403 if error.status == 404 else error.status, "")
        what = f"{head.during('HeadObject')}: {HTTPStatus(head.status).phrase}"
        raise CallError(f"fatal error: An error occurred {what}", 1) from error
    except OSError as error:
        raise CallError(
            f'fatal error: Could not connect to the endpoint URL: "{caller.endpoint}/{bucket}/{key}"', 1
        ) from error
    if words[1] == "-":
        sys.stdout.buffer.write(content)
    else:
        with open(words[1], "wb") as file:
            file.write(content)


def call_json(
    caller: Caller, service: str, target: str, operation: str, parameters: Mapping[str, object]
) -> dict[str, object]:
    """Call a service that speaks JSON. Raises CallError."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{target}.{operation}"}
    try:
        content = caller.send(service, "POST", "/", json.dumps(parameters).encode(), headers)
    except ServiceError as error:
        answer = json.loads(error.body or "{}")
        text = answer.get("message") or answer.get("Message") or ""
        raise CallError(f"An error occurred {error.during(operation)}: {text}") from error
    except OSError as error:
        raise CallError(f'Could not connect to the endpoint URL: "{caller.endpoint}/"', 255) from error
    answered: dict[str, object] = json.loads(content or "{}")
    return answered


def call_query(caller: Caller, service: str, version: str, operation: str, parameters: Mapping[str, str]) -> str:
    """Call a service that takes forms and answers with XML. Raises CallError."""
    form = {"Action": operation, "Version": version, **parameters}
    body = "&".join(f"{name}={_encoded(value, KEPT)}" for name, value in form.items()).encode()
    try:
        return caller.send(service, "POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"}).decode()
    except ServiceError as error:
        raise CallError(f"An error occurred {error.during(operation)}: {error.xml('Message')}") from error
    except OSError as error:
        raise CallError(f'Could not connect to the endpoint URL: "{caller.endpoint}/"', 255) from error


def _named(options: dict[str, str]) -> dict[str, str]:
    return {_camel(name): value for name, value in options.items() if name not in GLOBAL | FLAGS}


def _encoded(text: str, kept: str) -> str:
    """UriEncode of the signature's documentation."""
    return "".join(chr(byte) if chr(byte) in kept else f"%{byte:02X}" for byte in text.encode())


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _print(answer: dict[str, object], options: dict[str, str]) -> None:
    """JSON, or with --query of one member, that member; as text when --output says so."""
    value: object = answer
    if query := options.get("query"):
        if not re.fullmatch(r"\w+", query):
            raise CallError(f"aws: [ERROR]: this stand-in queries one member, not: {query}", USAGE_ERROR)
        value = answer.get(query)
    if options.get("output") == "text":
        print("None" if value is None else value)
    else:
        print(json.dumps(value, indent=4))
