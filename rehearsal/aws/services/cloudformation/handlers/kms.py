"""KMS keys and their aliases."""

from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


class Key(Handler):
    type = "AWS::KMS::Key"
    seconds = 5

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

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        kms = context.client("kms")
        if new:
            call(kms, "TagResource", KeyId=physical_id, Tags=new)
        if removed:
            kms.untag_resource(KeyId=physical_id, TagKeys=removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        days = properties.get("PendingWindowInDays", 30)
        context.client("kms").schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=int(days))


class Alias(Handler):
    type = "AWS::KMS::Alias"

    def create(self, context: Context, properties: Properties) -> Made:
        call(context.client("kms"), "CreateAlias", properties)
        return Made(properties["AliasName"])

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        context.client("kms").update_alias(AliasName=physical_id, TargetKeyId=new["TargetKeyId"])
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("kms").delete_alias(AliasName=physical_id)
