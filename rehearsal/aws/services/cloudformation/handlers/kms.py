"""KMS keys and their aliases."""

import contextlib
from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Key(Handler):
    # CloudFormation waits 15 after a creation and a deletion, 60 after a change
    # (aws-cloudformation/aws-cloudformation-resource-providers-kms, EventualConsistencyHandlerHelper.java).
    type = "AWS::KMS::Key"
    seconds = 15
    update_seconds = 60
    delete_seconds = 15
    tagging = Tagging("KeyId")

    def create(self, context: Context, properties: Properties) -> Made:
        kms = context.client("kms")
        policy = properties.get("KeyPolicy")
        key = call(kms, "CreateKey", properties, Policy=policy)["KeyMetadata"]
        context.identify(key["KeyId"])
        if properties.get("EnableKeyRotation"):
            kms.enable_key_rotation(KeyId=key["KeyId"])
        properties.get("PendingWindowInDays")
        return Made(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        kms = context.client("kms")
        if old.get("KeyPolicy") != new.get("KeyPolicy"):
            call(kms, "PutKeyPolicy", KeyId=physical_id, PolicyName="default", Policy=new["KeyPolicy"])
        if old.get("Description") != new.get("Description"):
            kms.update_key_description(KeyId=physical_id, Description=new.get("Description", ""))
        if old.get("EnableKeyRotation") != new.get("EnableKeyRotation"):
            rotate = kms.enable_key_rotation if new.get("EnableKeyRotation") else kms.disable_key_rotation
            rotate(KeyId=physical_id)
        new.get("PendingWindowInDays")
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        days = properties.get("PendingWindowInDays", 30)
        kms = context.client("kms")
        with contextlib.suppress(kms.exceptions.KMSInvalidStateException):  # its deletion is pending already
            kms.schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=int(days))


class Alias(Handler):
    type = "AWS::KMS::Alias"
    updates = ("UpdateAlias", "AliasName")
    deletes = ("DeleteAlias", "AliasName")

    def create(self, context: Context, properties: Properties) -> Made:
        call(context.client("kms"), "CreateAlias", properties)
        return Made(properties["AliasName"])
