"""Step Functions state machines."""

import json
from typing import Any

import yaml

from ..context import Context, Made, Properties
from ..errors import ResourceFailed
from ..handler import Handler, Tagging
from ..service_call import call
from ..templates import text


class StateMachine(Handler):
    type = "AWS::StepFunctions::StateMachine"
    seconds = 5
    tagging = Tagging("resourceArn")
    deletes = ("DeleteStateMachine", "stateMachineArn")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("StateMachineName") or context.name(80)
        client = context.client("stepfunctions")
        answer = call(
            client,
            "CreateStateMachine",
            properties,
            name=name,
            definition=definition(context, properties),
            type=properties.get("StateMachineType", "STANDARD"),
        )
        arn = answer["stateMachineArn"]
        return Made(arn, {"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        client = context.client("stepfunctions")
        answer = call(
            client, "UpdateStateMachine", new, stateMachineArn=physical_id, definition=definition(context, new)
        )
        return {"StateMachineRevisionId": answer.get("revisionId", "INITIAL")}


def definition(context: Context, properties: Properties) -> str:
    """The state machine's definition as JSON, with its substitutions.

    In S3 it may be YAML; `${Name}` is replaced where Name is a substitution, and nothing else is touched (user guide,
    AWS::StepFunctions::StateMachine, DefinitionSubstitutions).
    """
    if "DefinitionS3Location" in properties:
        where = properties["DefinitionS3Location"]
        version = {"VersionId": where["Version"]} if where.get("Version") else {}
        stored = context.client("s3").get_object(Bucket=where["Bucket"], Key=where["Key"], **version)
        written = stored["Body"].read().decode()
    elif "DefinitionString" in properties:
        written = properties["DefinitionString"]
    else:
        written = json.dumps(properties["Definition"])
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        written = written.replace("${" + name + "}", text(value))
    document = yaml.load(written, yaml.CSafeLoader)
    if not isinstance(document, dict):
        raise ResourceFailed("Invalid State Machine Definition: it is not an object")
    return json.dumps(document)
