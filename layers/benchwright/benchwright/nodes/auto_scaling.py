"""The conversation with EC2 Auto Scaling: the nodes as their group sees them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code

# An instance that waits in the launching hook runs, and is configured like one in service.
LIVING = frozenset({"InService", "Pending:Wait"})
REBALANCING, REFRESH = "AZRebalance", "InstanceRefresh"


class Node(NamedTuple):
    """An instance of the group. `template_version` is the id and the version of its launch template: "lt-0a1b:3".

    healthy: whether Auto Scaling counts it as such; one that it does not is about to be replaced.
    """

    instance: str
    state: str
    template_version: str
    healthy: bool = True


class Group(NamedTuple):
    """The Auto Scaling group of a cluster: its instances by id, which of its processes are suspended, the ARNs of the
    target groups with which it registers instances, how many instances it should have, and the launch template of new
    ones, as in Node.
    """

    name: str
    nodes: tuple[Node, ...] = ()
    suspended: frozenset[str] = frozenset()
    target_groups: tuple[str, ...] = ()
    desired: int = 0
    template_version: str = ""


def describe_group(name: str) -> Group:
    """Describe a group; an absent one has no instances."""
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not groups:
        return Group(name)
    found = groups[0]
    nodes = sorted((_node(instance) for instance in found["Instances"]), key=lambda node: node.instance)
    suspended = frozenset(each["ProcessName"] for each in found.get("SuspendedProcesses", []))
    return Group(
        name,
        tuple(nodes),
        suspended,
        tuple(found.get("TargetGroupARNs", [])),
        found.get("DesiredCapacity", 0),
        _template_version(found),
    )


def stop_rebalancing(group: Group) -> None:
    """Have Auto Scaling never end a healthy node only to even out the zones: people's sessions run on it.

    No property of the resource AWS::AutoScaling::AutoScalingGroup says so, so it is said to the group itself.
    """
    if REBALANCING not in group.suspended:
        client("autoscaling").suspend_processes(AutoScalingGroupName=group.name, ScalingProcesses=[REBALANCING])


def pause_refresh(group: str) -> None:
    """Have a running instance refresh replace no further node, without cancelling it.

    EC2 Auto Scaling user guide, "Suspend and resume processes": InstanceRefresh.
    """
    client("autoscaling").suspend_processes(AutoScalingGroupName=group, ScalingProcesses=[REFRESH])


def resume_refresh(group: str) -> None:
    """Have instance refreshes of a group go on."""
    client("autoscaling").resume_processes(AutoScalingGroupName=group, ScalingProcesses=[REFRESH])


def delete_empty_group(name: str) -> None:
    """Delete a group that is there although the deletion of its stack failed, if it has no instances.

    CloudFormation deletes the launch template all the same, and its next try sets the size of the group to 0 first,
    which Auto Scaling may refuse then. Sources: the issues 852 and 1508 of
    aws-cloudformation/cloudformation-coverage-roadmap; EC2 Auto Scaling user guide, "Troubleshoot launch templates":
    the template is validated whenever a group is updated.
    """
    try:
        client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name)
    except ClientError as error:
        # Instances, of which CloudFormation empties it; or it is gone.
        if error_code(error) not in ("ResourceInUse", "ScalingActivityInProgress", "ValidationError"):
            raise


def replacement_command(instance: str) -> str:
    """The command that has a new node take the place of this one."""
    return (
        "aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity "
        f"--instance-id {instance}"
    )


def _node(instance: Mapping[str, Any]) -> Node:
    healthy = instance.get("HealthStatus", "Healthy") == "Healthy"
    return Node(instance["InstanceId"], instance["LifecycleState"], _template_version(instance), healthy)


def _template_version(made: Mapping[str, Any]) -> str:
    """The launch template of a group, or that which an instance was made of."""
    template = made.get("LaunchTemplate", {})
    return f"{template.get('LaunchTemplateId', '')}:{template.get('Version', '')}"
