"""The last snapshot of a cluster's database, and every other one that outlives it.

Source: Amazon RDS API reference, CreateDBClusterSnapshot and DescribeDBClusterSnapshots; manual snapshots, and those
of AWS Backup, stay when their cluster goes, and cannot be read without its key (Aurora user guide).
"""

from __future__ import annotations

import hashlib

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import DatabaseFailed, error_code
from benchwright.settings import settings


def name_of(cluster: str, stack: str, planned_by: str) -> str:
    """Return the name of the final snapshot: at most 63 characters, another one for each life of the cluster.

    planned_by: the last deployment. Since an execution that ended after its snapshot, people may have used the cluster
    again only if there is another deployment: nodes go before the snapshot is taken.
    """
    life = hashlib.sha256(f"{stack} {planned_by}".encode()).hexdigest()
    return f"{settings().application}-{cluster}-final-{life[:5]}"


def take(database: str, name: str, tags: dict[str, str]) -> str:
    """Take a snapshot of a database, or look at it; return what is waited for, empty once it is there.

    A database that is gone has none to take: an earlier execution deleted it.
    """
    rds = client("rds")
    try:
        status = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"][0]["Status"]
    except ClientError as error:
        if error_code(error) not in ("DBClusterSnapshotNotFoundFault", "DBClusterSnapshotNotFound"):
            raise
        status = ""
    if status == "available":
        return ""
    if status == "failed":
        raise DatabaseFailed(
            f"The snapshot {name} of the database {database} failed. Look at the events of the database in the RDS "
            'console, delete the snapshot, and start again; or give "final_snapshot": false to keep none.'
        )
    if status:
        return f"RDS: the snapshot {name} is {status}"
    try:
        rds.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier=database,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    except ClientError as error:
        if error_code(error) in ("DBClusterNotFoundFault", "DBClusterNotFound"):
            return ""
        if error_code(error) in ("InvalidDBClusterStateFault", "DBClusterSnapshotAlreadyExistsFault"):
            return f"RDS: the database {database} to take a snapshot"
        raise
    return f"RDS: the snapshot {name} is taken"


def outliving(database: str) -> dict[str, str]:
    """Return the snapshots that outlive a database, with the key that each needs."""
    found = {}
    for kind in ("manual", "awsbackup"):
        pages = (
            client("rds")
            .get_paginator("describe_db_cluster_snapshots")
            .paginate(DBClusterIdentifier=database, SnapshotType=kind)
        )
        for snapshot in (each for page in pages for each in page["DBClusterSnapshots"]):
            found[snapshot["DBClusterSnapshotIdentifier"]] = snapshot.get("KmsKeyId", "")
    return found
