"""Aurora PostgreSQL: clusters and instances with their states on AWS time, and behind each cluster a real PostgreSQL.

moto has subnet groups and parameter groups; clusters and instances are kept here, as the documents that the API shows.
A server starts with a cluster's first instance, as Aurora's does: before, the endpoint has a name and no one answers.
"""

import json
import re
import secrets
import string
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import trustme
from botocore.exceptions import ClientError
from moto.secretsmanager.models import secretsmanager_backends

from rehearsal.aws.calls import PROCEED, Call, Operation, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import Postgres, Refusal
from rehearsal.aws.services import account

CLUSTER_SECONDS = 300
INSTANCE_SECONDS = 360
CHANGE_SECONDS = 20
INSTANCE_DELETION_SECONDS = 240
CLUSTER_DELETION_SECONDS = 120

ENGINE = "aurora-postgresql"
VERSIONS = (
    *("16.8", "16.9", "16.10", "16.11", "16.13"),
    *("17.4", "17.5", "17.6", "17.7", "17.9", "17.10"),
)
LONGEST_IDENTIFIER = 63
BUNDLE = "python/certificates/global-bundle.pem"
"""Where create_database's layer has the roots of Amazon RDS, below /opt."""

APPLICATION_SECRET = re.compile(r"/database(-\w{6})?$")
"""Name or ARN of the secret with which Workbench, and create_database on its behalf, logs in."""

# RDS takes all printable ASCII but these into a master password.
PASSWORD = "".join(character for character in string.printable[:94] if character not in "/@\"'")

# Parameters that the description shows under another name.
RENAMED = {
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
    "EnableHttpEndpoint": "HttpEndpointEnabled",
    "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "DBClusterParameterGroupName": "DBClusterParameterGroup",
    "DBSubnetGroupName": "DBSubnetGroup",
    "Tags": "TagList",
}
SHOWN = frozenset(
    {
        "AutoMinorVersionUpgrade",
        "BackupRetentionPeriod",
        "CopyTagsToSnapshot",
        "DatabaseInsightsMode",
        "DatabaseName",
        "DeletionProtection",
        "EngineLifecycleSupport",
        "EngineVersion",
        "MasterUsername",
        "MonitoringInterval",
        "MonitoringRoleArn",
        "NetworkType",
        "PerformanceInsightsRetentionPeriod",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "PromotionTier",
        "PubliclyAccessible",
        "ServerlessV2ScalingConfiguration",
        "StorageEncrypted",
        "StorageType",
    }
)
TREATED = frozenset(
    {
        "ApplyImmediately",
        "AvailabilityZone",
        "CACertificateIdentifier",
        "DBClusterIdentifier",
        "DBInstanceClass",
        "DBInstanceIdentifier",
        "Engine",
        "EngineMode",
        "KmsKeyId",
        "ManageMasterUserPassword",
        "MasterUserSecretKmsKeyId",
        "Port",
        "RotateMasterUserPassword",
        "VpcSecurityGroupIds",
    }
)
"""Parameters that have a line of their own below."""

# What belongs to the cluster and is refused on one of its instances.
OF_THE_CLUSTER = (
    *("AllocatedStorage", "BackupRetentionPeriod", "DeletionProtection", "EnableIAMDatabaseAuthentication"),
    *("ManageMasterUserPassword", "MasterUserPassword", "MasterUsername", "StorageEncrypted"),
)

REFUSALS: Mapping[str, Refusal] = {"refuse": "rejected", **{how: how for how in get_args(Refusal)}}
"""The words of `--fault postgres:WORD`, and how the server then refuses."""


@dataclass
class Thing:
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


@dataclass
class Cluster(Thing):
    """A DB cluster, its server, and the part of its names that no other cluster has."""

    unique: str = ""
    postgres: Postgres | None = None
    refuses: Refusal | None = None

    @property
    def secret(self) -> str:
        return str(self.document.get("MasterUserSecret", {}).get("SecretArn", ""))


