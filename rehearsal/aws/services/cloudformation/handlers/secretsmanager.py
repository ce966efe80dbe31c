"""Secrets, whose values CloudFormation generates itself."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Secret(Handler):
    """A changed GenerateSecretString generates a new value (user guide, AWS::SecretsManager::Secret)."""

    type = "AWS::SecretsManager::Secret"
    tagging = Tagging("SecretId")

    def taken(self, aws: Any, properties: Mapping[str, Any]) -> str:
        name = properties.get("Name")
        try:
            known = isinstance(name, str) and "DeletedDate" not in aws.client("secretsmanager").describe_secret(
                SecretId=name
            )
        except ClientError:
            return ""
        return str(name) if known else ""

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(64)
        client = context.client("secretsmanager")
        answer = call(client, "CreateSecret", properties, Name=name, SecretString=_value(context, properties))
        return Made(answer["ARN"], {"Id": answer["ARN"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        written = ("GenerateSecretString", "SecretString")
        value = _value(context, new) if any(old.get(name) != new.get(name) for name in written) else None
        client = context.client("secretsmanager")
        described = {name: new[name] for name in ("Description", "KmsKeyId") if name in new}
        call(client, "UpdateSecret", described, SecretId=physical_id, SecretString=value)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("secretsmanager").delete_secret(SecretId=physical_id, ForceDeleteWithoutRecovery=True)


def _value(context: Context, properties: Properties) -> str | None:
    """The secret's value: given, or generated and put into the template's JSON under its key."""
    if "SecretString" in properties:
        return str(properties["SecretString"])
    wanted = properties.get("GenerateSecretString")
    if wanted is None:
        return None
    rules = {name: value for name, value in wanted.items() if name not in ("SecretStringTemplate", "GenerateStringKey")}
    generated = str(call(context.client("secretsmanager"), "GetRandomPassword", rules)["RandomPassword"])
    if "SecretStringTemplate" not in wanted:
        return generated
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: generated})
