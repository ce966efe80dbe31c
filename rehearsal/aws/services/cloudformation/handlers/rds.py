"""Aurora: clusters, instances, subnet groups and parameter groups."""

import re
from typing import Any

from ..context import Context, Made, Properties
from ..errors import ResourceFailed
from ..handler import Handler, Tagging
from ..service_call import call

# Between two looks (aws-cloudformation/aws-cloudformation-resource-providers-rds, BaseHandlerStd.java).
LOOK_SECONDS = 30


def identifier(generated: str) -> str:
    """A generated name of a cluster or an instance without the hyphens that RDS refuses.

    Source: IdentifierFactory of https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds
    """
    return re.sub("-{2,}", "-", generated).strip("-")


class SubnetGroup(Handler):
    type = "AWS::RDS::DBSubnetGroup"
    tagging = Tagging("ResourceName", "subgrp:{}", operations=("AddTagsToResource", "RemoveTagsFromResource"))
    updates = ("ModifyDBSubnetGroup", "DBSubnetGroupName")
    deletes = ("DeleteDBSubnetGroup", "DBSubnetGroupName")

    def create(self, context: Context, properties: Properties) -> Made:
        name = (properties.get("DBSubnetGroupName") or context.name(255)).lower()
        call(context.client("rds"), "CreateDBSubnetGroup", properties, DBSubnetGroupName=name)
        return Made(name)


