"""Components: documents that are checked, in versions that never change."""

from dataclasses import dataclass

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from . import component_document
from .resources import (
    Answer,
    Resources,
    dependency,
    found,
    idempotent,
    parsed,
    references,
    refuse_dry_run,
)


@dataclass(frozen=True)
class Components:
    aws: LocalAws
    resources: Resources

    @idempotent
    def create_component(self, call: Call) -> Answer:
        if ("data" in call.parameters) == ("uri" in call.parameters):
            raise ServiceError("InvalidParameterCombinationException", "Give exactly one of 'data' and 'uri'.")
        if "uri" in call.parameters:
            raise ServiceError("InvalidRequestException", "The rehearsal reads component documents from 'data' only.")
        document = parsed(call["data"])
        version_arn = f"{self.resources.arn('component', call['name'])}/{call['semanticVersion']}"
        arn = f"{version_arn}/1"
        if arn in self.resources.components:
            # Versions are immutable. (Since November 2025 the service may answer with a further build version instead;
            # who relies on either loses content, so the rehearsal keeps to the refusal.)
            raise ServiceError(
                "InvalidRequestException", f"The following resource 'Component' already exists: '{arn}'."
            )
        refuse_dry_run(call)
        parameters = component_document.parameters(document)
        self.resources.components[arn] = {
            "arn": arn,
            "name": call["name"],
            "version": call["semanticVersion"],
            "type": component_document.kind(document),
            "platform": call["platform"],
            "state": {"status": "ACTIVE"},
            "parameters": [
                {
                    "name": name,
                    "type": attributes["type"],
                    **({"defaultValue": [attributes["default"]]} if "default" in attributes else {}),
                    **({"description": attributes["description"]} if "description" in attributes else {}),
                }
                for name, attributes in parameters.items()
            ],
            "owner": self.aws.account,
            "data": call["data"],
            "encrypted": True,
            "dateCreated": self.resources.now(),
            **call.given("description", "changeDescription", "supportedOsVersions", "kmsKeyId", "tags"),
        }
        return {"componentBuildVersionArn": arn, "latestVersionReferences": references(version_arn)}

    def get_component(self, call: Call) -> Answer:
        return {"component": found(self.resources.components, call["componentBuildVersionArn"])}

    def delete_component(self, call: Call) -> Answer:
        """A recipe keeps its components (API reference, DeleteComponent, ResourceDependencyException)."""
        arn = call["componentBuildVersionArn"]
        found(self.resources.components, arn)
        for recipe in self.resources.recipes.values():
            for use in recipe["components"]:
                used = self.resources.component(use["componentArn"])
                if used and used["arn"] == arn:
                    raise dependency(arn, recipe["arn"])
        del self.resources.components[arn]
        return {"componentBuildVersionArn": arn}

    def list_component_build_versions(self, call: Call) -> Answer:
        of_version = call.get("componentVersionArn")
        builds = [
            _summary(component)
            for arn, component in self.resources.components.items()
            if of_version in (None, arn.rpartition("/")[0])
        ]
        return self.resources.page(call, "componentSummaryList", builds)

    def list_components(self, call: Call) -> Answer:
        self.resources.refuse_foreign_owner(call)
        newest = {arn.rpartition("/")[0]: component for arn, component in sorted(self.resources.components.items())}
        summaries = [{**_summary(component), "arn": arn} for arn, component in newest.items()]
        return self.resources.page(call, "componentVersionList", summaries)


def _summary(component: Answer) -> Answer:
    left_out = ("data", "parameters", "encrypted", "kmsKeyId", "state")
    return {key: value for key, value in component.items() if key not in left_out}
