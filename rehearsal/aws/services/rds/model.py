"""Clusters and instances as the documents that the API shows, in states that they reach on AWS time."""

import contextlib
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import trustme

from rehearsal.aws.calls import ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import Postgres, Refusal

ENGINE = "aurora-postgresql"


@dataclass
class Resource:
    """A cluster or an instance: what the API shows of it, and the state that it reaches at a moment of AWS time."""

    document: dict[str, Any]
    status_key: str
    becomes: str = ""
    at: float = 0

    @property
    def status(self) -> str:
        return str(self.document[self.status_key])

    def go(self, status: str, becomes: str, at: float) -> None:
        self.document[self.status_key], self.becomes, self.at = status, becomes, at

    def settle(self, now: float) -> bool:
        """Reach the state whose time has come; returns whether the thing still exists."""
        if self.becomes and now >= self.at:
            if self.becomes == "gone":
                return False
            self.document[self.status_key], self.becomes = self.becomes, ""
        return True


@dataclass(kw_only=True)
class Cluster(Resource):
    """A DB cluster, its server, and the part of its names that no other cluster has."""

    unique: str
    postgres: Postgres
    refuses: Refusal | None = None

    @property
    def secret(self) -> str:
        return str(self.document.get("MasterUserSecret", {}).get("SecretArn", ""))


@dataclass
class Databases:
    """All clusters and instances of the account."""

    aws: LocalAws
    authority: trustme.CA
    clusters: dict[str, Cluster] = field(default_factory=dict)
    instances: dict[str, Resource] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """One operation at a time, each on what there is at its moment."""
        with self.lock:
            self._settle()
            yield

    def _settle(self) -> None:
        """Let everything reach the state whose time has come."""
        now = self.aws.clock.now()
        for name, instance in list(self.instances.items()):
            if not instance.settle(now):
                del self.instances[name]
        for name, cluster in list(self.clusters.items()):
            if not cluster.settle(now):
                cluster.postgres.stop()
                self.aws.client("secretsmanager").delete_secret(
                    SecretId=cluster.secret, ForceDeleteWithoutRecovery=True
                )
                del self.clusters[name]
            elif cluster.status == "available":
                cluster.document["MasterUserSecret"]["SecretStatus"] = "active"

    def cluster(self, name: str) -> Cluster:
        """The cluster of this identifier or ARN."""
        cluster = self.clusters.get(name.rsplit(":", 1)[-1].lower())
        if cluster is None:
            raise ServiceError("DBClusterNotFoundFault", f"DBCluster {name} not found.")
        return cluster

    def instance(self, name: str) -> Resource:
        """The instance of this identifier or ARN."""
        instance = self.instances.get(name.rsplit(":", 1)[-1].lower())
        if instance is None:
            raise ServiceError("DBInstanceNotFoundFault", f"DBInstance {name} not found.")
        return instance

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:rds:{self.aws.region}:{self.aws.account}:{kind}:{name}"

    def by_arn(self, arn: str) -> Resource | None:
        kind, name = arn.split(":")[-2:]
        found: Mapping[str, Resource] = {"cluster": self.clusters, "db": self.instances}.get(kind, {})  # type: ignore[assignment]
        return found.get(name)

    def members(self, cluster: Cluster) -> list[Resource]:
        name = cluster.document["DBClusterIdentifier"]
        return [instance for instance in self.instances.values() if instance.document["DBClusterIdentifier"] == name]

    def name(self, name: str, address: str) -> None:
        self.aws.names[name] = address
        if self.aws.hosts is not None:
            self.aws.hosts.add_name(name, address)


def require(thing: Resource, status: str, code: str) -> None:
    if thing.status != status:
        raise ServiceError(code, f"It is {thing.status}, not {status}.")


def characters(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
