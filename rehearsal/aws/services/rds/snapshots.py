"""Snapshots of DB clusters: they outlive their cluster. What they hold is not kept: nothing here restores one.

Source: Amazon RDS API reference, CreateDBClusterSnapshot and DescribeDBClusterSnapshots.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .model import Cluster, Databases, Resource, require
from .parameters import identifier

# An assumption. Terraform's tests take 254 for a cluster, its snapshot and both deletions, 167 to 225 without the
# snapshot (hashicorp/terraform-provider-aws#19413, #23560, #30655), and once 470 instead of 213 (#34885).
SNAPSHOT_SECONDS = 90
OF_CLUSTER = (
    *("AvailabilityZones", "ClusterCreateTime", "DBClusterIdentifier", "DbClusterResourceId", "Engine", "EngineMode"),
    *("EngineVersion", "KmsKeyId", "MasterUsername", "Port", "StorageEncrypted"),
)


@dataclass(frozen=True)
class Snapshots:
    aws: LocalAws
    databases: Databases
    snapshots: dict[str, Resource] = field(default_factory=dict)

    def create_db_cluster_snapshot(self, call: Call) -> dict[str, Any]:
        cluster = self.databases.cluster(call["DBClusterIdentifier"])
        require(cluster, "available", "InvalidDBClusterStateFault")
        snapshot = self.take(cluster, identifier(call, "DBClusterSnapshotIdentifier"), call.get("Tags") or ())
        return {"DBClusterSnapshot": snapshot.document}

    def describe_db_cluster_snapshots(self, call: Call) -> dict[str, Any]:
        for snapshot in self.snapshots.values():
            snapshot.settle(self.aws.clock.now())
        name, cluster = call.get("DBClusterSnapshotIdentifier"), call.get("DBClusterIdentifier")
        if name and name.lower() not in self.snapshots:
            raise ServiceError("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {name} not found.", 404)
        return {
            "DBClusterSnapshots": [
                each.document
                for each in self.snapshots.values()
                if name in (None, each.document["DBClusterSnapshotIdentifier"])
                and cluster in (None, each.document["DBClusterIdentifier"])
                and call.get("SnapshotType") in (None, each.document["SnapshotType"])
            ]
        }

    def take(self, cluster: Cluster, name: str, tags: Iterable[Mapping[str, str]]) -> Resource:
        if name in self.snapshots:
            raise ServiceError("DBClusterSnapshotAlreadyExistsFault", f"DBClusterSnapshot {name} already exists.")
        document = {key: cluster.document[key] for key in OF_CLUSTER if key in cluster.document} | {
            "DBClusterSnapshotIdentifier": name,
            "DBClusterSnapshotArn": self.databases.arn("cluster-snapshot", name),
            "SnapshotType": "manual",
            "SnapshotCreateTime": self.aws.clock.datetime(),
            "AllocatedStorage": 1,
            "TagList": list(tags),
        }
        snapshot = self.snapshots[name] = Resource(document, "Status")
        snapshot.go("creating", "available", self.aws.clock.now() + SNAPSHOT_SECONDS)
        return snapshot
