"""Systems Manager: documents, associations and parameters."""

from collections.abc import Mapping
from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Parameter(Handler):
    type = "AWS::SSM::Parameter"
    tagging = Tagging("ResourceId", operations=("AddTagsToResource", "RemoveTagsFromResource"))
    deletes = ("DeleteParameter", "Name")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("Name") or f"CFN-{context.name(120)}"
        call(context.client("ssm"), "PutParameter", properties, Name=name)
        return Made(name, {"Type": properties["Type"], "Value": properties["Value"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        call(context.client("ssm"), "PutParameter", new, Name=physical_id, Overwrite=True, Tags=None)
        return {"Type": new["Type"], "Value": new["Value"]}


class Document(Handler):
    """With UpdateMethod NewVersion a changed content becomes a new version and the default one; with Replace (the
    default) a document that CloudFormation has named is replaced (user guide, AWS::SSM::Document, UpdateMethod).
    CloudFormation looks after 30 seconds first, whatever it does with one (CreateHandler.java, UpdateHandler.java and
    DeleteHandler.java of aws-cloudformation/aws-cloudformation-resource-providers-ssm).
    """

    type = "AWS::SSM::Document"
    seconds = 30
    delete_seconds = 30
    tagging = Tagging("ResourceId", operations=("AddTagsToResource", "RemoveTagsFromResource"))
    deletes = ("DeleteDocument", "Name")

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


class Association(Handler):
    type = "AWS::SSM::Association"
    tagging = Tagging("ResourceId", operations=("AddTagsToResource", "RemoveTagsFromResource"))
    updates = ("UpdateAssociation", "AssociationId")
    deletes = ("DeleteAssociation", "AssociationId")

    def create(self, context: Context, properties: Properties) -> Made:
        answer = call(context.client("ssm"), "CreateAssociation", properties)
        association = answer["AssociationDescription"]["AssociationId"]
        return Made(association, {"AssociationId": association})
