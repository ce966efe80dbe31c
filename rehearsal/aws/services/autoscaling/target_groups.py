"""The target groups of an Auto Scaling group: its instances in service are their targets.

The states are those of https://docs.aws.amazon.com/autoscaling/ec2/userguide/load-balancer-status.html. Health checks
of type EC2 leave the health of targets alone, and so does an instance refresh, which judges an instance by the health
checks that its group has (user guide, "How an instance refresh works").
"""

from dataclasses import dataclass, field

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .groups import Answer, Groups
from .scaling_activities import Group, refuse_unknown_targets

MOST_IN_A_CALL = 10


@dataclass(frozen=True)
class TargetGroups:
    """The operations on target groups of a group."""

    aws: LocalAws
    groups: Groups
    removed: dict[str, dict[str, float]] = field(default_factory=dict)
    """By group, the target groups that were detached, with the moments at which that has ended (AWS time)."""

    def attach_load_balancer_target_groups(self, call: Call) -> Answer:
        group, arns = self.groups.group(call), self._arns(call)
        refuse_unknown_targets(self.aws, arns)
        attached = group.settings["TargetGroupARNs"]
        for arn in arns:
            if arn in attached:
                continue
            attached.append(arn)
            for member in group.living:
                if member.state == "InService":
                    self.aws.balancing.targets.register(arn, member.machine)
        return {}

    def detach_load_balancer_target_groups(self, call: Call) -> Answer:
        group, arns = self.groups.group(call), self._arns(call)
        attached = group.settings["TargetGroupARNs"]
        if missing := [arn for arn in arns if arn not in attached]:
            raise ServiceError(
                "ValidationError", f"Trying to remove Target Groups that are not part of the group: {missing}"
            )
        for arn in arns:
            attached.remove(arn)
            ends = [self.aws.balancing.targets.deregister(arn, member.id) for member in list(group.members)]
            self.removed.setdefault(group.name, {})[arn] = max(ends, default=self.aws.clock.now())
        return {}

    def describe_load_balancer_target_groups(self, call: Call) -> Answer:
        group = self.groups.group(call)
        now = self.aws.clock.now()
        removing = [arn for arn, end in self.removed.get(group.name, {}).items() if now < end]
        states = {arn: self._state(group, arn) for arn in group.settings["TargetGroupARNs"]}
        states |= {arn: "Removing" for arn in removing if arn not in states}
        shown = [{"LoadBalancerTargetGroupARN": arn, "State": state} for arn, state in states.items()]
        return call.page("LoadBalancerTargetGroups", shown, 100)

    def _state(self, group: Group, arn: str) -> str:
        """Added when each instance in service is registered, InService when one of them is healthy."""
        targets = self.aws.balancing.targets.of(arn)
        states = {target.machine.id: target.state for target in targets}
        serving = [member.id for member in group.living if member.state == "InService"]
        if any(states.get(identifier) == "healthy" for identifier in serving):
            return "InService"
        return "Added" if all(identifier in states for identifier in serving) else "Adding"

    def _arns(self, call: Call) -> list[str]:
        arns = list(call["TargetGroupARNs"])
        if len(arns) > MOST_IN_A_CALL:
            raise ServiceError("ValidationError", f"You can specify at most {MOST_IN_A_CALL} target groups in a call.")
        return arns
