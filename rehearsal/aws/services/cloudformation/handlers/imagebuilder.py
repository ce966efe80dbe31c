"""EC2 Image Builder: where and as whom images are built. Components and recipes are made by the workflow itself."""

import uuid
from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


class InfrastructureConfiguration(Handler):
    type = "AWS::ImageBuilder::InfrastructureConfiguration"

    def create(self, context: Context, properties: Properties) -> Made:
        client = context.client("imagebuilder")
        answer = call(client, "CreateInfrastructureConfiguration", properties, clientToken=str(uuid.uuid4()))
        arn = answer["infrastructureConfigurationArn"]
        return Made(arn, {"Arn": arn, "Name": properties["Name"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(
            context.client("imagebuilder"),
            "UpdateInfrastructureConfiguration",
            new,
            infrastructureConfigurationArn=physical_id,
            clientToken=str(uuid.uuid4()),
        )
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        client = context.client("imagebuilder")
        if new:
            client.tag_resource(resourceArn=physical_id, tags=new)
        if removed:
            client.untag_resource(resourceArn=physical_id, tagKeys=removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("imagebuilder").delete_infrastructure_configuration(infrastructureConfigurationArn=physical_id)
