"""DynamoDB tables."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Table(Handler):
    type = "AWS::DynamoDB::Table"
    seconds = 45
    tagging = Tagging("ResourceArn", "table/{}")
    deletes = ("DeleteTable", "TableName")

    def create(self, context: Context, properties: Properties) -> Made:
        dynamodb = context.client("dynamodb")
        name = properties.get("TableName") or context.name(255)
        encryption = _encryption(properties)
        table = call(dynamodb, "CreateTable", properties, TableName=name, SSESpecification=encryption)[
            "TableDescription"
        ]
        context.identify(name)
        if "PointInTimeRecoverySpecification" in properties:
            call(dynamodb, "UpdateContinuousBackups", properties, TableName=name)
        if "TimeToLiveSpecification" in properties:
            call(dynamodb, "UpdateTimeToLive", properties, TableName=name)
        return Made(name, {"Arn": table["TableArn"], "StreamArn": table.get("LatestStreamArn")})

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        dynamodb = context.client("dynamodb")
        context.until(
            lambda: dynamodb.describe_table(TableName=physical_id)["Table"]["TableStatus"] == "ACTIVE",
            within=600,
            what=f"table {physical_id}",
        )
        return {}

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        dynamodb = context.client("dynamodb")
        for name in ("DeletionProtectionEnabled", "BillingMode", "ProvisionedThroughput", "TableClass"):
            if old.get(name) != new.get(name):
                call(dynamodb, "UpdateTable", {name: new[name]}, TableName=physical_id)
        if old.get("SSESpecification") != new.get("SSESpecification"):
            call(dynamodb, "UpdateTable", TableName=physical_id, SSESpecification=_encryption(new))
        if old.get("PointInTimeRecoverySpecification") != new.get("PointInTimeRecoverySpecification"):
            call(dynamodb, "UpdateContinuousBackups", new, TableName=physical_id)
        if old.get("TimeToLiveSpecification") != new.get("TimeToLiveSpecification"):
            call(dynamodb, "UpdateTimeToLive", new, TableName=physical_id)
        return {}


def _encryption(properties: Properties) -> dict[str, Any] | None:
    """The request says Enabled where CloudFormation says SSEEnabled."""
    given = properties.get("SSESpecification")
    return given and {"Enabled" if name == "SSEEnabled" else name: value for name, value in given.items()}
