"""DB instances of clusters."""

import string
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .clusters import CHANGE_SECONDS
from .model import ENGINE, Databases, Resource, characters, require
from .parameters import filtered, identifier, shown

# The first one, which becomes the writer: four public logs of Terraform have 373 to 509 (509: bshehram/
# myservice-devops-aws-tf, SAMPLE_TF_APPLY.md), the median 387. One that is created with it was available 360 after it
# in one of these logs, and 445 in another one; the median is 403.
INSTANCE_SECONDS = 390
FURTHER_INSTANCE_SECONDS = 405
# In Terraform's 455, 455 and 719 (bshehram/myservice-devops-aws-tf, SAMPLE_TF_DESTROY.md), 589 and 707
# (tungbq/aws-lab-with-terraform#100), the median 589.
INSTANCE_DELETION_SECONDS = 590


# What belongs to the cluster and is refused on one of its instances.
OF_THE_CLUSTER = (
    *("AllocatedStorage", "BackupRetentionPeriod", "DeletionProtection", "EnableIAMDatabaseAuthentication"),
    *("ManageMasterUserPassword", "MasterUserPassword", "MasterUsername", "StorageEncrypted"),
)


@dataclass(frozen=True)
class Instances:
    aws: LocalAws
    databases: Databases

    def create_db_instance(self, call: Call) -> dict[str, Any]:
        name = identifier(call, "DBInstanceIdentifier")
        if name in self.databases.instances:
            raise ServiceError("DBInstanceAlreadyExistsFault", "DB instance already exists")
        if not call.get("DBClusterIdentifier"):
            raise ServiceError("InvalidParameterCombination", "The rehearsal has only instances of clusters.")
        for parameter in OF_THE_CLUSTER:
            if call.get(parameter) is not None:
                raise ServiceError(
                    "InvalidParameterCombination",
                    f"The requested DB Instance will be a member of a DB Cluster. Set {parameter} for the DB Cluster.",
                )
        cluster = self.databases.cluster(call["DBClusterIdentifier"])
        if cluster.status == "deleting":
            require(cluster, "available", "InvalidDBClusterStateFault")
        if call["Engine"] != ENGINE:
            raise ServiceError("InvalidParameterCombination", f"The cluster's engine is {ENGINE}, not {call['Engine']}")
        if call["DBInstanceClass"] == "db.serverless" and not cluster.document.get("ServerlessV2ScalingConfiguration"):
            raise ServiceError(
                "InvalidDBClusterStateFault",
                "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a "
                "Serverless v2 DB instance.",
            )
        if not cluster.postgres.running:
            with self.aws.clock.busy():
                cluster.postgres.start()
            if database := cluster.document.get("DatabaseName"):
                owner = cluster.document["MasterUsername"]
                cluster.postgres.execute(f'CREATE DATABASE "{database}" OWNER "{owner}"')
        members = self.databases.members(cluster)
        document = {
            "DBInstanceIdentifier": name,
            "DBInstanceArn": self.databases.arn("db", name),
            "DbiResourceId": f"db-{characters(26, string.ascii_uppercase + string.digits)}",
            "AutoMinorVersionUpgrade": True,
            "AvailabilityZone": call.get("AvailabilityZone", f"{self.aws.region}{'abc'[len(members) % 3]}"),
            "CACertificateIdentifier": call.get("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
            "DBClusterIdentifier": cluster.document["DBClusterIdentifier"],
            "DBInstanceClass": call["DBInstanceClass"],
            "Endpoint": {
                "Address": f"{name}.{cluster.unique}.{self.aws.region}.rds.amazonaws.com",
                "Port": cluster.document["Port"],
            },
            "Engine": ENGINE,
            "EngineVersion": cluster.document["EngineVersion"],
            "InstanceCreateTime": self.aws.clock.datetime(),
            "MasterUsername": cluster.document["MasterUsername"],
            "PromotionTier": 1,
            "PubliclyAccessible": False,
            "StorageEncrypted": cluster.document["StorageEncrypted"],
            **shown(call),
        }
        document.pop("DBSubnetGroup", None)  # on an instance a structure, and the cluster's own
        instance = self.databases.instances[name] = Resource(document, "DBInstanceStatus")
        now = self.aws.clock.now()
        at = now + INSTANCE_SECONDS
        if members:
            first = members[0].at if members[0].becomes == "available" else now  # seen as such at a look only
            at = max(now, first) + FURTHER_INSTANCE_SECONDS
        instance.go("creating", "available", at)
        self.databases.name(document["Endpoint"]["Address"], self.aws.names[cluster.document["Endpoint"]])
        return {"DBInstance": document}

    def describe_db_instances(self, call: Call) -> dict[str, Any]:
        wanted = call.get("DBInstanceIdentifier")
        found = [self.databases.instance(wanted)] if wanted else list(self.databases.instances.values())
        clusters, names = filtered(call, "db-cluster-id"), filtered(call, "db-instance-id")
        return {
            "DBInstances": [
                instance.document
                for instance in found
                if (clusters is None or instance.document["DBClusterIdentifier"] in clusters)
                and (names is None or instance.document["DBInstanceIdentifier"] in names)
            ]
        }

    def modify_db_instance(self, call: Call) -> dict[str, Any]:
        instance = self.databases.instance(call["DBInstanceIdentifier"])
        require(instance, "available", "InvalidDBInstanceStateFault")
        instance.document.update(shown(call))
        for parameter in ("DBInstanceClass", "CACertificateIdentifier"):
            if parameter in call.parameters:
                instance.document[parameter] = call[parameter]
        instance.go("modifying", "available", self.aws.clock.now() + CHANGE_SECONDS)
        return {"DBInstance": instance.document}

    def delete_db_instance(self, call: Call) -> dict[str, Any]:
        instance = self.databases.instance(call["DBInstanceIdentifier"])
        if instance.status == "deleting":
            require(instance, "available", "InvalidDBInstanceStateFault")
        instance.go("deleting", "gone", self.aws.clock.now() + INSTANCE_DELETION_SECONDS)
        return {"DBInstance": instance.document}
