"""Lifecycle hooks: what is set on a group, and the answers of the instances that wait in them."""

from dataclasses import dataclass

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from .groups import Answer, Groups
from .scaling_activities import new_hook


@dataclass(frozen=True)
class LifecycleHooks:
    aws: LocalAws
    groups: Groups

    def put_lifecycle_hook(self, call: Call) -> Answer:
        group = self.groups.group(call)
        name = call["LifecycleHookName"]
        given = call.given()
        if name not in group.hooks and "LifecycleTransition" not in given:
            raise ServiceError("ValidationError", "A new hook needs a LifecycleTransition.")
        group.hooks[name] = new_hook({**group.hooks.get(name, {}), **given})
        return {}

    def delete_lifecycle_hook(self, call: Call) -> Answer:
        group = self.groups.group(call)
        hook = group.hooks.pop(call["LifecycleHookName"], None)
        if hook is None:
            raise ServiceError("ValidationError", f"No Lifecycle Hook found: {call['LifecycleHookName']}")
        for member in list(group.members):  # actions that wait for it are completed
            if member.action and member.action.hook == call["LifecycleHookName"]:
                member.action.result = "CONTINUE"
                member.action.answered.set()
        self.aws.clock.wake()
        return {}

    def describe_lifecycle_hooks(self, call: Call) -> Answer:
        group = self.groups.group(call)
        wanted = call.get("LifecycleHookNames")
        hooks = [hook for name, hook in group.hooks.items() if not wanted or name in wanted]
        return {"LifecycleHooks": [{**hook, "AutoScalingGroupName": group.name} for hook in hooks]}

    def complete_lifecycle_action(self, call: Call) -> Answer:
        if call["LifecycleActionResult"] not in ("CONTINUE", "ABANDON"):
            raise ServiceError("ValidationError", "The lifecycle action result must be CONTINUE or ABANDON.")
        self.groups.group(call).complete(
            call["LifecycleHookName"],
            call["LifecycleActionResult"],
            token=call.get("LifecycleActionToken"),
            instance_id=call.get("InstanceId"),
        )
        return {}

    def record_lifecycle_action_heartbeat(self, call: Call) -> Answer:
        self.groups.group(call).heartbeat(
            call["LifecycleHookName"], token=call.get("LifecycleActionToken"), instance_id=call.get("InstanceId")
        )
        return {}
