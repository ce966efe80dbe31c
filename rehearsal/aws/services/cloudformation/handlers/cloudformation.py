"""Nested stacks."""

from typing import Any

from ..context import Context, Made, Properties
from ..errors import ResourceFailed
from ..handler import Handler
from ..model import Stack


class NestedStack(Handler):
    """A stack inside a stack: created with the role of its parent, waited for, its outputs are its attributes."""

    type = "AWS::CloudFormation::Stack"
    always_updates = True

    def create(self, context: Context, properties: Properties) -> Made:
        answer = context.client("cloudformation").create_stack(
            StackName=context.name(128), DisableRollback=False, **_request(context, properties)
        )
        child = context.engine.stacks[answer["StackId"]]
        child.parent_id, child.root_id = context.stack.id, context.stack.root_id or context.stack.id
        return Made(child.id)

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        child = context.engine.stacks[physical_id]
        context.engine.wait(child)
        if child.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            verb = "created" if child.updated is None else "updated"
            raise ResourceFailed(f"Embedded stack {child.id} was not successfully {verb}: {_cause(child)}")
        return {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in child.outputs}

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        client = context.client("cloudformation")
        try:
            client.update_stack(StackName=physical_id, **_request(context, new))
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Message"] != "No updates are to be performed.":
                raise
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        """Tags travel with the update, which visits nested stacks in any case."""

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("cloudformation").delete_stack(StackName=physical_id)
        child = context.engine.stacks[physical_id]
        context.engine.wait(child)
        if child.status != "DELETE_COMPLETE":
            raise ResourceFailed(f"Embedded stack {child.id} was not successfully deleted: {_cause(child)}")


def _request(context: Context, properties: Properties) -> dict[str, Any]:
    parameters = properties.get("Parameters", {})
    assert context.stack.deployment is not None
    request = {
        "TemplateURL": properties["TemplateURL"],
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
            for key, value in parameters.items()
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Tags": properties.get("Tags", []),
    }
    if context.stack.role_arn:
        request["RoleARN"] = context.stack.role_arn
    return request


def _cause(child: Stack) -> str:
    """What the nested stack said when it gave up."""
    reasons = [
        event.reason
        for event in child.events
        if event.logical_id == child.name and event.reason and ("ROLLBACK" in event.status or "FAILED" in event.status)
    ]
    return reasons[-1].replace(" Rollback requested by user.", "").strip() if reasons else child.status
