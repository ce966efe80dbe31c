"""EFS: moto's file systems, mount targets and access points with the states that AWS shows meanwhile, and what they
are on this machine: one directory for each file system, below which its access points lie.
"""

import contextlib
import fnmatch
import json
import threading
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.efs import models
from moto.efs.models import efs_backends
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.recorder import role_policies
from rehearsal.aws.services import account
from rehearsal.hosts.host import AccessPoint, FileSystems

# Terraform logs 11 or 12 for a file system and 5 for an access point (turbot/steampipe-plugin-aws#174, #426), and in
# another log 84 for a mount target; CloudFormation 87, 95 and 96 (documentation of Integrated Digital Engineering on
# AWS, "shared storage"). The median of these four is 91.
FILE_SYSTEM_SECONDS = 12
MOUNT_TARGET_SECONDS = 91
ACCESS_POINT_SECONDS = 5
# An assumption. A file system, its mount target and their deletion took 128 in all, and 18 without the mount target
# (hashicorp/terraform-provider-aws#38017).
MOUNT_TARGET_DELETION_SECONDS = 30

CLIENT_ACTIONS = ("ClientMount", "ClientWrite", "ClientRootAccess")


@dataclass
class Efs:
    """The states on AWS time of what moto keeps; moto itself knows only `available`."""

    aws: LocalAws
    ready: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    """When a mount target that is being deleted is gone."""
    broken: set[str] = field(default_factory=set)
    """The mount targets that EFS could not make."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def backend(self) -> Any:
        return self.aws.moto_backend(efs_backends)

    def state(self, identifier: str) -> str:
        """The life cycle state of a file system, mount target or access point."""
        now = self.aws.clock.now()
        if identifier in self.gone:
            return "deleting"
        if now < self.ready.get(identifier, 0):
            return "creating"
        return "error" if identifier in self.broken else "available"

    def settle(self) -> None:
        """Remove the mount targets whose deletion has ended, and show moto's objects in the state of this moment."""
        now = self.aws.clock.now()
        for identifier, at in list(self.gone.items()):
            if now >= at:
                del self.gone[identifier]
                self.backend.delete_mount_target(identifier)
        for collection in (self.backend.file_systems_by_id, self.backend.mount_targets_by_id):
            for identifier, thing in list(collection.items()):  # moto deletes file systems under another lock
                thing.life_cycle_state = self.state(identifier)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """One operation at a time, each on what there is at its moment."""
        with self.lock:
            self.settle()
            yield

    def describe_file_systems(self, _: Call) -> Proceed:
        return PROCEED

    def describe_mount_targets(self, _: Call) -> Proceed:
        return PROCEED

    def create_file_system(self, call: Call) -> Mapping[str, Any]:
        if call.get("KmsKeyId"):
            self._refuse_unknown_key(call["KmsKeyId"])
        if call["CreationToken"] in self.backend.creation_tokens:
            existing = next(
                each
                for each in list(self.backend.file_systems_by_id.values())
                if each.creation_token == call["CreationToken"]
            )
            raise ServiceError("FileSystemAlreadyExists", f"File system '{existing.file_system_id}' already exists")
        made = self.backend.create_file_system(
            creation_token=call["CreationToken"],
            performance_mode=call.get("PerformanceMode"),
            encrypted=call.get("Encrypted", False),
            kms_key_id=call.get("KmsKeyId"),
            throughput_mode=call.get("ThroughputMode"),
            provisioned_throughput_in_mibps=call.get("ProvisionedThroughputInMibps"),
            availability_zone_name=call.get("AvailabilityZoneName"),
            backup=call.get("Backup", False),
            tags=list(call.get("Tags") or []),
        )
        self.ready[made.file_system_id] = self.aws.clock.now() + FILE_SYSTEM_SECONDS
        directory(self.aws, made.file_system_id).mkdir(parents=True)
        made.life_cycle_state = "creating"
        return made.info_json()

    def update_file_system(self, call: Call) -> Mapping[str, Any]:
        file_system = self._file_system(call["FileSystemId"])
        if "ThroughputMode" in call.parameters:
            file_system.throughput_mode = call["ThroughputMode"]
        if "ProvisionedThroughputInMibps" in call.parameters:
            file_system.provisioned_throughput_in_mibps = call["ProvisionedThroughputInMibps"]
        return file_system.info_json()

    def delete_file_system(self, call: Call) -> Proceed:
        self._file_system(call["FileSystemId"])
        return PROCEED

    def create_mount_target(self, call: Call) -> Mapping[str, Any]:
        """CreateMountTarget, which makes a network interface with the service-linked role of EFS.

        No page says what a role does that is too new. The errors of the operation name no role, and the interface is
        made after the answer, so here such a mount target ends in the state `error`, which EFS has for that.
        Source: EFS user guide, "Using service-linked roles for Amazon EFS"; API reference, CreateMountTarget.
        """
        self._require_available(call["FileSystemId"])
        made = self.backend.create_mount_target(
            file_system_id=call["FileSystemId"],
            subnet_id=call["SubnetId"],
            ip_address=call.get("IpAddress"),
            security_groups=list(call["SecurityGroups"]) if call.get("SecurityGroups") else None,
        )
        self.ready[made.mount_target_id] = self.aws.clock.now() + MOUNT_TARGET_SECONDS
        if not account.role_works(self.aws, "elasticfilesystem"):
            self.broken.add(made.mount_target_id)
        made.life_cycle_state = "creating"
        return dict(made.info_json())

    def delete_mount_target(self, call: Call) -> Mapping[str, Any] | Proceed:
        identifier = call["MountTargetId"]
        if identifier not in self.backend.mount_targets_by_id:
            return PROCEED  # moto says that it is not there
        self.gone.setdefault(identifier, self.aws.clock.now() + MOUNT_TARGET_DELETION_SECONDS)
        return {}

    def create_access_point(self, call: Call) -> Mapping[str, Any]:
        self._require_available(call["FileSystemId"])
        for existing in list(self.backend.access_points.values()):
            if existing.client_token == call["ClientToken"]:
                raise ServiceError("AccessPointAlreadyExists", f"{existing.access_point_id} has this token already.")
        made = self.backend.create_access_point(
            call["ClientToken"],
            tags=list(call.get("Tags") or []),
            file_system_id=call["FileSystemId"],
            posix_user=call.get("PosixUser"),
            root_directory=call.get("RootDirectory"),
        )
        self.ready[made.access_point_id] = self.aws.clock.now() + ACCESS_POINT_SECONDS
        return self._access_point(made)

    def describe_access_points(self, call: Call) -> Mapping[str, Any]:
        found = self.backend.describe_access_points(call.get("AccessPointId"), call.get("FileSystemId"))
        return {"AccessPoints": [self._access_point(each) for each in found]}

    def put_backup_policy(self, call: Call) -> Mapping[str, Any]:
        """PutBackupPolicy, which selects the file system in a plan of AWS Backup, for Backup's service-linked role.

        The text is the one with which CreateBackupSelection refuses a role that is too new (terraform-provider-aws
        repeats the call at it); that EFS passes it on as BadRequest is an assumption.
        """
        file_system = self._file_system(call["FileSystemId"])
        if not account.role_works(self.aws, "backup"):
            role = f"arn:aws:iam::{self.aws.account}:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup"
            raise ServiceError("BadRequest", f"The provided role {role} cannot be assumed by AWS Backup.")
        file_system._backup = call["BackupPolicy"]["Status"] in ("ENABLED", "ENABLING")
        return {"BackupPolicy": call["BackupPolicy"]}

    def put_file_system_policy(self, call: Call) -> Mapping[str, Any]:
        file_system = self._file_system(call["FileSystemId"])
        refuse_bad_policy(call["Policy"], self._principals())
        file_system.file_system_policy = call["Policy"]
        return {"FileSystemId": call["FileSystemId"], "Policy": call["Policy"]}

    def delete_file_system_policy(self, call: Call) -> Mapping[str, Any]:
        self._file_system(call["FileSystemId"]).file_system_policy = None
        return {}

    def _file_system(self, identifier: str) -> Any:
        found = self.backend.file_systems_by_id.get(identifier.rsplit("/", 1)[-1])
        if found is None:
            raise ServiceError("FileSystemNotFound", f"File system '{identifier}' does not exist.")
        return found

    def _require_available(self, identifier: str) -> None:
        self._file_system(identifier)
        if self.state(identifier) != "available":
            raise ServiceError("IncorrectFileSystemLifeCycleState", f"File system '{identifier}' is not available yet.")

    def _access_point(self, access_point: Any) -> dict[str, Any]:
        shown = access_point.info_json() | {"LifeCycleState": self.state(access_point.access_point_id)}
        return {key: value for key, value in shown.items() if value is not None}

    def _principals(self) -> set[str]:
        iam = iam_backends[self.aws.account]["aws"]
        return {role.arn for role in list(iam.roles.values())} | {f"arn:aws:iam::{self.aws.account}:root"}

    def _refuse_unknown_key(self, key: str) -> None:
        kms = self.aws.client("kms")
        try:
            kms.describe_key(KeyId=key)
        except kms.exceptions.NotFoundException:
            raise ServiceError("BadRequest", f"The key {key} does not exist.") from None


