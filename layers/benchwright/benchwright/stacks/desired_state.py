"""What the two stacks of a cluster must be, by the plan and by what was observed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from benchwright.errors import StackRefused
from benchwright.models import Plan
from benchwright.settings import Settings
from benchwright.stacks.change_sets import SETTLED, Desired, Stack

INFRA_DIRECTORY = Path("/opt")  # where Lambda unpacks the layer made of infra/


def foundation(settings: Settings, plan: Plan, stack: Stack | None, directory: Path = INFRA_DIRECTORY) -> Desired:
    """The stack that holds what must never be lost.

    Deletion protection comes with a second change set, since a protected database would wedge the rollback of a first
    creation.
    """
    database = plan.wanted.database
    return Desired(
        name=settings.stack_name(plan.cluster, "foundation"),
        template=(directory / "foundation.yaml").read_text(),
        parameters={
            "Application": settings.application,
            "Cluster": plan.cluster,
            "VpcId": settings.vpc_id,
            "PrivateSubnetIds": settings.private_subnet_ids,
            "DatabaseClientSecurityGroupId": settings.database_client_security_group_id,
            "BucketName": settings.bucket_name,
            "CloudFormationRoleArn": settings.cloudformation_role_arn,
            "MinCapacity": f"{database.min_capacity:g}",
            "MaxCapacity": f"{database.max_capacity:g}",
            "DeletionProtection": "true" if stack and stack.status in SETTLED else "false",
            "PermissionsBoundary": settings.permissions_boundary,
        }
        | ({"EngineVersion": plan.engine_version} if plan.engine_version else {}),  # none in a plan of an older release
        tags=_tags(settings, plan),
        protected=True,
    )


def nodes(
    settings: Settings,
    plan: Plan,
    ami: str,
    foundation_outputs: Mapping[str, str],
    node_script: str,
    *,
    offline_as: Stack | None = None,
    directory: Path = INFRA_DIRECTORY,
) -> Desired:
    """The stack of the nodes.

    node_script: the SHA-256 under which it is published. offline_as: the stack as it is, when all nodes must go first:
    its image and version stay, the count becomes 0.
    """
    count = 0 if offline_as else plan.wanted.nodes.count
    kept = offline_as.parameters if offline_as else {}
    return Desired(
        name=settings.stack_name(plan.cluster, "nodes"),
        template=(directory / "nodes.yaml").read_text(),
        parameters={
            "Application": settings.application,
            "Cluster": plan.cluster,
            "ImageId": kept.get("ImageId", ami),
            "InstanceType": plan.wanted.nodes.instance_type,
            "RootVolumeSize": str(plan.wanted.nodes.root_volume_size or 0),
            "NodeCount": str(count),
            "MaximumNodeCount": str(count + 1 if count else 0),  # room to launch a node before its predecessor goes
            "WorkbenchVersion": kept.get("WorkbenchVersion", plan.wanted.workbench.version),
            "PrivateSubnetIds": settings.private_subnet_ids,
            "NodeSecurityGroupId": foundation_outputs["NodeSecurityGroupId"],
            "NodeInstanceProfileArn": foundation_outputs["NodeInstanceProfileArn"],
            "BucketName": settings.bucket_name,
            "FileSystemId": foundation_outputs["FileSystemId"],
            "HomeAccessPointId": foundation_outputs["HomeAccessPointId"],
            "SharedStorageAccessPointId": foundation_outputs["SharedStorageAccessPointId"],
            "NodeScript": node_script,
            "NodeLogGroup": settings.node_log_group,
        },
        tags=_tags(settings, plan),
    )


def current_aim(
    settings: Settings,
    plan: Plan,
    which: Literal["foundation", "nodes"],
    stack: Stack | None,
    *,
    instances: int,
    ami: str,
    foundation_outputs: Mapping[str, str],
    node_script: str,
) -> tuple[Desired, bool]:
    """Return what a stack must be now, and whether that is what it must be in the end.

    instances: of the group of the nodes. The other arguments are those of `foundation` and `nodes`. Raises StackRefused
    where the state machine of the execution published no node script.
    """
    if which == "foundation":
        desired = foundation(settings, plan, stack)
        return desired, desired.parameters["DeletionProtection"] == "true"
    if not node_script:
        raise StackRefused(
            "This execution began before `sam deploy` installed this release, so it published no node script. Start a "
            "new execution with {}: finished steps are kept. A redrive would end in the same way."
        )
    goes_offline = stack if must_go_offline(plan, stack, instances) else None
    return nodes(settings, plan, ami, foundation_outputs, node_script, offline_as=goes_offline), not goes_offline


def must_go_offline(plan: Plan, stack: Stack | None, instances: int) -> bool:
    """Return whether all nodes must stop before the new version starts: mixed Workbench versions are unsupported.

    Source: Posit Workbench administration guide, upgrading of load-balanced clusters.
    """
    if (
        stack is None
        or stack.parameters.get("WorkbenchVersion", plan.wanted.workbench.version) == plan.wanted.workbench.version
    ):
        return False
    return stack.parameters.get("NodeCount") != "0" or instances > 0


def _tags(settings: Settings, plan: Plan) -> dict[str, str]:
    return plan.wanted.tags | settings.tags(plan.cluster)
