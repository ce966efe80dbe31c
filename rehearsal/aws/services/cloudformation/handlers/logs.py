"""CloudWatch Logs."""

from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


class QueryDefinition(Handler):
    type = "AWS::Logs::QueryDefinition"

    def create(self, context: Context, properties: Properties) -> Made:
        made = call(context.client("logs"), "PutQueryDefinition", properties)["queryDefinitionId"]
        return Made(made, {"QueryDefinitionId": made})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("logs"), "PutQueryDefinition", new, queryDefinitionId=physical_id)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("logs").delete_query_definition(queryDefinitionId=physical_id)


class LogGroup(Handler):
    type = "AWS::Logs::LogGroup"

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

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        logs, arn = context.client("logs"), context.arn("logs", f"log-group:{physical_id}")
        if new:
            logs.tag_resource(resourceArn=arn, tags=new)
        if removed:
            logs.untag_resource(resourceArn=arn, tagKeys=removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("logs").delete_log_group(logGroupName=physical_id)
