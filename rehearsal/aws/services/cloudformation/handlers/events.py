"""EventBridge rules and schedules."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Rule(Handler):
    # Twice 30 (aws-cloudformation/aws-cloudformation-resource-providers-events, rule/CreateHandler.java).
    type = "AWS::Events::Rule"
    seconds = 62
    delete_seconds = 32
    tagging = Tagging("ResourceARN", "rule/{}")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        arn = self._put(context, name, properties)
        return Made(name, {"Arn": arn})

    def _put(self, context: Context, name: str, properties: Properties) -> str:
        events = context.client("events")
        answer = call(events, "PutRule", properties, Name=name)
        context.identify(name)
        if properties.get("Targets"):
            call(events, "PutTargets", Rule=name, Targets=properties["Targets"])
        return str(answer["RuleArn"])

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._put(context, physical_id, new)
        kept = {target["Id"] for target in new.get("Targets", [])}
        removed = [target["Id"] for target in old.get("Targets", []) if target["Id"] not in kept]
        if removed:
            context.client("events").remove_targets(Rule=physical_id, Ids=removed)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        events = context.client("events")
        targets = [target["Id"] for target in properties.get("Targets", [])]
        if targets:
            events.remove_targets(Rule=physical_id, Ids=targets)
        events.delete_rule(Name=physical_id)


class Schedule(Handler):
    """EventBridge Scheduler, which is not EventBridge: its schedules carry their own role and take no tags."""

    type = "AWS::Scheduler::Schedule"
    seconds = 2
    updates = ("UpdateSchedule", "Name")
    deletes = ("DeleteSchedule", "Name", "GroupName")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        answer = call(context.client("scheduler"), "CreateSchedule", properties, Name=name)
        return Made(name, {"Arn": answer["ScheduleArn"]})


class ScheduleGroup(Handler):
    """Deleting one deletes its schedules; CloudFormation has deleted those of the template before."""

    type = "AWS::Scheduler::ScheduleGroup"
    seconds = 2
    tagging = Tagging("ResourceArn", "schedule-group/{}")
    deletes = ("DeleteScheduleGroup", "Name")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        answer = call(context.client("scheduler"), "CreateScheduleGroup", properties, Name=name)
        return Made(name, {"Arn": answer["ScheduleGroupArn"]})
