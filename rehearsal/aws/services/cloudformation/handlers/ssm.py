"""Systems Manager: documents, associations and parameters."""

from collections.abc import Mapping
from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call


def _retag(context: Context, type_: str, resource_id: str, new: dict[str, str], removed: list[str]) -> None:
    ssm = context.client("ssm")
    if new:
        tags = [{"Key": key, "Value": value} for key, value in new.items()]
        ssm.add_tags_to_resource(ResourceType=type_, ResourceId=resource_id, Tags=tags)
    if removed:
        ssm.remove_tags_from_resource(ResourceType=type_, ResourceId=resource_id, TagKeys=removed)


class Parameter(Handler):
    type = "AWS::SSM::Parameter"

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or f"CFN-{context.name(120)}"
        call(context.client("ssm"), "PutParameter", properties, Name=name)
        return Made(name, {"Type": properties["Type"], "Value": properties["Value"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("ssm"), "PutParameter", new, Name=physical_id, Overwrite=True, Tags=None)
        return {"Type": new["Type"], "Value": new["Value"]}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        _retag(context, "Parameter", physical_id, new, removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ssm").delete_parameter(Name=physical_id)


class Document(Handler):
    """With UpdateMethod NewVersion a changed content becomes a new version and the default one; with Replace (the
    default) a document that CloudFormation has named is replaced (user guide, AWS::SSM::Document, UpdateMethod).
    """

    type = "AWS::SSM::Document"

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or context.name(128)
        properties.get("UpdateMethod")
        kind = properties.get("DocumentType", "Command")
        form = properties.get("DocumentFormat", "JSON")
        call(context.client("ssm"), "CreateDocument", properties, Name=name, DocumentType=kind, DocumentFormat=form)
        return Made(name)

    def replaces(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        return new.get("UpdateMethod", "Replace") == "Replace"

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        ssm = context.client("ssm")
        new.get("UpdateMethod")
        if old["Content"] != new["Content"]:
            answer = call(ssm, "UpdateDocument", new, Name=physical_id, DocumentVersion="$LATEST")
            version = answer["DocumentDescription"]["DocumentVersion"]
            ssm.update_document_default_version(Name=physical_id, DocumentVersion=version)
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        _retag(context, "Document", physical_id, new, removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ssm").delete_document(Name=physical_id)


class Association(Handler):
    type = "AWS::SSM::Association"

    def create(self, context: Context, properties: Properties) -> Made:
        answer = call(context.client("ssm"), "CreateAssociation", properties)
        association = answer["AssociationDescription"]["AssociationId"]
        return Made(association, {"AssociationId": association})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("ssm"), "UpdateAssociation", new, AssociationId=physical_id, Tags=None)
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        _retag(context, "Association", physical_id, new, removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ssm").delete_association(AssociationId=physical_id)
