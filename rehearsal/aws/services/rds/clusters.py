"""DB clusters, each with a real PostgreSQL."""

import string
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import Postgres
from rehearsal.aws.services import account

from .engine_versions import VERSIONS, family, number, refuse_too_few_zones
from .master_secrets import PASSWORD, MasterSecrets
from .model import ENGINE, Cluster, Databases, characters, require
from .parameters import check_capacity, filtered, identifier, security_groups, shown
from .snapshots import Snapshots

# Four public logs of Terraform, which looks every 10, have 42 to 61 (61: bshehram/myservice-devops-aws-tf,
# SAMPLE_TF_APPLY.md), the median 48. With its two instances it takes 14 minutes: 10 to 20, says
# aws/agent-toolkit-for-aws, creating-amazon-aurora-db-cluster-with-instances.
CLUSTER_SECONDS = 50
CHANGE_SECONDS = 30  # 28 to 32 in Terraform's (hashicorp/terraform-provider-aws#45575)
# 70 in Terraform's (bshehram/myservice-devops-aws-tf, SAMPLE_TF_DESTROY.md), 63 (tungbq/aws-lab-with-terraform#100).
CLUSTER_DELETION_SECONDS = 70


@dataclass(frozen=True)
class Clusters:
    aws: LocalAws
    databases: Databases
    master_secrets: MasterSecrets
    snapshots: Snapshots

    def create_db_cluster(self, call: Call) -> dict[str, Any]:
        name = identifier(call, "DBClusterIdentifier")
        if name in self.databases.clusters:
            raise ServiceError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {name}")
        if call["Engine"] != ENGINE:
            raise ServiceError("InvalidParameterValue", f"The rehearsal has only the engine {ENGINE}.")
        if not account.role_works(self.aws, "rds"):
            raise ServiceError(
                "InvalidParameterValue",
                "Unable to create the resource. Verify that you have permission to create service linked role. "
                "Otherwise wait and try again later",
            )
        version = call.get("EngineVersion", VERSIONS[-1])
        if version not in VERSIONS:
            raise ServiceError("InvalidParameterCombination", f"Cannot find version {version} for {ENGINE}")
        if not call.get("ManageMasterUserPassword") or call.get("MasterUserPassword"):
            raise ServiceError(
                "InvalidParameterCombination", "The rehearsal wants ManageMasterUserPassword and no MasterUserPassword."
            )
        self._check_groups(call, version)
        unique = characters(12, string.ascii_lowercase + string.digits)
        suffix = f"{unique}.{self.aws.region}.rds.amazonaws.com"
        document = {
            "DBClusterIdentifier": name,
            "DBClusterArn": self.databases.arn("cluster", name),
            "DbClusterResourceId": f"cluster-{characters(26, string.ascii_uppercase + string.digits)}",
            "AllocatedStorage": 1,
            "AutoMinorVersionUpgrade": True,
            "AvailabilityZones": [f"{self.aws.region}{zone}" for zone in "abc"],
            "BackupRetentionPeriod": 1,
            "ClusterCreateTime": self.aws.clock.datetime(),
            "CopyTagsToSnapshot": False,
            "DBClusterMembers": [],
            "DBClusterParameterGroup": f"default.{family(version)}",
            "DeletionProtection": False,
            "Endpoint": f"{name}.cluster-{suffix}",
            "Engine": ENGINE,
            "EngineMode": "provisioned",
            "EngineVersion": version,
            "HttpEndpointEnabled": False,
            "IAMDatabaseAuthenticationEnabled": False,
            "MultiAZ": False,
            "NetworkType": "IPV4",
            "Port": call.get("Port", 5432),
            "ReaderEndpoint": f"{name}.cluster-ro-{suffix}",
            "StorageEncrypted": False,
            **shown(call),
            "VpcSecurityGroups": security_groups(call),
        }
        check_capacity(document.get("ServerlessV2ScalingConfiguration"))
        if key := self._key(call.get("KmsKeyId")):
            document["KmsKeyId"] = key
        cluster = Cluster(document, "Status", unique=unique, postgres=self._new_server(document, unique))
        key = self._key(call.get("MasterUserSecretKmsKeyId"))
        document["MasterUserSecret"] = self.master_secrets.create(cluster, key)
        cluster.go("creating", "available", self.aws.clock.now() + CLUSTER_SECONDS)
        self.databases.clusters[name] = cluster
        return {"DBCluster": document}

    def describe_db_clusters(self, call: Call) -> dict[str, Any]:
        wanted = call.get("DBClusterIdentifier")
        found = [self.databases.cluster(wanted)] if wanted else list(self.databases.clusters.values())
        names = filtered(call, "db-cluster-id")
        return {
            "DBClusters": [
                self._with_members(cluster)
                for cluster in found
                if names is None or {cluster.document["DBClusterIdentifier"], cluster.document["DBClusterArn"]} & names
            ]
        }

    def modify_db_cluster(self, call: Call) -> dict[str, Any]:
        cluster = self.databases.cluster(call["DBClusterIdentifier"])
        require(cluster, "available", "InvalidDBClusterStateFault")
        version = call.get("EngineVersion", cluster.document["EngineVersion"])
        if version not in VERSIONS or number(version) < number(cluster.document["EngineVersion"]):
            raise ServiceError("InvalidParameterCombination", f"Cannot upgrade {ENGINE} to version {version}")
        self._check_groups(call, version)
        changes = shown(call)
        check_capacity(changes.get("ServerlessV2ScalingConfiguration"))
        if call.get("VpcSecurityGroupIds"):
            changes["VpcSecurityGroups"] = security_groups(call)
        cluster.document.update(changes)
        if call.get("RotateMasterUserPassword"):
            self.master_secrets.rotate(cluster)
        cluster.go("modifying", "available", self.aws.clock.now() + CHANGE_SECONDS)
        return {"DBCluster": self._with_members(cluster)}

    def delete_db_cluster(self, call: Call) -> dict[str, Any]:
        cluster = self.databases.cluster(call["DBClusterIdentifier"])
        if cluster.document["DeletionProtection"]:
            raise ServiceError(
                "InvalidParameterCombination",
                "Cannot delete protected Cluster, please disable deletion protection and try again.",
            )
        if cluster.status == "deleting":
            require(cluster, "available", "InvalidDBClusterStateFault")
        if any(instance.status != "deleting" for instance in self.databases.members(cluster)):
            raise ServiceError(
                "InvalidDBClusterStateFault",
                "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
            )
        if not call.get("SkipFinalSnapshot") and not call.get("FinalDBSnapshotIdentifier"):
            raise ServiceError(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            )
        if name := call.get("FinalDBSnapshotIdentifier"):
            self.snapshots.take(cluster, name, ())
        cluster.go("deleting", "gone", self.aws.clock.now() + CLUSTER_DELETION_SECONDS)
        return {"DBCluster": self._with_members(cluster)}

    def delete_db_subnet_group(self, call: Call) -> Proceed:
        self._refuse_used("DBSubnetGroup", call["DBSubnetGroupName"], "InvalidDBSubnetGroupStateFault")
        return PROCEED

    def delete_db_cluster_parameter_group(self, call: Call) -> Proceed:
        self._refuse_used(
            "DBClusterParameterGroup", call["DBClusterParameterGroupName"], "InvalidDBParameterGroupStateFault"
        )
        return PROCEED

    def _with_members(self, cluster: Cluster) -> dict[str, Any]:
        members = self.databases.members(cluster)
        writer = next((member for member in members if member.status != "deleting"), None)
        cluster.document["MultiAZ"] = len({member.document["AvailabilityZone"] for member in members}) > 1
        cluster.document["DBClusterMembers"] = [
            {
                "DBInstanceIdentifier": member.document["DBInstanceIdentifier"],
                "IsClusterWriter": member is writer,
                "DBClusterParameterGroupStatus": "in-sync",
                "PromotionTier": member.document["PromotionTier"],
            }
            for member in members
        ]
        return cluster.document

    def _new_server(self, document: dict[str, Any], unique: str) -> Postgres:
        """Give the cluster's names an address and prepare the server that will answer there."""
        endpoint = document["Endpoint"]
        hosts = self.aws.hosts
        address = hosts.add_name(endpoint) if hosts is not None else "127.0.0.1"
        master_password = characters(28, PASSWORD)
        self.aws.recorder.register_secret(master_password)
        postgres = Postgres(
            self.aws.directory / "postgres" / document["DBClusterIdentifier"],
            names=[endpoint, document["ReaderEndpoint"], f"*.{unique}.{self.aws.region}.rds.amazonaws.com"],
            addresses=[address],
            port=document["Port"] if hosts is not None else 0,  # without a network of our own, 5432 may be another's
            master=document["MasterUsername"],
            master_password=master_password,
            authority=self.databases.authority,
        )
        document["Port"] = postgres.port
        self.aws.postgres[document["DBClusterIdentifier"]] = postgres
        self.databases.name(endpoint, address)
        self.databases.name(document["ReaderEndpoint"], address)
        return postgres

    def _key(self, key: str | None) -> str | None:
        """The ARN of a key, which must exist."""
        if not key:
            return None
        try:
            found = self.aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]
            if found["KeyState"] != "Enabled":
                raise ServiceError("KMSKeyNotAccessibleFault", f"The KMS key {key} is {found['KeyState']}.")
            return str(found["Arn"])
        except ClientError:
            raise ServiceError("KMSKeyNotAccessibleFault", f"The KMS key {key} does not exist.") from None

    def _check_groups(self, call: Call, version: str) -> None:
        """Subnet group, parameter group and security groups must exist, and the parameters be of this version."""
        rds = self.aws.client("rds")
        for parameter, ask, code in (
            ("DBSubnetGroupName", rds.describe_db_subnet_groups, "DBSubnetGroupNotFoundFault"),
            ("DBClusterParameterGroupName", rds.describe_db_cluster_parameter_groups, "DBParameterGroupNotFoundFault"),
        ):
            if call.get(parameter):
                try:
                    group = ask(**{parameter: call[parameter]})
                except ClientError:
                    raise ServiceError(code, f"{parameter} doesn't exist: {call[parameter]}") from None
                for found in group.get("DBSubnetGroups", []):
                    refuse_too_few_zones(self.aws, found["Subnets"])
                for found in group.get("DBClusterParameterGroups", []):
                    if found["DBParameterGroupFamily"] != family(version):
                        raise ServiceError(
                            "InvalidParameterCombination",
                            f"The Parameter Group {call[parameter]} with DBParameterGroupFamily "
                            f"{found['DBParameterGroupFamily']} can't be used for this instance. Please use a "
                            f"Parameter Group with DBParameterGroupFamily {family(version)}",
                        )
        if call.get("VpcSecurityGroupIds"):
            try:
                self.aws.client("ec2").describe_security_groups(GroupIds=list(call["VpcSecurityGroupIds"]))
            except ClientError as error:
                raise ServiceError("InvalidVPCNetworkStateFault", str(error.response["Error"]["Message"])) from None

    def _refuse_used(self, key: str, name: str, code: str) -> None:
        for cluster in self.databases.clusters.values():
            if cluster.document.get(key) == name:
                used_by = cluster.document["DBClusterIdentifier"]
                raise ServiceError(code, f"Cannot delete {name}: the DB cluster {used_by} uses it.")
