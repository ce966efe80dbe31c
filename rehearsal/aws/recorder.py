"""Who called what: `calls.jsonl`, one line for each AWS call, and `policies.json`, the policies of each role, and of
each resource that has one of its own.

Calls of the rehearsal's own administrator are not recorded: in an account no one would make them.
"""

import collections
import datetime
import io
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STRUCK_OUT = "***"
MAXIMUM_TEXT = 2000
# Parameters that are secret wherever they occur, whoever calls.
SECRET_FIELDS = frozenset(
    {"SecretString", "SecretBinary", "Password", "MasterUserPassword", "NewPassword", "PrivateKey", "Plaintext"}
)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Each call of a calls.jsonl, without a last line that is being written."""
    written, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    yield from map(json.loads, written.splitlines())


@dataclass
class Identity:
    """Whose keys sign a request. `execution` changes with every invocation of a function's process."""

    caller: str
    role_arn: str | None = None
    execution: str | None = None
    recorded: bool = True


@dataclass(frozen=True)
class Entry:
    """One AWS call as it stands in calls.jsonl; `named` is what it names, as that was before it (policies/named.py)."""

    time: str
    execution: str | None
    caller: str
    role: str | None
    service: str
    operation: str
    parameters: Mapping[str, Any]
    outcome: str
    named: Mapping[str, Any]

    def line(self) -> str:
        return json.dumps(vars(self), default=str, separators=(",", ":"))


@dataclass
class Recorder:
    """Appends to `path` as calls happen. Thread safe."""

    path: Path
    now: Callable[[], float]
    secrets: tuple[str, ...] = ()
    """The longest first: one may hold another. A new tuple for each, since calls are recorded meanwhile."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _file: io.TextIOWrapper | None = field(default=None, repr=False)
    _closed: bool = field(default=False, repr=False)
    """A call that ends after that is added to the others."""

    def register_secret(self, value: str) -> None:
        """A value that must never stand in the record, in whatever parameter it comes."""
        with self._lock:
            if value and value not in self.secrets:
                self.secrets = tuple(sorted((*self.secrets, value), key=len, reverse=True))

    def record(
        self,
        identity: Identity,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        outcome: str,
        *,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        if not identity.recorded:
            return
        entry = Entry(
            time=datetime.datetime.fromtimestamp(self.now(), datetime.UTC).isoformat(timespec="milliseconds"),
            execution=identity.execution,
            caller=identity.caller,
            role=identity.role_arn,
            service=service,
            operation=operation,
            parameters=self._struck_out(parameters),
            outcome=outcome,
            named=named or {},
        )
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a" if self._closed else "w", encoding="utf-8", buffering=1)
            self._file.write(entry.line() + "\n")

    def entries(self) -> Iterator[dict[str, Any]]:
        """What is recorded so far, as read back from the file."""
        if self.path.exists():
            yield from read(self.path)

    def count(self, execution: str | None = None) -> dict[str, int]:
        """Calls as {"service:Operation": n}, of one execution or of all."""
        return dict(
            collections.Counter(
                f"{entry['service']}:{entry['operation']}"
                for entry in self.entries()
                if execution is None or entry["execution"] == execution
            )
        )

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file, self._closed = None, True

    def _struck_out(self, value: Any, name: str = "") -> Any:
        if name in SECRET_FIELDS:
            return STRUCK_OUT
        if isinstance(value, Mapping):
            named_secret = "secret" in str(value.get("ParameterKey", "")).lower() or value.get("NoEcho")
            return {
                str(key): STRUCK_OUT if named_secret and key == "ParameterValue" else self._struck_out(member, str(key))
                for key, member in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._struck_out(member) for member in value]
        if isinstance(value, (bytes, bytearray)) or hasattr(value, "read"):
            return f"<{len(value)} bytes>" if isinstance(value, (bytes, bytearray)) else "<stream>"
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, STRUCK_OUT)
            return value if len(value) <= MAXIMUM_TEXT else f"{value[:MAXIMUM_TEXT]}… ({len(value)} characters)"
        return value


def role_policies(account: str) -> dict[str, dict[str, Any]]:
    """The policies of each role in the account, by role ARN: what policies.json holds."""
    from moto.iam.models import iam_backends

    iam = iam_backends[account]["aws"]
    return {
        role.arn: {
            "name": role.name,
            "trust": _document(role.assume_role_policy_document),
            "boundary": _boundary(iam, role.permissions_boundary_arn) if role.permissions_boundary_arn else None,
            "inline": {name: _document(document) for name, document in role.policies.items()},
            "managed": {arn: _managed(iam, arn) for arn in role.managed_policies},
        }
        for role in iam.roles.values()
    }


def _boundary(iam: Any, arn: str) -> Any:
    """A boundary that does not exist would allow nothing in AWS; it is none that could be left out here."""
    document = _managed(iam, arn)
    if document is None:
        raise KeyError(f"the permissions boundary {arn} does not exist")
    return document


def resource_policies(account: str, region: str) -> dict[str, dict[str, Any]]:
    """The policies that resources have of their own, by the resource's ARN: of keys, of buckets, of topics with their
    key and the alarms that publish to them, and of file systems with their cluster and access points.
    """
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.efs.models import efs_backends
    from moto.kms.models import kms_backends
    from moto.s3.models import s3_backends
    from moto.sns.models import sns_backends

    efs = efs_backends[account][region]
    keys = kms_backends[account][region].keys
    alarms = cloudwatch_backends[account][region].alarms.values()
    found = {
        **{key.arn: {"resource": key.policy} for key in keys.values()},
        **{
            f"arn:aws:s3:::{each.name}": {"resource": each.policy}
            for each in s3_backends[account]["aws"].buckets.values()
        },
        **{
            topic.arn: {
                "resource": topic.policy,
                "key": key.arn if (key := keys.get(topic.kms_master_key_id)) else None,
                "alarms": [a.alarm_arn for a in alarms if topic.arn in (*a.alarm_actions, *a.ok_actions)],
            }
            for topic in sns_backends[account][region].topics.values()
        },
        **{
            each.file_system_arn: {
                "resource": each.file_system_policy,
                "cluster": {tag["Key"]: tag["Value"] for tag in each.info_json()["Tags"]}.get("benchwright:cluster"),
                "access_points": [
                    p.access_point_arn for p in list(efs.access_points.values()) if p.file_system_id == name
                ],
            }
            for name, each in list(efs.file_systems_by_id.items())  # created under the lock of EFS
        },
    }
    return {
        arn: known | {"resource": _document(known["resource"])} for arn, known in found.items() if known["resource"]
    }


def _managed(iam: Any, arn: str) -> Any:
    policy = iam.managed_policies.get(arn)
    if policy is None:  # one of Amazon's own, whose documents moto has only on demand
        return None
    return next(_document(version.document) for version in policy.versions if version.is_default)


def _document(document: Any) -> Any:
    if isinstance(document, bytes):
        document = document.decode()
    if not isinstance(document, str):
        return document
    return json.loads(document if document.lstrip().startswith("{") else urllib.parse.unquote(document))