INSTALLED: dict[Path, Efs] = {}
"""By the directory of the local AWS."""


def install(aws: LocalAws) -> None:
    """Add the states, the operations that moto lacks, and the directories."""
    # moto's identifiers have 8 digits. Those of EFS have 17, and the mount helper refuses any other access point.
    models.mock_random = types.SimpleNamespace(get_random_hex=lambda _length=17: mock_random.get_random_hex(17))
    efs = INSTALLED[aws.directory] = Efs(aws)
    aws.server.serve("efs", efs, within=efs.settled)


def directory(aws: LocalAws, file_system: str) -> Path:
    """Where a file system's content lies on this machine."""
    return aws.directory / "efs" / file_system


def file_systems(aws: LocalAws, role_arn: str | None) -> FileSystems:
    """What a host with this role sees: the access points that can be mounted, and what the role may do with them.

    A file system without an available mount target, and an access point that is not available yet, cannot be mounted.
    """
    efs = INSTALLED[aws.directory]
    points: dict[str, dict[str, AccessPoint]] = {}
    granted = set(CLIENT_ACTIONS)
    with efs.settled(), aws.server.moto_lock:  # stacks make and delete what is looked at
        for identifier, file_system in efs.backend.file_systems_by_id.items():
            if not any(target.life_cycle_state == "available" for target in file_system.iter_mount_targets()):
                continue
            points[identifier] = {
                point.access_point_id: _access_point_directory(aws, point)
                for point in efs.backend.describe_access_points(None, identifier)
                if efs.state(point.access_point_id) == "available"
            }
            granted &= client_actions(aws, file_system.file_system_policy, role_arn)
    return FileSystems(points, frozenset(granted))


