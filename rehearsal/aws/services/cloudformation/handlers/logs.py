"""CloudWatch Logs."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class QueryDefinition(Handler):
    type = "AWS::Logs::QueryDefinition"
    updates = ("PutQueryDefinition", "queryDefinitionId")
    deletes = ("DeleteQueryDefinition", "queryDefinitionId")

    def create(self, context: Context, properties: Properties) -> Made:
        made = call(context.client("logs"), "PutQueryDefinition", properties)["queryDefinitionId"]
        return Made(made, {"QueryDefinitionId": made})


class LogGroup(Handler):
    type = "AWS::Logs::LogGroup"
    seconds = 10
    tagging = Tagging("resourceArn", "log-group:{}")
    deletes = ("DeleteLogGroup", "logGroupName")

    def create(self, context: Context, properties: Properties) -> Made:
        logs = context.client("logs")
        name = properties.get("LogGroupName") or context.name(512)
        call(logs, "CreateLogGroup", properties, logGroupName=name)
        context.identify(name)
        if "RetentionInDays" in properties:
            logs.put_retention_policy(logGroupName=name, retentionInDays=properties["RetentionInDays"])
        return Made(name, {"Arn": context.arn("logs", f"log-group:{name}:*")})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        logs = context.client("logs")
        if old.get("RetentionInDays") != new.get("RetentionInDays"):
            if new.get("RetentionInDays"):
                logs.put_retention_policy(logGroupName=physical_id, retentionInDays=new["RetentionInDays"])
            else:
                logs.delete_retention_policy(logGroupName=physical_id)
        if old.get("KmsKeyId") != new.get("KmsKeyId"):
            if new.get("KmsKeyId"):
                logs.associate_kms_key(logGroupName=physical_id, kmsKeyId=new["KmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=physical_id)
        return {}
