"""What the stacks of a cluster must be, by the plan and by what was observed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from benchwright.errors import StackRefused
from benchwright.models import Database, Plan
from benchwright.settings import Settings
from benchwright.stacks.decision import SETTLED, Desired, Stack

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
            "LogRetentionDays": str(settings.log_retention_days),
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
    access_outputs: Mapping[str, str] = MappingProxyType({}),
    offline_as: Stack | None = None,
    directory: Path = INFRA_DIRECTORY,
) -> Desired:
    """The stack of the nodes.

    node_script: the SHA-256 under which it is published. access_outputs: empty where there is no address. offline_as:
    the stack as it is, when all nodes must go first: its image and version stay, the count becomes 0.
    """
    count = 0 if offline_as else plan.wanted.nodes.count
    room = count and plan.wanted.nodes.at_once  # to launch nodes before as many leave
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
            "MaximumNodeCount": str(count + room),
            "WorkbenchVersion": kept.get("WorkbenchVersion", plan.wanted.workbench.version),
            "PrivateSubnetIds": settings.private_subnet_ids,
            "NodeSecurityGroupId": foundation_outputs["NodeSecurityGroupId"],
            "NodeInstanceProfileArn": foundation_outputs["NodeInstanceProfileArn"],
            "BucketName": settings.bucket_name,
            "FileSystemId": foundation_outputs["FileSystemId"],
            "HomeAccessPointId": foundation_outputs["HomeAccessPointId"],
            "SharedStorageAccessPointId": foundation_outputs["SharedStorageAccessPointId"],
            "NodeScript": node_script,
            "TargetGroupArn": access_outputs.get("TargetGroupArn", ""),
            "MetricsCidr": plan.wanted.metrics.allowed_cidr if plan.wanted.metrics else "",
            "NodeLogGroup": settings.node_log_group,
            "TopicArn": settings.topic_arn,
            "VerifiedNightly": settings.verify_schedule_state,
            "DatabaseEndpoint": foundation_outputs["DatabaseEndpoint"],
            "DatabaseConnectionsLimit": str(connections_limit(plan.wanted.database)),
            "LoadBalancerArn": access_outputs.get("LoadBalancerArn", ""),
            "CertificateArn": access_outputs.get("CertificateArn", ""),
        },
        tags=_tags(settings, plan),
    )


def connections_limit(database: Database) -> int:
    """Return 80 % of the connections that the database accepts.

    Aurora user guide, "Maximum connections for Aurora Serverless v2": some 200 for each unit of the largest capacity,
    at most 5,000, and 2,000 where the smallest capacity is below 1.
    """
    accepted = min(200 * database.max_capacity, 2000 if database.min_capacity < 1 else 5000)
    return int(0.8 * accepted)


def access(
    settings: Settings,
    plan: Plan,
    stack: Stack | None,
    foundation_outputs: Mapping[str, str],
    certificate_arn: str,
    *,
    directory: Path = INFRA_DIRECTORY,
) -> Desired:
    """The stack of the address. Deletion protection comes second, as in `foundation`.

    certificate_arn: of one that is issued, or empty: then the one that is in use stays, or people would lose the
    address until someone has created a record. Raises StackRefused where the scheme of a load balancer would change:
    CloudFormation would make another one first, and its target group can have only one.
    """
    if (wanted := plan.wanted.access) is None:
        raise StackRefused("The plan of this execution has no access. Start a new execution with {}.")
    exists = stack is not None and stack.status in SETTLED
    if exists and stack and (scheme := stack.parameters.get("Scheme", wanted.scheme)) != wanted.scheme:
        raise StackRefused(
            f"The load balancer of {plan.cluster} is {scheme}, and access.scheme is {wanted.scheme}: this cannot "
            'change in place. First take it away with {"access": null}, then give it again: nodes and data stay.'
        )
    is_public = wanted.scheme == "internet-facing"
    return Desired(
        name=settings.stack_name(plan.cluster, "access"),
        template=(directory / "access.yaml").read_text(),
        parameters={
            "Application": settings.application,
            "Cluster": plan.cluster,
            "BucketName": settings.bucket_name,
            "Hostname": wanted.hostname,
            "CertificateArn": certificate_arn
            or (stack.parameters.get("CertificateArn", "") if stack and exists else ""),
            "HostedZoneId": wanted.hosted_zone_id or "",
            "Scheme": wanted.scheme,
            "AllowedCidrs": ",".join(wanted.allowed_cidrs),
            "WebAclArn": wanted.web_acl_arn or "",
            "DeletionProtection": "true" if exists else "false",
            "VpcId": settings.vpc_id,
            "SubnetIds": settings.public_subnet_ids if is_public else settings.private_subnet_ids,
            "NodeSecurityGroupId": foundation_outputs["NodeSecurityGroupId"],
        },
        tags=_tags(settings, plan),
    )


def to_remove(settings: Settings, cluster: str, which: Literal["access", "nodes"], stack: Stack) -> Desired:
    """The stack of an address or of nodes as it is, but of a load balancer that can be deleted.

    Nor has an address a record: what an update takes away and cannot delete, since the hosted zone has gone, does not
    fail it, and the deletion of a stack would fail for ever (CloudFormation user guide,
    UPDATE_COMPLETE_CLEANUP_IN_PROGRESS).
    """
    ours = {"Application": settings.application, "Cluster": cluster}
    if which == "access":
        ours |= {"DeletionProtection": "false", "HostedZoneId": ""}
    return Desired(settings.stack_name(cluster, which), stack.template, {**stack.parameters, **ours}, stack.tags)


def current_aim(
    settings: Settings,
    plan: Plan,
    which: Literal["foundation", "access", "nodes"],
    stack: Stack | None,
    *,
    instances: int,
    ami: str,
    foundation_outputs: Mapping[str, str],
    certificate_arn: str,
    access_outputs: Mapping[str, str],
    node_script: str,
) -> tuple[Desired, bool]:
    """Return what a stack must be now, and whether that is what it must be in the end.

    instances: of the group of the nodes. The other arguments are those of `foundation`, `access` and `nodes`. Raises
    StackRefused where the state machine of the execution published no node script.
    """
    if which == "access":
        desired = access(settings, plan, stack, foundation_outputs, certificate_arn)
        return desired, desired.parameters["DeletionProtection"] == "true"
    if which == "foundation":
        desired = foundation(settings, plan, stack)
        return desired, desired.parameters["DeletionProtection"] == "true"
    if not node_script:
        raise StackRefused(
            "This execution began before `sam deploy` installed this release, so it published no node script. Start a "
            "new execution with {}: finished steps are kept. A redrive would end in the same way."
        )
    goes_offline = stack if must_go_offline(plan, stack, instances) else None
    desired = nodes(
        *(settings, plan, ami, foundation_outputs, node_script),
        access_outputs=access_outputs,
        offline_as=goes_offline,
    )
    return desired, not goes_offline


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


def not_yet_known(settings: Settings) -> dict[str, str]:
    """Return outputs in place of those of stacks that do not exist, for a change set that is never executed.

    Only values differ by them, not what is made. CloudFormation looks for the security group, so it is one that exists.
    """
    balancing = f"arn:{settings.partition}:elasticloadbalancing:{settings.aws_region}:{settings.account}"
    return {
        "NodeSecurityGroupId": settings.database_client_security_group_id,
        "NodeInstanceProfileArn": f"arn:{settings.partition}:iam::{settings.account}:instance-profile/unknown",
        "FileSystemId": "fs-0",
        "HomeAccessPointId": "fsap-0",
        "SharedStorageAccessPointId": "fsap-1",
        "DatabaseEndpoint": "unknown.invalid",
        "TargetGroupArn": f"{balancing}:targetgroup/unknown/0",
        "LoadBalancerArn": f"{balancing}:loadbalancer/app/unknown/0",
    }


def _tags(settings: Settings, plan: Plan) -> dict[str, str]:
    return plan.wanted.tags | settings.tags(plan.cluster)
