"""Image recipes: which components with which parameters, on which parent image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from . import component_document
from .build import FINAL
from .resources import (
    Answer,
    Resources,
    dependency,
    found,
    idempotent,
    invalid,
    order,
    parsed,
    references,
    refuse_dry_run,
)

MAXIMUM_COMPONENTS = 20


@dataclass(frozen=True)
class ImageRecipes:
    aws: LocalAws
    resources: Resources

    @idempotent
    def create_image_recipe(self, call: Call) -> Answer:
        components = call.get("components") or []
        if not components:
            raise invalid("components", "A recipe needs at least one component.")
        if len(components) > MAXIMUM_COMPONENTS:
            raise ServiceError(
                "ServiceQuotaExceededException",
                f"You have exceeded the number of components permitted in a recipe: {MAXIMUM_COMPONENTS}.",
            )
        for index, use in enumerate(components):
            self._check_use(use, f"components[{index}]")
        version = self._free_version(call["name"], call["semanticVersion"])
        arn = f"{self.resources.arn('image-recipe', call['name'])}/{version}"
        if arn in self.resources.recipes:
            raise ServiceError(
                "ResourceAlreadyExistsException", f"The following resource 'ImageRecipe' already exists: '{arn}'."
            )
        self.aws.machines.images.resolve(call["parentImage"])
        refuse_dry_run(call)
        self.resources.recipes[arn] = {
            "arn": arn,
            "type": "AMI",
            "platform": "Linux",
            "owner": self.aws.account,
            "version": version,
            "dateCreated": self.resources.now(),
            "name": call["name"],
            "components": components,
            "parentImage": call["parentImage"],
            "workingDirectory": call.get("workingDirectory", "/tmp"),
            **call.given("description", "blockDeviceMappings", "additionalInstanceConfiguration", "amiTags", "tags"),
        }
        return {"imageRecipeArn": arn, "latestVersionReferences": references(arn)}

    def get_image_recipe(self, call: Call) -> Answer:
        return {"imageRecipe": found(self.resources.recipes, call["imageRecipeArn"])}

    def delete_image_recipe(self, call: Call) -> Answer:
        """Images of it keep what they were made of; a build that goes on needs it (API reference, DeleteImageRecipe,
        ResourceDependencyException).
        """
        arn = call["imageRecipeArn"]
        found(self.resources.recipes, arn)
        for image in self.resources.images.values():
            if image.recipe["arn"] == arn and image.status not in FINAL:
                raise dependency(arn, image.arn)
        del self.resources.recipes[arn]
        return {"imageRecipeArn": arn}

    def list_image_recipes(self, call: Call) -> Answer:
        self.resources.refuse_foreign_owner(call)
        keys = ("arn", "name", "platform", "owner", "parentImage", "dateCreated", "tags")
        summaries = [{key: recipe[key] for key in keys if key in recipe} for recipe in self.resources.recipes.values()]
        return self.resources.page(call, "imageRecipeSummaryList", summaries)

    def _check_use(self, use: Mapping[str, Any], path: str) -> None:
        """The component exists and takes these parameters, each with one value, and none is missing."""
        component = self.resources.component(use["componentArn"])
        if component is None:
            raise invalid(f"{path}.componentArn", f"The component '{use['componentArn']}' does not exist.")
        known = component_document.parameters(parsed(component["data"]))
        given = {parameter["name"]: parameter["value"] for parameter in use.get("parameters", [])}
        if unknown := sorted(set(given) - set(known)):
            raise invalid(
                f"{path}.parameters",
                f"The following parameters are not defined in the provided component: {', '.join(unknown)}",
            )
        required = {name for name, attributes in known.items() if "default" not in attributes}
        if missing := sorted(required - set(given)):
            raise invalid(
                f"{path}.parameters", f"The following parameters of the component have no value: {', '.join(missing)}"
            )
        if plural := sorted(name for name, value in given.items() if len(value) != 1):
            raise invalid(f"{path}.parameters", f"A parameter has exactly one value: {', '.join(plural)}")

    def _free_version(self, name: str, wanted: str) -> str:
        """The version itself, or with `x` the next one that is free."""
        if "x" not in wanted:
            return wanted
        taken = [
            order(arn)
            for arn in self.resources.recipes
            if arn.startswith(f"{self.resources.arn('image-recipe', name)}/")
        ]
        parts = wanted.split(".")
        fixed = [int(part) for part in parts[: parts.index("x")]]
        same = [numbers[:3] for numbers in taken if list(numbers[: len(fixed)]) == fixed]
        if not same:
            return ".".join(map(str, [*fixed, *([0] * 3)][:3]))
        newest = list(max(same))
        newest[2] += 1
        return ".".join(map(str, newest))
