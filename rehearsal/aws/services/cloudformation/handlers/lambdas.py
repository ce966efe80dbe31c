"""Lambda functions, layers and permissions."""

import secrets
from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call

_DEFAULTS: dict[str, Any] = {
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}
"""What a property that is taken out of the template returns to."""


class Function(Handler):
    """In a VPC, Lambda makes network interfaces first, which takes a while (Lambda developer guide, "VPC"), and
    CloudFormation waits until they are gone.
    """

    type = "AWS::Lambda::Function"
    seconds = 8
    delete_seconds = 7
    tagging = Tagging("Resource", "function:{}")
    deletes = ("DeleteFunction", "FunctionName")

    def create(self, context: Context, properties: Properties) -> Made:
        client = context.client("lambda")
        name = properties.get("FunctionName") or context.name(64)
        answer = call(client, "CreateFunction", properties, FunctionName=name)
        context.identify(name)
        self._reserve(context, name, properties)
        return Made(name, {"Arn": answer["FunctionArn"]})

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        client = context.client("lambda")
        context.until(
            lambda: client.get_function(FunctionName=physical_id)["Configuration"].get("State", "Active") == "Active",
            within=600,
            what=f"function {physical_id}",
        )
        if "VpcConfig" in properties:
            context.wait(228)  # the log of Handler.seconds
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        super().delete(context, physical_id, properties)
        if "VpcConfig" in properties:
            context.wait(88)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        client = context.client("lambda")
        if old["Code"] != new["Code"]:
            call(client, "UpdateFunctionCode", new["Code"], FunctionName=physical_id)
        settings = {name: value for name, value in new.items() if name not in ("Code", "FunctionName", "Tags")}
        removed = {name: value for name, value in _DEFAULTS.items() if name in old and name not in new}
        if any(old.get(name) != value for name, value in settings.items()) or removed:
            call(client, "UpdateFunctionConfiguration", settings | removed, FunctionName=physical_id)
            shape = client.meta.service_model.operation_model("UpdateFunctionConfiguration").input_shape
            new.read |= set(shape.members)
        if old.get("ReservedConcurrentExecutions") != new.get("ReservedConcurrentExecutions"):
            self._reserve(context, physical_id, new)
        return {}

    def _reserve(self, context: Context, name: str, properties: Properties) -> None:
        if "ReservedConcurrentExecutions" in properties:
            context.client("lambda").put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"]
            )


class LayerVersion(Handler):
    type = "AWS::Lambda::LayerVersion"
    seconds = 5

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("LayerName") or context.logical_id
        answer = call(context.client("lambda"), "PublishLayerVersion", properties, LayerName=name)
        return Made(answer["LayerVersionArn"], {"LayerVersionArn": answer["LayerVersionArn"]})

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        arn, _, version = physical_id.rpartition(":")
        context.client("lambda").delete_layer_version(LayerName=arn, VersionNumber=int(version))


class Permission(Handler):
    type = "AWS::Lambda::Permission"
    deletes = ("RemovePermission", "StatementId", "FunctionName")

    def create(self, context: Context, properties: Properties) -> Made:
        statement = f"{context.stack.name}-{context.logical_id}-{secrets.token_hex(6)}"[-100:]
        call(context.client("lambda"), "AddPermission", properties, StatementId=statement)
        return Made(statement, {"Id": statement})
