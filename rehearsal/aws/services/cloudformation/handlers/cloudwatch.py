"""CloudWatch alarms and dashboards."""

from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


class Alarm(Handler):
    type = "AWS::CloudWatch::Alarm"

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("AlarmName") or context.name(255)
        call(context.client("cloudwatch"), "PutMetricAlarm", properties, AlarmName=name)
        return Made(name, {"Arn": context.arn("cloudwatch", f"alarm:{name}")})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("cloudwatch"), "PutMetricAlarm", new, AlarmName=physical_id, Tags=None)
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        _retag(context, context.arn("cloudwatch", f"alarm:{physical_id}"), new, removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


class Dashboard(Handler):
    type = "AWS::CloudWatch::Dashboard"

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("DashboardName") or context.name(255)
        call(context.client("cloudwatch"), "PutDashboard", properties, DashboardName=name)
        return Made(name)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("cloudwatch"), "PutDashboard", new, DashboardName=physical_id, Tags=None)
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        _retag(context, context.arn("cloudwatch", f"dashboard/{physical_id}", region=""), new, removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_dashboards(DashboardNames=[physical_id])


def _retag(context: Context, arn: str, new: dict[str, str], removed: list[str]) -> None:
    client = context.client("cloudwatch")
    if new:
        call(client, "TagResource", ResourceARN=arn, Tags=new)
    if removed:
        client.untag_resource(ResourceARN=arn, TagKeys=removed)
