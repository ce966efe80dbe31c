"""EC2 Image Builder: where and as whom images are built. Components and recipes are made by the workflow itself."""

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class InfrastructureConfiguration(Handler):
    type = "AWS::ImageBuilder::InfrastructureConfiguration"
    tagging = Tagging("resourceArn")
    updates = ("UpdateInfrastructureConfiguration", "infrastructureConfigurationArn")
    deletes = ("DeleteInfrastructureConfiguration", "infrastructureConfigurationArn")

    def create(self, context: Context, properties: Properties) -> Made:
        client = context.client("imagebuilder")
        answer = call(client, "CreateInfrastructureConfiguration", properties)
        arn = answer["infrastructureConfigurationArn"]
        return Made(arn, {"Arn": arn, "Name": properties["Name"]})
