"""Nodes without namespaces: what real ones answered, and the AWS calls that they make meanwhile.

Scripts of builds and of user data succeed and print nothing. The document of a cluster fetches the node script, which
answers in its three modes as infra/node does: the report was recorded on a real node, and what belongs to one node or
one configuration is filled in. A node calls AWS in the order of the script, with the keys of its role, and fails with
its sentences.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme
from botocore.exceptions import BotoCoreError, ClientError

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.hosts.host import Completed, FileSystems
from rehearsal.hosts.mirror import REAL_CHECKSUMS

RECORDED: Final = json.loads(Path(__file__).with_name("node_report.json").read_text())
MOUNTS: Final = ["/efs/home", "/efs/shared-storage"]
LOOK_SECONDS: Final = 0.02
"""Wall seconds between two looks of a node whether its group takes it away."""

SECRETS: Final = ("DATABASE_SECRET", "SECURE_COOKIE_KEY_SECRET", "LICENSE_SECRET", "AUTH_SECRET", "SCIM_SECRET")


def _members(listed: str) -> list[str]:
    return [] if listed == "-" else listed.split(",")


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:32]


def _pages(asked: str) -> str:
    """What a node gets from the address of its cluster, where it is asked about it."""
    if not asked:
        return ""
    host, *addresses = asked.split()
    pages = [
        f"/ 302 https://{host}/auth-sign-in",
        "/auth-sign-in 200 ",
        "/load-balancer/status 403 ",
        "/health-check 403 ",
        "/metrics 403 ",
        "//health-check 403 ",
        "/%68ealth-check 403 ",
        "/load-balancer%2fstatus 403 ",
    ]
    lines = [f"{host} name 0 {','.join(addresses)}", *(f"{address} {page}" for address in addresses for page in pages)]
    return "\n".join(["", "=== address ===", *lines, ""])


def _provider(options: Mapping[str, str]) -> str:
    """What a node gets of the identity provider in its rserver.conf, which answers as it must."""
    answer: dict[str, Any]
    if options.get("auth-openid") == "1":
        answer = {"method": "oidc", "issuer": options["auth-openid-issuer"]}
    elif options.get("auth-saml") == "1":
        answer = {"method": "saml", "bindings": ["HTTP-POST", "HTTP-Redirect"], "expires": [2**32]}
    else:
        return ""
    return f"\n=== sign-in ===\n{json.dumps({**answer, 'place': 'the identity provider'})}\n"


class NodeFailure(Exception):
    """The script fails with this sentence."""


@dataclass
class Row:
    """A row of Workbench's node table."""

    id: int
    host: str
    ipv4: str


