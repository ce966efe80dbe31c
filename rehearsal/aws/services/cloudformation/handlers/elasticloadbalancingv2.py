"""Application Load Balancers, their target groups, listeners and rules."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..context import SUFFIX, Context, Made, Properties
from ..handler import Handler
from ..service_call import call


class Balancing(Handler):
    """What the resources of Elastic Load Balancing share: the ARN is the physical id, and is what tags are set by."""

    attributes: ClassVar[tuple[str, str, str]] = ("", "", "")
    """The property that holds attributes, the operation that sets them, and the member that names the resource."""

    def client(self, context: Context) -> Any:
        return context.client("elbv2")

    def name(self, context: Context) -> str:
        """Six characters of the stack and six of the logical id: of a name of at most 32, no pattern holds more."""
        *_, suffix = context.name().rpartition("-")
        return f"{context.stack.name[:6].strip('-')}-{context.logical_id[:6]}-{suffix[:SUFFIX]}"

    def create_named(
        self, context: Context, operation: str, listed: str, properties: Properties
    ) -> tuple[str, Mapping[str, Any]]:
        """Create what has a name and attributes; return its ARN, and how it is described."""
        name = properties.get("Name") or self.name(context)
        made: Mapping[str, Any] = call(self.client(context), operation, properties, Name=name)[listed][0]
        arn = made[self.attributes[2]]
        context.identify(arn)
        self.set_attributes(context, arn, properties)
        return arn, made

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        if new:
            call(self.client(context), "AddTags", ResourceArns=[physical_id], Tags=new)
        if removed:
            call(self.client(context), "RemoveTags", ResourceArns=[physical_id], TagKeys=removed)

    def set_attributes(self, context: Context, arn: str, new: Properties, old: Mapping[str, Any] | None = None) -> None:
        """Set the attributes that changed; one that is named no more keeps its value."""
        name, operation, member = self.attributes
        before, after = _pairs((old or {}).get(name)), _pairs(new.get(name))
        changed = [{"Key": key, "Value": value} for key, value in after.items() if before.get(key) != value]
        if changed:
            call(self.client(context), operation, {member: arn, "Attributes": changed})


def _pairs(attributes: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {each["Key"]: each.get("Value", "") for each in attributes or []}


class LoadBalancer(Balancing):
    """Created when it is active, deleted when it is described no more."""

    type = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    attributes = ("LoadBalancerAttributes", "ModifyLoadBalancerAttributes", "LoadBalancerArn")

    def create(self, context: Context, properties: Properties) -> Made:
        arn, made = self.create_named(context, "CreateLoadBalancer", "LoadBalancers", properties)
        return Made(
            arn,
            {
                "LoadBalancerArn": arn,
                "LoadBalancerName": made["LoadBalancerName"],
                "LoadBalancerFullName": arn.partition(":loadbalancer/")[2],
                "DNSName": made["DNSName"],
                "CanonicalHostedZoneID": made["CanonicalHostedZoneId"],
            },
        )

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        context.until(lambda: self._state(context, physical_id) == "active", within=3600, every=10, what=physical_id)
        return {}

    def _state(self, context: Context, arn: str) -> str:
        (found,) = self.client(context).describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        return str(found["State"]["Code"])

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        client = self.client(context)
        if old.get("Subnets") != new.get("Subnets"):
            client.set_subnets(LoadBalancerArn=physical_id, Subnets=new["Subnets"])
        if old.get("SecurityGroups") != new.get("SecurityGroups"):
            client.set_security_groups(LoadBalancerArn=physical_id, SecurityGroups=new["SecurityGroups"])
        self.set_attributes(context, physical_id, new, old)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        client = self.client(context)
        client.delete_load_balancer(LoadBalancerArn=physical_id)

        def gone() -> bool:
            try:
                client.describe_load_balancers(LoadBalancerArns=[physical_id])
            except client.exceptions.LoadBalancerNotFoundException:
                return True
            return False

        context.until(gone, within=600, what=physical_id)


class TargetGroup(Balancing):
    type = "AWS::ElasticLoadBalancingV2::TargetGroup"
    attributes = ("TargetGroupAttributes", "ModifyTargetGroupAttributes", "TargetGroupArn")
    deletes = ("DeleteTargetGroup", "TargetGroupArn")

    def create(self, context: Context, properties: Properties) -> Made:
        arn, made = self.create_named(context, "CreateTargetGroup", "TargetGroups", properties)
        return Made(
            arn,
            {
                "TargetGroupArn": arn,
                "TargetGroupName": made["TargetGroupName"],
                "TargetGroupFullName": arn.rpartition(":")[2],
                "LoadBalancerArns": made.get("LoadBalancerArns", []),
            },
        )

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        health = {name for name in {*old, *new} if name.startswith(("Health", "Unhealthy")) or name == "Matcher"}
        if any(old.get(name) != new.get(name) for name in health):
            wanted = {name: new[name] for name in health if name in new}
            call(self.client(context), "ModifyTargetGroup", wanted, TargetGroupArn=physical_id)
        self.set_attributes(context, physical_id, new, old)
        return {}


class Listener(Balancing):
    type = "AWS::ElasticLoadBalancingV2::Listener"
    updates = ("ModifyListener", "ListenerArn")
    deletes = ("DeleteListener", "ListenerArn")

    def create(self, context: Context, properties: Properties) -> Made:
        made = call(self.client(context), "CreateListener", properties)["Listeners"][0]["ListenerArn"]
        return Made(made, {"ListenerArn": made})


class ListenerRule(Balancing):
    type = "AWS::ElasticLoadBalancingV2::ListenerRule"
    deletes = ("DeleteRule", "RuleArn")

    def create(self, context: Context, properties: Properties) -> Made:
        made = call(self.client(context), "CreateRule", properties)["Rules"][0]["RuleArn"]
        return Made(made, {"RuleArn": made, "IsDefault": False})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        client = self.client(context)
        if old["Priority"] != new["Priority"]:
            priority = [{"RuleArn": physical_id, "Priority": int(new["Priority"])}]
            client.set_rule_priorities(RulePriorities=priority)
        if any(old.get(name) != new.get(name) for name in ("Actions", "Conditions")):
            wanted = {name: new[name] for name in ("Actions", "Conditions")}
            call(client, "ModifyRule", wanted, RuleArn=physical_id)
        return {}