@dataclass
class Rds:
    """The service's state. Operations are called under its lock."""

    aws: LocalAws
    authority: trustme.CA
    clusters: dict[str, Cluster] = field(default_factory=dict)
    instances: dict[str, Thing] = field(default_factory=dict)

    # Clusters

    def create_cluster(self, call: Call) -> dict[str, Any]:
        name = _identifier(call, "DBClusterIdentifier")
        if name in self.clusters:
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
        unique = _characters(12, string.ascii_lowercase + string.digits)
        suffix = f"{unique}.{self.aws.region}.rds.amazonaws.com"
        document = {
            "DBClusterIdentifier": name,
            "DBClusterArn": self._arn("cluster", name),
            "DbClusterResourceId": f"cluster-{_characters(26, string.ascii_uppercase + string.digits)}",
            "AllocatedStorage": 1,
            "AutoMinorVersionUpgrade": True,
            "AvailabilityZones": [f"{self.aws.region}{zone}" for zone in "abc"],
            "BackupRetentionPeriod": 1,
            "ClusterCreateTime": self.aws.clock.datetime(),
            "CopyTagsToSnapshot": False,
            "DBClusterMembers": [],
            "DBClusterParameterGroup": f"default.{_family(version)}",
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
            **_shown(call),
            "VpcSecurityGroups": _security_groups(call),
        }
        _check_capacity(document.get("ServerlessV2ScalingConfiguration"))
        if call.get("KmsKeyId"):
            document["KmsKeyId"] = self._key(call["KmsKeyId"])
        cluster = Cluster(document, "Status", unique=unique)
        self._make_server(cluster)
        document["MasterUserSecret"] = self._make_secret(cluster, call.get("MasterUserSecretKmsKeyId"))
        cluster.go("creating", "available", self.aws.clock.now() + CLUSTER_SECONDS)
        self.clusters[name] = cluster
        return {"DBCluster": document}

    def describe_clusters(self, call: Call) -> dict[str, Any]:
        wanted = call.get("DBClusterIdentifier")
        found = [self.cluster(wanted)] if wanted else list(self.clusters.values())
        names = _filtered(call, "db-cluster-id")
        return {
            "DBClusters": [
                self._with_members(cluster)
                for cluster in found
                if names is None or {cluster.document["DBClusterIdentifier"], cluster.document["DBClusterArn"]} & names
            ]
        }

    def modify_cluster(self, call: Call) -> dict[str, Any]:
        cluster = self.cluster(call["DBClusterIdentifier"])
        _require(cluster, "available", "InvalidDBClusterStateFault")
        version = call.get("EngineVersion", cluster.document["EngineVersion"])
        if version not in VERSIONS or _number(version) < _number(cluster.document["EngineVersion"]):
            raise ServiceError("InvalidParameterCombination", f"Cannot upgrade {ENGINE} to version {version}")
        self._check_groups(call, version)
        changes = _shown(call)
        _check_capacity(changes.get("ServerlessV2ScalingConfiguration"))
        if call.get("VpcSecurityGroupIds"):
            changes["VpcSecurityGroups"] = _security_groups(call)
        cluster.document.update(changes)
        if call.get("RotateMasterUserPassword"):
            self.rotate(cluster)
        cluster.go("modifying", "available", self.aws.clock.now() + CHANGE_SECONDS)
        return {"DBCluster": self._with_members(cluster)}

    def delete_cluster(self, call: Call) -> dict[str, Any]:
        cluster = self.cluster(call["DBClusterIdentifier"])
        if cluster.document["DeletionProtection"]:
            raise ServiceError(
                "InvalidParameterCombination",
                "Cannot delete protected Cluster, please disable deletion protection and try again.",
            )
        if cluster.status == "deleting":
            _require(cluster, "available", "InvalidDBClusterStateFault")
        if any(instance.status != "deleting" for instance in self._members(cluster)):
            raise ServiceError(
                "InvalidDBClusterStateFault",
                "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
            )
        if not call.get("SkipFinalSnapshot") and not call.get("FinalDBSnapshotIdentifier"):
            raise ServiceError(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            )
        cluster.go("deleting", "gone", self.aws.clock.now() + CLUSTER_DELETION_SECONDS)
        return {"DBCluster": self._with_members(cluster)}

    # Instances

    def create_instance(self, call: Call) -> dict[str, Any]:
        name = _identifier(call, "DBInstanceIdentifier")
        if name in self.instances:
            raise ServiceError("DBInstanceAlreadyExistsFault", "DB instance already exists")
        if not call.get("DBClusterIdentifier"):
            raise ServiceError("InvalidParameterCombination", "The rehearsal has only instances of clusters.")
        for parameter in OF_THE_CLUSTER:
            if call.get(parameter) is not None:
                raise ServiceError(
                    "InvalidParameterCombination",
                    f"The requested DB Instance will be a member of a DB Cluster. Set {parameter} for the DB Cluster.",
                )
        cluster = self.cluster(call["DBClusterIdentifier"])
        if cluster.status == "deleting":
            _require(cluster, "available", "InvalidDBClusterStateFault")
        if call["Engine"] != ENGINE:
            raise ServiceError("InvalidParameterCombination", f"The cluster's engine is {ENGINE}, not {call['Engine']}")
        if call["DBInstanceClass"] == "db.serverless" and not cluster.document.get("ServerlessV2ScalingConfiguration"):
            raise ServiceError(
                "InvalidDBClusterStateFault",
                "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a "
                "Serverless v2 DB instance.",
            )
        assert cluster.postgres
        if not cluster.postgres.running:
            with self.aws.clock.busy():
                cluster.postgres.start()
            if database := cluster.document.get("DatabaseName"):
                owner = cluster.document["MasterUsername"]
                cluster.postgres.execute(f'CREATE DATABASE "{database}" OWNER "{owner}"')
        members = self._members(cluster)
        document = {
            "DBInstanceIdentifier": name,
            "DBInstanceArn": self._arn("db", name),
            "DbiResourceId": f"db-{_characters(26, string.ascii_uppercase + string.digits)}",
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
            **_shown(call),
        }
        document.pop("DBSubnetGroup", None)  # on an instance a structure, and the cluster's own
        instance = self.instances[name] = Thing(document, "DBInstanceStatus")
        instance.go("creating", "available", self.aws.clock.now() + INSTANCE_SECONDS)
        self._name(document["Endpoint"]["Address"], self.aws.names[cluster.document["Endpoint"]])
        return {"DBInstance": document}

    def describe_instances(self, call: Call) -> dict[str, Any]:
        wanted = call.get("DBInstanceIdentifier")
        found = [self.instance(wanted)] if wanted else list(self.instances.values())
        clusters, names = _filtered(call, "db-cluster-id"), _filtered(call, "db-instance-id")
        return {
            "DBInstances": [
                instance.document
                for instance in found
                if (clusters is None or instance.document["DBClusterIdentifier"] in clusters)
                and (names is None or instance.document["DBInstanceIdentifier"] in names)
            ]
        }

    def modify_instance(self, call: Call) -> dict[str, Any]:
        instance = self.instance(call["DBInstanceIdentifier"])
        _require(instance, "available", "InvalidDBInstanceStateFault")
        instance.document.update(_shown(call))
        for parameter in ("DBInstanceClass", "CACertificateIdentifier"):
            if parameter in call.parameters:
                instance.document[parameter] = call[parameter]
        instance.go("modifying", "available", self.aws.clock.now() + CHANGE_SECONDS)
        return {"DBInstance": instance.document}

    def delete_instance(self, call: Call) -> dict[str, Any]:
        instance = self.instance(call["DBInstanceIdentifier"])
        if instance.status == "deleting":
            _require(instance, "available", "InvalidDBInstanceStateFault")
        instance.go("deleting", "gone", self.aws.clock.now() + INSTANCE_DELETION_SECONDS)
        return {"DBInstance": instance.document}

    # Tags and versions

    def add_tags(self, call: Call) -> Mapping[str, Any] | Proceed:
        thing = self._by_arn(call["ResourceName"])
        if thing is None:
            return PROCEED
        tags = {tag["Key"]: tag for tag in [*thing.document.get("TagList", []), *call["Tags"]]}
        thing.document["TagList"] = list(tags.values())
        return {}

    def remove_tags(self, call: Call) -> Mapping[str, Any] | Proceed:
        thing = self._by_arn(call["ResourceName"])
        if thing is None:
            return PROCEED
        kept = [tag for tag in thing.document.get("TagList", []) if tag["Key"] not in call["TagKeys"]]
        thing.document["TagList"] = kept
        return {}

    def list_tags(self, call: Call) -> Mapping[str, Any] | Proceed:
        thing = self._by_arn(call["ResourceName"])
        return PROCEED if thing is None else {"TagList": thing.document.get("TagList", [])}

    def describe_versions(self, call: Call) -> dict[str, Any]:
        if call.get("Engine", ENGINE) != ENGINE:
            return {"DBEngineVersions": []}
        chosen = [
            version
            for version in VERSIONS
            if call.get("EngineVersion", version) == version
            and call.get("DBParameterGroupFamily", _family(version)) == _family(version)
        ]
        if call.get("DefaultOnly"):
            chosen = ["17.7"]
        return {
            "DBEngineVersions": [
                {
                    "Engine": ENGINE,
                    "EngineVersion": version,
                    "MajorEngineVersion": version.split(".")[0],
                    "DBParameterGroupFamily": _family(version),
                    "Status": "available",
                }
                for version in chosen
            ]
        }

    # Groups that a cluster uses

    def delete_subnet_group(self, call: Call) -> Proceed:
        self._refuse_used("DBSubnetGroup", call["DBSubnetGroupName"], "InvalidDBSubnetGroupStateFault")
        return PROCEED

    def delete_parameter_group(self, call: Call) -> Proceed:
        self._refuse_used(
            "DBClusterParameterGroup", call["DBClusterParameterGroupName"], "InvalidDBParameterGroupStateFault"
        )
        return PROCEED

    # Secrets Manager, as far as it is about databases

    def rotate_secret(self, call: Call) -> Mapping[str, Any] | Proceed:
        cluster = self._by_secret(call["SecretId"])
        if cluster is None:
            return PROCEED
        version = self.rotate(cluster)
        return {"ARN": cluster.secret, "Name": self._secret(cluster).name, "VersionId": version}

    def read_secret(self, call: Call) -> Proceed:
        """The moment before a program logs in: here `--fault postgres` takes hold, and here it lets go."""
        cluster = self._by_secret(call["SecretId"])
        if cluster is not None:
            self._refuse(cluster, ("refuse", "rejected", "busy"))
        elif APPLICATION_SECRET.search(call["SecretId"]):
            for each in self.clusters.values():
                self._refuse(each, ("stopped",))
        return PROCEED

    def rotate(self, cluster: Cluster) -> str:
        """Give the master a new password; returns the version of its secret."""
        password = _characters(28, PASSWORD)
        assert cluster.postgres
        if cluster.postgres.running:
            with self.aws.clock.busy():
                cluster.postgres.change_master_password(password)
        else:
            cluster.postgres.master_password = password
        self.aws.recorder.register_secret(password)
        secret, backend = self._secret(cluster), self._secrets
        backend._add_secret(
            secret.name,
            secret_string=json.dumps({"username": cluster.document["MasterUsername"], "password": password}),
            description=secret.description,
            tags=secret.tags,
        )
        return str(secret.default_version_id)

    # What the operations share

    def settle(self) -> None:
        """Let everything reach the state whose time has come."""
        now = self.aws.clock.now()
        for name, instance in list(self.instances.items()):
            if not instance.settle(now):
                del self.instances[name]
        for name, cluster in list(self.clusters.items()):
            if not cluster.settle(now):
                if cluster.postgres:
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

    def instance(self, name: str) -> Thing:
        """The instance of this identifier or ARN."""
        instance = self.instances.get(name.rsplit(":", 1)[-1].lower())
        if instance is None:
            raise ServiceError("DBInstanceNotFoundFault", f"DBInstance {name} not found.")
        return instance

    @property
    def _secrets(self) -> Any:
        return secretsmanager_backends[self.aws.account][self.aws.region]

    def _secret(self, cluster: Cluster) -> Any:
        return self._secrets.secrets[cluster.secret]

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:rds:{self.aws.region}:{self.aws.account}:{kind}:{name}"

    def _by_arn(self, arn: str) -> Thing | None:
        kind, name = arn.split(":")[-2:]
        found: Mapping[str, Thing] = {"cluster": self.clusters, "db": self.instances}.get(kind, {})  # type: ignore[assignment]
        return found.get(name)

    def _by_secret(self, secret_id: str) -> Cluster | None:
        for cluster in self.clusters.values():
            if cluster.secret and (cluster.secret == secret_id or self._secret(cluster).name == secret_id):
                return cluster
        return None

    def _members(self, cluster: Cluster) -> list[Thing]:
        name = cluster.document["DBClusterIdentifier"]
        return [instance for instance in self.instances.values() if instance.document["DBClusterIdentifier"] == name]

    def _with_members(self, cluster: Cluster) -> dict[str, Any]:
        members = self._members(cluster)
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

    def _make_server(self, cluster: Cluster) -> None:
        """Give the cluster's names an address and prepare the server that will answer there."""
        document = cluster.document
        endpoint = document["Endpoint"]
        hosts = self.aws.hosts
        address = hosts.add_name(endpoint) if hosts is not None else "127.0.0.1"
        master_password = _characters(28, PASSWORD)
        self.aws.recorder.register_secret(master_password)
        cluster.postgres = Postgres(
            self.aws.directory / "postgres" / document["DBClusterIdentifier"],
            names=[endpoint, document["ReaderEndpoint"], f"*.{cluster.unique}.{self.aws.region}.rds.amazonaws.com"],
            addresses=[address],
            port=document["Port"] if hosts is not None else 0,  # without a network of our own, 5432 may be another's
            master=document["MasterUsername"],
            master_password=master_password,
            authority=self.authority,
        )
        document["Port"] = cluster.postgres.port
        self.aws.postgres[document["DBClusterIdentifier"]] = cluster.postgres
        self._name(endpoint, address)
        self._name(document["ReaderEndpoint"], address)

    def _name(self, name: str, address: str) -> None:
        self.aws.names[name] = address
        if self.aws.hosts is not None:
            self.aws.hosts.add_name(name, address)

    def _make_secret(self, cluster: Cluster, key: str | None) -> dict[str, str]:
        document = cluster.document
        assert cluster.postgres
        password = {"username": document["MasterUsername"], "password": cluster.postgres.master_password}
        secret = self._secrets.create_managed_secret(
            service_name="rds",
            secret_id=f"rds!cluster-{uuid.uuid4()}",
            secret_string=json.dumps(password),
            description=f"The secret associated with the primary RDS DB cluster: {document['DBClusterArn']}",
            kms_key_id=self._key(key) if key else None,
            tags=[{"Key": "aws:rds:primaryDBClusterArn", "Value": document["DBClusterArn"]}],
        )
        return {"SecretArn": secret.arn, "SecretStatus": "creating", **({"KmsKeyId": self._key(key)} if key else {})}

    def _key(self, key: str) -> str:
        try:
            return str(self.aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"])
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
                for found in group.get("DBClusterParameterGroups", []):
                    if found["DBParameterGroupFamily"] != _family(version):
                        raise ServiceError(
                            "InvalidParameterCombination",
                            f"The Parameter Group {call[parameter]} with DBParameterGroupFamily "
                            f"{found['DBParameterGroupFamily']} can't be used for this instance. Please use a "
                            f"Parameter Group with DBParameterGroupFamily {_family(version)}",
                        )
        if call.get("VpcSecurityGroupIds"):
            try:
                self.aws.client("ec2").describe_security_groups(GroupIds=list(call["VpcSecurityGroupIds"]))
            except ClientError as error:
                raise ServiceError("InvalidVPCNetworkStateFault", str(error.response["Error"]["Message"])) from None

    def _refuse_used(self, key: str, name: str, code: str) -> None:
        for cluster in self.clusters.values():
            if cluster.document.get(key) == name:
                used_by = cluster.document["DBClusterIdentifier"]
                raise ServiceError(code, f"Cannot delete {name}: the DB cluster {used_by} uses it.")

    def _refuse(self, cluster: Cluster, words: Iterable[str]) -> None:
        if cluster.postgres is None or not (cluster.postgres.running or cluster.refuses):
            return
        name = cluster.document["DBClusterIdentifier"]
        fault = next(filter(None, (self.aws.faults.take(f"postgres:{word}", cluster=name) for word in words)), None)
        how = REFUSALS[fault["word"]] if fault else None
        if how == cluster.refuses:
            return
        with self.aws.clock.busy():
            if cluster.refuses:
                cluster.postgres.accept()
            if how:
                cluster.postgres.refuse(how)
        cluster.refuses = how


def install(aws: LocalAws) -> None:
    """Add clusters and instances to the server; functions trust the rehearsal's authority in place of Amazon's."""
    ours = trustme.CA(organization_name="Rehearsal", organization_unit_name="RDS Root CA")
    # Nodes download the mirror's authority as Amazon's bundle.
    rds = Rds(aws, aws.hosts.mirror.authority if aws.hosts is not None else ours)
    certificate = aws.directory / "rds-ca.pem"
    rds.authority.cert_pem.write_to_path(str(certificate))
    aws.binds.append((certificate, BUNDLE))
    lock = threading.RLock()

    def locked(operation: Operation) -> Operation:
        def run(call: Call) -> Mapping[str, Any] | Proceed | None:
            with lock:
                rds.settle()
                return operation(call)

        return run

    operations: dict[str, Operation] = {
        "AddTagsToResource": rds.add_tags,
        "CreateDBCluster": rds.create_cluster,
        "CreateDBInstance": rds.create_instance,
        "DeleteDBCluster": rds.delete_cluster,
        "DeleteDBClusterParameterGroup": rds.delete_parameter_group,
        "DeleteDBInstance": rds.delete_instance,
        "DeleteDBSubnetGroup": rds.delete_subnet_group,
        "DescribeDBClusters": rds.describe_clusters,
        "DescribeDBEngineVersions": rds.describe_versions,
        "DescribeDBInstances": rds.describe_instances,
        "ListTagsForResource": rds.list_tags,
        "ModifyDBCluster": rds.modify_cluster,
        "ModifyDBInstance": rds.modify_instance,
        "RemoveTagsFromResource": rds.remove_tags,
    }
    for operation, method in operations.items():
        aws.server.add("rds", operation, locked(method))
    aws.server.add("secretsmanager", "RotateSecret", locked(rds.rotate_secret))
    aws.server.add("secretsmanager", "GetSecretValue", locked(rds.read_secret))


def stop(aws: LocalAws) -> None:
    """Stop every server."""
    for postgres in aws.postgres.values():
        postgres.stop()


def _shown(call: Call) -> dict[str, Any]:
    """The parameters that a description shows; fails by name on one that no one looks at."""
    ours = {name: value for name, value in call.parameters.items() if value is not None}
    unknown = sorted(ours.keys() - SHOWN - TREATED - RENAMED.keys())
    if unknown:
        raise ServiceError(
            "InvalidParameterValue", f"The rehearsal does not implement {', '.join(unknown)} of {call.operation}."
        )
    return {RENAMED.get(name, name): value for name, value in ours.items() if name in SHOWN or name in RENAMED}


def _identifier(call: Call, parameter: str) -> str:
    """The name of a new cluster or instance, as RDS keeps it."""
    name = str(call[parameter]).lower()
    if len(name) > LONGEST_IDENTIFIER or not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ServiceError(
            "InvalidParameterValue",
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive "
            "hyphens.",
        )
    return name


def _require(thing: Thing, status: str, code: str) -> None:
    if thing.status != status:
        raise ServiceError(code, f"It is {thing.status}, not {status}.")


def _check_capacity(capacity: Mapping[str, Any] | None) -> None:
    if capacity is None:
        return
    least, most = float(capacity.get("MinCapacity", 0.5)), float(capacity.get("MaxCapacity", 1))
    for value in (least, most):
        if value * 2 % 1:
            raise ServiceError(
                "InvalidParameterValue",
                f"Serverless v2 capacity {value} isn't valid. Specify a capacity that's a multiple of 0.5.",
            )
    if not (0 <= least <= most and 1 <= most <= 256):
        raise ServiceError(
            "InvalidParameterValue", f"Serverless v2 minimum {least} and maximum {most} capacity aren't valid."
        )


def _filtered(call: Call, name: str) -> set[str] | None:
    for chosen in call.get("Filters") or []:
        if chosen["Name"] == name:
            return set(chosen["Values"])
    return None


def _security_groups(call: Call) -> list[dict[str, str]]:
    return [{"VpcSecurityGroupId": group, "Status": "active"} for group in call.get("VpcSecurityGroupIds") or []]


def _family(version: str) -> str:
    return f"{ENGINE}{version.partition('.')[0]}"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _characters(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
