"""EventBridge rules and schedules."""

from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


class Rule(Handler):
    type = "AWS::Events::Rule"
    seconds = 5

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

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        events, arn = context.client("events"), context.arn("events", f"rule/{physical_id}")
        if new:
            call(events, "TagResource", ResourceARN=arn, Tags=new)
        if removed:
            events.untag_resource(ResourceARN=arn, TagKeys=removed)

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

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        answer = call(context.client("scheduler"), "CreateSchedule", properties, Name=name)
        return Made(name, {"Arn": answer["ScheduleArn"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("scheduler"), "UpdateSchedule", new, Name=physical_id)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        group = properties.get("GroupName", "default")
        context.client("scheduler").delete_schedule(Name=physical_id, GroupName=group)


class ScheduleGroup(Handler):
    """Deleting one deletes its schedules; CloudFormation has deleted those of the template before."""

    type = "AWS::Scheduler::ScheduleGroup"
    seconds = 2

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        answer = call(context.client("scheduler"), "CreateScheduleGroup", properties, Name=name)
        return Made(name, {"Arn": answer["ScheduleGroupArn"]})

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        scheduler, arn = context.client("scheduler"), context.arn("scheduler", f"schedule-group/{physical_id}")
        if new:
            call(scheduler, "TagResource", ResourceArn=arn, Tags=new)
        if removed:
            scheduler.untag_resource(ResourceArn=arn, TagKeys=removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("scheduler").delete_schedule_group(Name=physical_id)