class ClusterParameterGroup(Handler):
    type = "AWS::RDS::DBClusterParameterGroup"
    seconds = 15
    tagging = Tagging("ResourceName", "cluster-pg:{}", operations=("AddTagsToResource", "RemoveTagsFromResource"))
    deletes = ("DeleteDBClusterParameterGroup", "DBClusterParameterGroupName")

    def create(self, context: Context, properties: Properties) -> Made:
        name = (properties.get("DBClusterParameterGroupName") or context.name(255)).lower()
        call(
            context.client("rds"),
            "CreateDBClusterParameterGroup",
            DBClusterParameterGroupName=name,
            DBParameterGroupFamily=properties["Family"],
            Description=properties["Description"],
            Tags=properties.get("Tags"),
        )
        context.identify(name)
        self._set(context, name, properties)
        return Made(name)

    def _set(self, context: Context, name: str, properties: Properties) -> None:
        """RDS takes twenty parameters in a call."""
        parameters = [
            {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for key, value in properties["Parameters"].items()
        ]
        for start in range(0, len(parameters), 20):
            call(
                context.client("rds"),
                "ModifyDBClusterParameterGroup",
                DBClusterParameterGroupName=name,
                Parameters=parameters[start : start + 20],
            )

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._set(context, physical_id, new)
        return {}


class Cluster(Handler):
    type = "AWS::RDS::DBCluster"
    seconds = LOOK_SECONDS
    tagging = Tagging("ResourceName", "cluster:{}", operations=("AddTagsToResource", "RemoveTagsFromResource"))

    def create(self, context: Context, properties: Properties) -> Made:
        name = (properties.get("DBClusterIdentifier") or identifier(context.name(63))).lower()
        key = properties.get("MasterUserSecret", {}).get("KmsKeyId")
        call(
            context.client("rds"), "CreateDBCluster", properties, DBClusterIdentifier=name, MasterUserSecretKmsKeyId=key
        )
        return Made(name)

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        cluster = context.until(
            lambda: self._available(context, physical_id),
            within=3600,
            every=LOOK_SECONDS,
            what=f"cluster {physical_id}",
        )
        return {
            "DBClusterArn": cluster["DBClusterArn"],
            "DBClusterResourceId": cluster["DbClusterResourceId"],
            "Endpoint.Address": cluster["Endpoint"],
            "Endpoint.Port": str(cluster["Port"]),
            "ReadEndpoint.Address": cluster.get("ReaderEndpoint"),
            "MasterUserSecret.SecretArn": cluster.get("MasterUserSecret", {}).get("SecretArn"),
        }

    def _available(self, context: Context, name: str) -> dict[str, Any] | None:
        (cluster,) = context.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        if "fail" in cluster["Status"] or cluster["Status"].startswith("in"):
            raise ResourceFailed(f"DB Cluster is in status {cluster['Status']}")
        return dict(cluster) if cluster["Status"] == "available" else None

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        key = new.get("MasterUserSecret", {}).get("KmsKeyId")
        changed = {name: value for name, value in new.items() if dict.get(old, name) != value}
        new.read |= set(_MODIFIABLE)
        call(
            context.client("rds"),
            "ModifyDBCluster",
            {name: value for name, value in changed.items() if name in _MODIFIABLE},
            DBClusterIdentifier=physical_id,
            ApplyImmediately=True,
            MasterUserSecretKmsKeyId=key if "MasterUserSecret" in changed else None,
        )
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        rds = context.client("rds")
        final = f"{context.name(63)}-snapshot"[-63:].lower().lstrip("-0123456789") if context.snapshot else None
        call(
            rds,
            "DeleteDBCluster",
            DBClusterIdentifier=physical_id,
            SkipFinalSnapshot=final is None,
            FinalDBSnapshotIdentifier=final,
        )

        def gone() -> bool:
            try:
                return not rds.describe_db_clusters(DBClusterIdentifier=physical_id)["DBClusters"]
            except rds.exceptions.DBClusterNotFoundFault:
                return True

        context.until(gone, within=3600, every=LOOK_SECONDS, what=f"cluster {physical_id}")


_MODIFIABLE = (
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBClusterParameterGroupName",
    "DeletionProtection",
    "EnableHttpEndpoint",
    "EnableIAMDatabaseAuthentication",
    "EngineVersion",
    "ManageMasterUserPassword",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "ServerlessV2ScalingConfiguration",
    "VpcSecurityGroupIds",
)


class Instance(Handler):
    type = "AWS::RDS::DBInstance"
    seconds = LOOK_SECONDS
    tagging = Tagging("ResourceName", "db:{}", operations=("AddTagsToResource", "RemoveTagsFromResource"))

    def create(self, context: Context, properties: Properties) -> Made:
        name = (properties.get("DBInstanceIdentifier") or identifier(context.name(63))).lower()
        call(context.client("rds"), "CreateDBInstance", properties, DBInstanceIdentifier=name)
        return Made(name)

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        instance = context.until(
            lambda: self._available(context, physical_id),
            within=3600,
            every=LOOK_SECONDS,
            what=f"instance {physical_id}",
        )
        endpoint = instance.get("Endpoint", {})
        return {
            "DBInstanceArn": instance["DBInstanceArn"],
            "DbiResourceId": instance.get("DbiResourceId"),
            "Endpoint.Address": endpoint.get("Address"),
            "Endpoint.Port": str(endpoint.get("Port", "")),
        }

    def _available(self, context: Context, name: str) -> dict[str, Any] | None:
        (instance,) = context.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        if "fail" in instance["DBInstanceStatus"] or instance["DBInstanceStatus"].startswith("incompatible"):
            raise ResourceFailed(f"DB Instance is in status {instance['DBInstanceStatus']}")
        return dict(instance) if instance["DBInstanceStatus"] == "available" else None

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        changed = {name: value for name, value in new.items() if dict.get(old, name) != value}
        call(
            context.client("rds"), "ModifyDBInstance", changed, DBInstanceIdentifier=physical_id, ApplyImmediately=True
        )
        new.read |= set(changed)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        rds = context.client("rds")
        rds.delete_db_instance(DBInstanceIdentifier=physical_id, SkipFinalSnapshot=True)

        def gone() -> bool:
            try:
                return not rds.describe_db_instances(DBInstanceIdentifier=physical_id)["DBInstances"]
            except rds.exceptions.DBInstanceNotFoundFault:
                return True

        context.until(gone, within=3600, every=LOOK_SECONDS, what=f"instance {physical_id}")