def client_actions(aws: LocalAws, policy: str | None, role_arn: str | None) -> set[str]:
    """What an NFS client with this role may do: everything where there is no policy (as in EFS), else what policies
    allow.

    Conditions are taken as met: hosts mount with TLS and IAM, through access points and mount targets.
    """
    if policy is None:
        return set(CLIENT_ACTIONS)
    allowed = {
        action
        for statement in _statements(json.loads(policy))
        if statement["Effect"] == "Allow" and _names(statement.get("Principal"), role_arn, aws.account)
        for action in _client_actions(statement)
    }
    roles = role_policies(aws.account).get(role_arn or "", {})
    for document in [*roles.get("inline", {}).values(), *roles.get("managed", {}).values()]:
        for statement in _statements(document or {}):
            if statement["Effect"] == "Allow":
                allowed.update(_client_actions(statement))
    return allowed


def refuse_bad_policy(text: str, principals: set[str]) -> None:
    """EFS stores no policy that is no JSON or names a principal that does not exist."""
    try:
        document = json.loads(text)
    except ValueError:
        raise ServiceError("InvalidPolicyException", "Policy provided is not valid JSON.") from None
    for statement in _statements(document):
        for principal in _principals(statement.get("Principal")):
            if principal != "*" and principal.startswith("arn:") and principal not in principals:
                raise ServiceError("InvalidPolicyException", f"Invalid principal in policy: {principal}")


def _access_point_directory(aws: LocalAws, point: Any) -> AccessPoint:
    root = point.root_directory or {}
    place = directory(aws, point.file_system_id) / root.get("Path", "/").lstrip("/")
    made = root.get("CreationInfo")
    if not made:
        return AccessPoint(place)
    return AccessPoint(place, int(made["OwnerUid"]), int(made["OwnerGid"]), int(str(made["Permissions"]), 8))


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    statements = document.get("Statement", [])
    yield from [statements] if isinstance(statements, Mapping) else statements


def _principals(principal: Any) -> list[str]:
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal or []
    return [named] if isinstance(named, str) else list(named)


def _names(principal: Any, role_arn: str | None, account: str) -> bool:
    return bool({"*", role_arn, account, f"arn:aws:iam::{account}:root"} & set(_principals(principal)))


def _client_actions(statement: Mapping[str, Any]) -> list[str]:
    patterns = statement.get("Action", [])
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return [
        action
        for action in CLIENT_ACTIONS
        if any(fnmatch.fnmatchcase(f"elasticfilesystem:{action}".lower(), pattern.lower()) for pattern in patterns)
    ]
