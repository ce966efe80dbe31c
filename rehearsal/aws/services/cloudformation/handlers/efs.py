"""EFS file systems, mount targets and access points."""

import json
from typing import Any

from ..context import Context, Made, Properties
from ..errors import ResourceFailed
from ..handler import Handler, Tagging
from ..service_call import call


class FileSystem(Handler):
    # A file system and its deletion took 18 without a mount target (hashicorp/terraform-provider-aws#38017).
    type = "AWS::EFS::FileSystem"
    delete_seconds = 6
    tagging = Tagging("ResourceId")
    deletes = ("DeleteFileSystem", "FileSystemId")

    def create(self, context: Context, properties: Properties) -> Made:
        efs = context.client("efs")
        token = f"{context.stack.id.rpartition('/')[2]}-{context.name(24)}"[:64]
        tags = properties.get("FileSystemTags", [])
        answer = call(efs, "CreateFileSystem", properties, CreationToken=token, Tags=tags)
        properties.read |= set(_CONFIGURED)  # by ready()
        return Made(
            answer["FileSystemId"],
            {
                "FileSystemId": answer["FileSystemId"],
                "Arn": context.arn("elasticfilesystem", f"file-system/{answer['FileSystemId']}"),
            },
        )

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        """What is configured apart from the creation needs an available file system."""
        efs = context.client("efs")
        context.until(
            lambda: (
                efs.describe_file_systems(FileSystemId=physical_id)["FileSystems"][0]["LifeCycleState"] == "available"
            ),
            within=600,
            every=2,
            what=physical_id,
        )
        for name in _CONFIGURED:
            if name in properties:
                self._configure(context, physical_id, name, properties[name])
        return {}

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        modes = ("ThroughputMode", "ProvisionedThroughputInMibps")
        if any(old.get(name) != new.get(name) for name in modes):
            call(
                context.client("efs"),
                "UpdateFileSystem",
                {n: new[n] for n in modes if n in new},
                FileSystemId=physical_id,
            )
        new.read |= set(_CONFIGURED)
        return {}

    def _configure(self, context: Context, physical_id: str, name: str, value: Any) -> None:
        efs = context.client("efs")
        if name == "BackupPolicy":
            efs.put_backup_policy(FileSystemId=physical_id, BackupPolicy=value)
        elif name == "LifecyclePolicies":
            efs.put_lifecycle_configuration(FileSystemId=physical_id, LifecyclePolicies=value)
        else:
            efs.put_file_system_policy(FileSystemId=physical_id, Policy=json.dumps(value))


_CONFIGURED = ("BackupPolicy", "LifecyclePolicies", "FileSystemPolicy")


class MountTarget(Handler):
    type = "AWS::EFS::MountTarget"
    updates = ("ModifyMountTargetSecurityGroups", "MountTargetId")

    def create(self, context: Context, properties: Properties) -> Made:
        answer = call(context.client("efs"), "CreateMountTarget", properties)
        return Made(answer["MountTargetId"], {"Id": answer["MountTargetId"], "IpAddress": answer["IpAddress"]})

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        state = context.until(lambda: self._state(context, physical_id, properties), within=900, what=physical_id)
        if state == "error":
            raise ResourceFailed(f"Mount target {physical_id} is in state error")
        return {}

    def _state(self, context: Context, physical_id: str, properties: Properties) -> str | None:
        """The state of a mount target, once it does not change any more."""
        state = self._states(context, properties).get(physical_id)
        return state if state in ("available", "error") else None

    def _states(self, context: Context, properties: Properties) -> dict[str, str]:
        found = context.client("efs").describe_mount_targets(FileSystemId=properties["FileSystemId"])["MountTargets"]
        return {each["MountTargetId"]: each["LifeCycleState"] for each in found}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("efs").delete_mount_target(MountTargetId=physical_id)
        context.until(lambda: physical_id not in self._states(context, properties), within=600, what=physical_id)


class AccessPoint(Handler):
    type = "AWS::EFS::AccessPoint"
    tagging = Tagging("ResourceId")
    deletes = ("DeleteAccessPoint", "AccessPointId")

    def create(self, context: Context, properties: Properties) -> Made:
        tags = properties.get("AccessPointTags", [])
        answer = call(context.client("efs"), "CreateAccessPoint", properties, ClientToken=context.name(64), Tags=tags)
        return Made(
            answer["AccessPointId"], {"AccessPointId": answer["AccessPointId"], "Arn": answer["AccessPointArn"]}
        )

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        efs = context.client("efs")

        def available() -> bool:
            found = efs.describe_access_points(AccessPointId=physical_id)["AccessPoints"]
            return bool(found[0]["LifeCycleState"] == "available")

        context.until(available, within=600, every=2, what=physical_id)
        return {}
