"""The instance metadata service, version 2, at http://169.254.169.254 of the rehearsal's network.

It knows a node by the address a request comes from, as the real one knows an instance by its network interface. Only
token requests are answered, and packets may make one hop
(docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).
"""

import contextlib
import json
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from rehearsal.hosts.network import METADATA_ADDRESS
from rehearsal.launcher import stop_serving

MAXIMUM_TOKEN_SECONDS = 21_600


class InstanceMetadata(Protocol):
    """What the metadata service says about one instance.

    An instance whose tags are visible has `tags` besides: a dict of strings.
    """

    @property
    def instance_id(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def availability_zone(self) -> str: ...
    @property
    def role_name(self) -> str: ...
    @property
    def user_data(self) -> str: ...
    def credentials(self) -> dict[str, str]:
        """AccessKeyId, SecretAccessKey and Token of the instance's role; Expiration is optional."""

    def lifecycle_state(self) -> str:
        """`InService`, or `Terminated` once the Auto Scaling group ends the instance."""


class MetadataService:
    """The server and the instances that it knows."""

    def __init__(self, account: str = "123456789012") -> None:
        self.account = account
        self.instances: dict[str, InstanceMetadata] = {}
        self.silent: dict[str, Callable[[str], bool]] = {}
        """By the address of an instance: whether a request for this path stays without an answer for ever."""
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen on the bridge's metadata address: the network must be there."""
        self._server = _Server((METADATA_ADDRESS, 80), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, name="metadata service", daemon=True).start()

    def stop(self) -> None:
        if self._server:
            stop_serving(self._server)

    def issue_token(self, address: str, seconds: int) -> str:
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens[token] = (address, time.monotonic() + seconds)
        return token

    def accepts(self, address: str, token: str | None) -> bool:
        with self._lock:
            owner, until = self._tokens.get(token or "", ("", 0.0))
        return owner == address and time.monotonic() < until

    def lookup(self, address: str, path: str) -> str | None:
        """The text at `path` (below /latest), the listing of a folder when it ends in `/`, or None for 404."""
        tree = self._tree(self.instances[address])
        if path in tree:
            return tree[path]()
        folder = path if path.endswith("/") or not path else path + "/"
        entries = {key[len(folder) :].partition("/") for key in tree if key.startswith(folder)}
        return "\n".join(sorted({name + slash for name, slash, _ in entries})) or None

    def _tree(self, instance: InstanceMetadata) -> dict[str, Callable[[], str]]:
        zone = instance.availability_zone
        region = zone[:-1]
        host = f"ip-{instance.address.replace('.', '-')}.ec2.internal"
        constants = {
            "meta-data/ami-id": instance.image_id,
            "meta-data/instance-id": instance.instance_id,
            "meta-data/instance-type": _instance_type(instance),
            "meta-data/local-ipv4": instance.address,
            "meta-data/local-hostname": host,
            "meta-data/hostname": host,
            "meta-data/placement/availability-zone": zone,
            "meta-data/placement/region": region,
            "meta-data/services/domain": "amazonaws.com",
            "meta-data/services/partition": "aws",
        }
        tags: dict[str, str] = getattr(instance, "tags", None) or {}
        constants |= {f"meta-data/tags/instance/{name}": value for name, value in tags.items()}
        tree: dict[str, Callable[[], str]] = {path: partial(str, value) for path, value in constants.items()}
        tree["meta-data/autoscaling/target-lifecycle-state"] = instance.lifecycle_state
        tree["dynamic/instance-identity/document"] = lambda: json.dumps(self._identity(instance), indent=2)
        if instance.user_data:
            tree["user-data"] = lambda: instance.user_data
        if instance.role_name:
            role = f"meta-data/iam/security-credentials/{instance.role_name}"
            tree[role] = lambda: json.dumps(_credentials(instance), indent=2)
        return tree

    def _identity(self, instance: InstanceMetadata) -> dict[str, Any]:
        return {
            "accountId": self.account,
            "architecture": "x86_64",
            "availabilityZone": instance.availability_zone,
            "imageId": instance.image_id,
            "instanceId": instance.instance_id,
            "instanceType": _instance_type(instance),
            "privateIp": instance.address,
            "region": instance.availability_zone[:-1],
            "version": "2017-09-30",
        }


def _instance_type(instance: InstanceMetadata) -> str:
    return str(getattr(instance, "instance_type", None) or "m6i.xlarge")


def _credentials(instance: InstanceMetadata) -> dict[str, str]:
    hour_ahead = datetime.fromtimestamp(time.time() + 6 * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fixed = {"Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC", "Expiration": hour_ahead}
    return fixed | instance.credentials()


def _never(_: str) -> bool:
    return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)  # HttpPutResponseHopLimit: 1
        socketserver.TCPServer.server_bind(self)  # not HTTPServer's, which asks a name server for this machine's name
        self.server_name, self.server_port = METADATA_ADDRESS, 80


def _handler_of(service: MetadataService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            if not service.silent.get(self._address, _never)(self.path):
                return True
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the client gives up
            return False

        def do_PUT(self) -> None:
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if self.path != "/latest/api/token" or self._address not in service.instances:
                self._answer(404)
            elif "X-Forwarded-For" in self.headers:
                self._answer(403)
            elif not seconds.isdecimal() or not 1 <= int(seconds) <= MAXIMUM_TOKEN_SECONDS:
                self._answer(400)
            else:
                self._answer(200, service.issue_token(self._address, int(seconds)))

        def do_GET(self) -> None:
            version, _, path = self.path.lstrip("/").partition("/")
            if self._address not in service.instances or version != "latest":
                self._answer(404)
            elif not service.accepts(self._address, self.headers.get("X-aws-ec2-metadata-token")):
                self._answer(401)
            else:
                text = service.lookup(self._address, path)
                self._answer(404) if text is None else self._answer(200, text)

        @property
        def _address(self) -> str:
            return str(self.client_address[0])

        def _answer(self, status: int, text: str = "") -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
