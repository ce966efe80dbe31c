"""Auto Scaling groups and their lifecycle hooks."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler
from ..service_call import call

INSTANCES_SECONDS = 3600
"""How long CloudFormation waits for instances, about."""


class Group(Handler):
    """Created, or changed in size, only when exactly the desired number of instances is in service."""

    # 25 and 26, of which 15 after "Eventual consistency check initiated" (DotBlossom/AWS-CDK-InferenceCluster-Peering).
    type = "AWS::AutoScaling::AutoScalingGroup"
    seconds = 25

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("AutoScalingGroupName") or context.name(255)
        subnets = ",".join(properties["VPCZoneIdentifier"])
        tags = [_tag(name, tag) for tag in properties.get("Tags", [])]
        client = context.client("autoscaling")
        call(
            client,
            "CreateAutoScalingGroup",
            properties,
            AutoScalingGroupName=name,
            VPCZoneIdentifier=subnets,
            Tags=tags,
        )
        context.identify(name)
        _collect(client, name, properties.get("MetricsCollection", []))
        return Made(name, {"AutoScalingGroupARN": self._described(context, name)["AutoScalingGroupARN"]})

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        def settled() -> bool:
            group = self._described(context, physical_id)
            states = [instance["LifecycleState"] for instance in group["Instances"]]
            return states == ["InService"] * int(group["DesiredCapacity"])

        context.until(settled, within=INSTANCES_SECONDS, every=10, what=f"the instances of {physical_id}")
        return {}

    def _described(self, context: Context, name: str) -> dict[str, Any]:
        client = context.client("autoscaling")
        (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(group)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        subnets = ",".join(new["VPCZoneIdentifier"])
        client = context.client("autoscaling")
        settings = Properties(
            {name: value for name, value in new.items() if name not in ("Tags", _HOOKS, _TARGETS, _METRICS)}
        )
        call(client, "UpdateAutoScalingGroup", settings, AutoScalingGroupName=physical_id, VPCZoneIdentifier=subnets)
        new.read |= settings.read
        if new.get(_METRICS, []) != old.get(_METRICS, []):
            client.disable_metrics_collection(AutoScalingGroupName=physical_id)
            _collect(client, physical_id, new.get(_METRICS, []))
        self._update_hooks(context, physical_id, old.get(_HOOKS, []), new.get(_HOOKS, []))
        self._update_targets(context, physical_id, old.get(_TARGETS, []), new.get(_TARGETS, []))
        return {}

    def _update_targets(self, context: Context, name: str, old: list[str], new: list[str]) -> None:
        """Compare with the group itself: where it never got a target group, a rollback has none to take away."""
        if sorted(old) == sorted(new):
            return
        client = context.client("autoscaling")
        described = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        there = [arn for group in described for arn in group.get("TargetGroupARNs", [])]
        if added := [arn for arn in new if arn not in there]:
            client.attach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=added)
        if removed := [arn for arn in there if arn not in new]:
            client.detach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=removed)

    def _update_hooks(self, context: Context, name: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
        client = context.client("autoscaling")
        names = {hook["LifecycleHookName"] for hook in new}
        for hook in old:
            if hook["LifecycleHookName"] not in names:
                client.delete_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName=hook["LifecycleHookName"])
        for hook in new:
            if hook not in old:
                call(client, "PutLifecycleHook", hook, AutoScalingGroupName=name)

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        client = context.client("autoscaling")
        tags = [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in new.items()]
        if tags:
            client.create_or_update_tags(Tags=[_tag(physical_id, tag) for tag in tags])
        if removed:
            client.delete_tags(Tags=[_tag(physical_id, {"Key": key}) for key in removed])

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        """CloudFormation first empties a group, with its hooks, and then deletes it."""
        client = context.client("autoscaling")
        client.update_auto_scaling_group(AutoScalingGroupName=physical_id, MinSize=0, MaxSize=0, DesiredCapacity=0)
        context.until(
            lambda: not self._described(context, physical_id)["Instances"],
            within=INSTANCES_SECONDS,
            every=10,
            what=f"the instances of {physical_id}",
        )
        client.delete_auto_scaling_group(AutoScalingGroupName=physical_id)


_HOOKS = "LifecycleHookSpecificationList"
_TARGETS = "TargetGroupARNs"
_METRICS = "MetricsCollection"


def _collect(client: Any, group: str, collections: list[dict[str, Any]]) -> None:
    """Have these metrics of a group collected."""
    for each in collections:
        call(client, "EnableMetricsCollection", each, AutoScalingGroupName=group)


def _tag(group: str, tag: dict[str, Any]) -> dict[str, Any]:
    return {**tag, "ResourceId": group, "ResourceType": "auto-scaling-group"}


class LifecycleHook(Handler):
    type = "AWS::AutoScaling::LifecycleHook"
    updates = ("PutLifecycleHook", "LifecycleHookName")
    deletes = ("DeleteLifecycleHook", "LifecycleHookName", "AutoScalingGroupName")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("LifecycleHookName") or context.name(255)
        call(context.client("autoscaling"), "PutLifecycleHook", properties, LifecycleHookName=name)
        return Made(name)