@dataclass
class Node:
    """One host."""

    hosts: "Hosts"
    name: str
    address: str
    metadata: Any
    file_systems: FileSystems
    script: str = ""
    configuration: str | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    licensed: bool = False
    accounts: list[str] = field(default_factory=list)
    memberships: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    probe: str | None = None
    launched: bool = False
    terminating: bool = False
    image: Path | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def mirror(self) -> "Mirror":
        return self.hosts.mirror

    def run_boot(self) -> None:
        """Start what watches for the end (image/components/node.yaml, LifecycleWatcher)."""
        threading.Thread(target=self._watch, daemon=True, name=f"lifecycle of {self.name}").start()

    def capture(self, target: Path) -> None:
        """An image without files: no one looks at them."""

    def stop(self) -> None:
        self._stopped.set()
        self.hosts.running.pop(self.name, None)

    def run(
        self,
        script: str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float,
        user: str = "root",
        directory: str = "",
        clock: Clock | None = None,
    ) -> Completed:
        """The node script, or one that succeeds."""
        if self._stopped.is_set():
            return Completed(255, "", f"{self.name} is not running\n")
        mode = (environment or {}).get("SSM_Mode")
        if mode is None:
            return Completed(0, "", "")
        try:
            self._fetch_script(script)
            if mode == "apply":
                self._apply((environment or {}).get("SSM_Configuration", ""))
            elif mode == "cluster":
                asked = (environment or {}).get("SSM_LoadBalancer", "")
                listed = self._cluster((environment or {}).get("SSM_StaleNodes", ""))
                return Completed(0, listed + _pages(asked) + _provider(self.options), "")
        except NodeFailure as failure:
            return Completed(1, self._report(mode, str(failure)), f"FAILED: {failure}\n")
        return Completed(0, self._report(mode, None), "")

    def _apply(self, configuration: str) -> None:
        with self._lock:
            if self.terminating:
                raise NodeFailure("This instance is being terminated, so it is not configured; deploy again.")
            if not all(self.file_systems.access_points.values()):
                raise NodeFailure("/efs/home cannot be mounted.")
            configuration, values = self._fetch_bundle(configuration)
            read = {}
            for secret in SECRETS:
                arn, version = values.get(f"{secret}_ARN", ""), values.get(f"{secret}_VERSION", "")
                # The database's secret is read each time, to compare; others only where their version is not in place.
                if arn and (secret == "DATABASE_SECRET" or self.secrets.get(secret) != version):
                    self._call(
                        f"The node cannot read version {version} of the secret {arn}", self._read_secret, arn, version
                    )
                read[secret] = version
            self.secrets = read
            self.probe = "70001:70000" if values["PROBE_ACCOUNT"] else None
            self.licensed = bool(read["LICENSE_SECRET"] or values.get("LICENSE_SERVER"))
            self.configuration = configuration
            self.hosts.join(self)
            if not self.launched:
                self._complete_launch()
                self.launched = True

    def _read(self, name: str) -> bytes:
        """An object of the cluster's configuration."""
        key = f"clusters/{self.cluster}/configuration/{name}"
        return bytes(self._client("s3").get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def _fetch_script(self, document: str) -> None:
        """Once, as the node keeps it."""
        (wanted,) = re.findall(r"SCRIPT='([0-9a-f]{64})'", document)
        if self.script == wanted:
            return
        archive = self._call("This node cannot read its script", self._read, f"node-{wanted}.tar.gz")
        if hashlib.sha256(archive).hexdigest() != wanted:
            raise NodeFailure("The script is not what was published.")
        self.script = wanted

    def _fetch_bundle(self, configuration: str) -> tuple[str, dict[str, str]]:
        configuration = configuration or (self.launched and self.configuration) or ""
        if not configuration:
            configuration = self._call("The node cannot read current", self._read, "current").decode()
        archive = self._call("The node cannot read the bundle", self._read, f"{configuration}.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(archive)) as bundle:
            names = ("env", "users", "groups", "files/etc/rstudio/rserver.conf")
            env, users, groups, options = (bundle.extractfile(name) for name in names)
            assert env and users and groups and options
            values = dict(line.split("=", 1) for line in env.read().decode().splitlines())
            accounts = sorted(":".join(line.split()[:3]) for line in users.read().decode().splitlines())
            listed = [line.split() for line in groups.read().decode().splitlines()]
            memberships = [f"{name}:{gid}:{each}" for name, gid, all_ in listed for each in ("", *_members(all_))]
            self.options = dict(line.split("=", 1) for line in options.read().decode().splitlines())
        if values["CONFIGURATION"] != configuration:
            raise NodeFailure(f"The bundle says that it is configuration {values['CONFIGURATION']!r}; deploy again.")
        self.accounts, self.memberships = accounts, sorted(memberships)
        return configuration, values

    def _read_secret(self, arn: str, version: str) -> None:
        self._client("secretsmanager").get_secret_value(SecretId=arn, VersionId=version)

    def _complete_launch(self) -> None:
        group = self._tag("aws:autoscaling:groupName")
        try:
            self._client("autoscaling").complete_lifecycle_action(
                AutoScalingGroupName=group,
                LifecycleHookName="configured",
                InstanceId=self.metadata.id,
                LifecycleActionResult="CONTINUE",
            )
        except (ClientError, BotoCoreError) as error:
            if "No active Lifecycle Action found" not in str(error):
                raise NodeFailure(
                    f"The group {group} cannot be notified that {self.metadata.id} is configured: {error}"
                ) from error

    def _watch(self) -> None:
        """Until the group takes the node away: then stop Workbench, whose row goes, and notify the group."""
        while not self._stopped.wait(LOOK_SECONDS):
            if self.metadata.lifecycle_state() == "Terminated":
                break
        if self._stopped.is_set():
            return
        self.terminating = True
        with self._lock:
            self.hosts.leave(self)
        for _ in range(60):
            try:
                self._client("autoscaling").complete_lifecycle_action(
                    AutoScalingGroupName=self._tag("aws:autoscaling:groupName"),
                    LifecycleHookName="stop-services",
                    InstanceId=self.metadata.id,
                    LifecycleActionResult="CONTINUE",
                )
                return
            except (ClientError, BotoCoreError):
                time.sleep(LOOK_SECONDS)

    def _cluster(self, stale: str) -> str:
        self.hosts.delete_rows(self, lambda row: str(row.id) in stale.split())
        table = list(self.hosts.table(self))
        lines = [("ID", "Host", "IPv4", "Port", "Status", "Last Seen")]
        for row in table:
            status = "Online" if self.hosts.is_online(row) else "Offline"
            lines.append((str(row.id), row.ipv4, row.ipv4, "8787", status, "2026-Nov-22 12:00:00"))
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        listed = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )
        online = [row.ipv4 for row in table if self.hosts.is_online(row)]
        balanced = "".join(f"{ipv4}:8787 \N{EN DASH} {ipv4}  Load: 4.6, 2.5, 2\n" for ipv4 in online)
        return f"Cluster\n-------\nProtocol\nHttp\n\nNodes\n-----\n{listed}\n\n=== load-balancer status ===\n{balanced}"

    def _report(self, mode: str, error: str | None) -> str:
        active = "active" if self.configuration else "inactive"
        return json.dumps(
            {
                **RECORDED,
                "mode": mode,
                "instance": self.metadata.id,
                "ami": self.metadata.image_id,
                "host": self.name,
                "ipv4": self.address,
                "configuration": self.configuration,
                "users": {"count": len(self.accounts), "digest": _digest(self.accounts)},
                "groups": _digest(self.memberships),
                "license": "Activated" if self.licensed else "missing",
                "services": {"rstudio-server": active, "rstudio-launcher": active},
                "health": "ok" if self.configuration else "no answer",
                "probe": self.probe,
                "error": error,
            },
            separators=(",", ":"),
        )

    def _call(self, complaint: str, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (ClientError, BotoCoreError) as error:
            raise NodeFailure(f"{complaint}: {error}. Check that the node role may.") from error

    def _client(self, service: str) -> Any:
        return self.hosts.aws.client(service, self.metadata.role_arn, self.metadata.id, attempts=5)

    @property
    def cluster(self) -> str:
        return self._tag("benchwright:cluster")

    def _tag(self, key: str) -> str:
        return str(self.metadata.all_tags[key])

    @property
    def _bucket(self) -> str:
        line = next(line for line in self.metadata.user_data.splitlines() if line.startswith("BUCKET="))
        return str(line).partition("=")[2].strip("'")


class Mirror:
    """Downloads are as they were pinned."""

    def __init__(self) -> None:
        self.authority = trustme.CA(organization_name="Rehearsal", organization_unit_name="RDS Root CA")

    def checksum(self, url: str, algorithm: str) -> str | None:
        known, value = REAL_CHECKSUMS[url]
        return value if known == algorithm else None


@dataclass
class Hosts:
    """All nodes of the account, and the node tables of their clusters."""

    directory: Path
    aws: LocalAws = field(init=False)
    mirror: Mirror = field(default_factory=Mirror)
    running: dict[str, Node] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    _rows: int = 0
    _addresses: int = 0
    _changing: threading.Lock = field(default_factory=threading.Lock)
    """Nodes join and leave at the same time, as transactions of the database that holds the table."""

    def wake(self, aws: LocalAws) -> None:
        self.aws = aws
        aws.balancing.probe = lambda _group, target, _source: (
            200 if target.machine.host in list(self.running.values()) else 503
        )
        names = aws.directory / "functions/hosts"
        names.write_text("127.0.0.1 localhost\n")
        subprocess.run(["mount", "--bind", str(names), "/etc/hosts"], check=True, timeout=10)

    def described(self, cluster: str, configuration: str) -> Iterator[str]:
        for node in list(self.running.values()):
            if node.cluster == cluster:
                found = "the recorded configuration" if node.configuration == configuration else node.configuration
                yield f"files on a node of {cluster}: {found}"
        for row in self.tables.get(cluster, []):
            yield f"row of {cluster} {'Online' if self.is_online(row) else 'Offline'}"

    def boot(self, name: str, address: str, *, image: Path | None, metadata: Any, file_systems: FileSystems) -> Node:
        node = self.running[name] = Node(self, name, address, metadata, file_systems)
        return node

    def add_name(self, name: str, address: str | None = None) -> str:
        """The address of a service: one of the loopback's own for each."""
        if address is None:
            self._addresses += 1
            address = f"127.0.1.{self._addresses}"
        return address

    def stop(self) -> None:
        for node in list(self.running.values()):
            node.stop()

    def table(self, node: Node) -> list[Row]:
        return self.tables.setdefault(node.cluster, [])

    def join(self, node: Node) -> None:
        with self._changing:
            if not any(row.ipv4 == node.address for row in self.table(node)):
                self._rows += 1
                self.table(node).append(Row(self._rows, node.name, node.address))

    def leave(self, node: Node) -> None:
        self.delete_rows(node, lambda row: row.ipv4 == node.address)

    def delete_rows(self, node: Node, goes: Callable[[Row], bool]) -> None:
        with self._changing:
            table = self.table(node)
            table[:] = [row for row in table if not goes(row)]

    def is_online(self, row: Row) -> bool:
        return row.host in self.running
