"""CloudWatch alarms and dashboards."""

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Alarm(Handler):
    type = "AWS::CloudWatch::Alarm"
    tagging = Tagging("ResourceARN", "alarm:{}")
    updates = ("PutMetricAlarm", "AlarmName")
    deletes = ("DeleteAlarms", "AlarmNames")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("AlarmName") or context.name(255)
        call(context.client("cloudwatch"), "PutMetricAlarm", properties, AlarmName=name)
        return Made(name, {"Arn": context.arn("cloudwatch", f"alarm:{name}")})


class Dashboard(Handler):
    type = "AWS::CloudWatch::Dashboard"
    tagging = Tagging("ResourceARN", "dashboard/{}", region="")
    updates = ("PutDashboard", "DashboardName")
    deletes = ("DeleteDashboards", "DashboardNames")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("DashboardName") or context.name(255)
        call(context.client("cloudwatch"), "PutDashboard", properties, DashboardName=name)
        return Made(name)
