"""Images: builds of recipes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work

from .build import FINAL, ComponentUse, Image, ImageBuild
from .resources import (
    Answer,
    Resources,
    absent,
    found,
    idempotent,
    matches,
    order,
    parsed,
    references,
    timestamp,
)


@dataclass(frozen=True)
class Images:
    aws: LocalAws
    resources: Resources

    @idempotent
    def create_image(self, call: Call) -> Answer:
        if "imageRecipeArn" not in call.parameters:
            raise ServiceError(
                "InvalidParameterCombinationException", "The rehearsal builds from 'imageRecipeArn' only."
            )
        recipe = found(self.resources.recipes, call["imageRecipeArn"])
        infrastructure = found(self.resources.infrastructures, call["infrastructureConfigurationArn"])
        version_arn = f"{self.resources.arn('image', recipe['name'])}/{recipe['version']}"
        earlier = [image for image in self.resources.images.values() if image.arn.rpartition("/")[0] == version_arn]
        if running := [image.arn for image in earlier if image.status not in FINAL]:
            raise ServiceError("ResourceInUseException", f"The recipe is in use by a running build: {running[0]}.")
        number = max((int(image.arn.rpartition("/")[2]) for image in earlier), default=0) + 1
        image = Image(
            arn=f"{version_arn}/{number}",
            recipe=recipe,
            infrastructure=infrastructure,
            uses=[self._use(use) for use in recipe["components"]],
            tests=(call.get("imageTestsConfiguration") or {}).get("imageTestsEnabled", True),
            inventory=call.get("enhancedImageMetadataEnabled", True),
            tags=call.get("tags") or {},
            created=self.aws.clock.datetime(),
        )
        self.resources.images[image.arn] = image
        work.start(self.aws.clock, ImageBuild(self.aws, image).run)
        return {
            "imageBuildVersionArn": image.arn,
            "latestVersionReferences": references(version_arn),
        }

    def _use(self, use: Mapping[str, Any]) -> ComponentUse:
        component = self.resources.component(use["componentArn"])
        if component is None:
            raise ServiceError("InvalidRequestException", f"The component '{use['componentArn']}' does not exist.")
        given = {parameter["name"]: parameter["value"][0] for parameter in use.get("parameters", [])}
        return ComponentUse(component["arn"], parsed(component["data"]), given)

    def get_image(self, call: Call) -> Answer:
        wanted = call["imageBuildVersionArn"]
        found = [image for arn, image in self.resources.images.items() if matches(wanted, arn)]
        if not found:
            raise absent(wanted)
        image = max(found, key=lambda image: order(image.arn))
        return {
            "image": {
                **self._image_summary(image),
                "imageRecipe": image.recipe,
                "infrastructureConfiguration": image.infrastructure,
                "imageTestsConfiguration": {"imageTestsEnabled": image.tests, "timeoutMinutes": 720},
                "enhancedImageMetadataEnabled": True,
            }
        }

    def list_images(self, call: Call) -> Answer:
        self.resources.refuse_foreign_owner(call)
        newest = {image.arn.rpartition("/")[0]: image for image in self.resources.images.values()}
        keys = ("name", "type", "version", "platform", "owner", "dateCreated", "buildType", "imageSource")
        summaries = []
        for arn, image in newest.items():
            summary = self._image_summary(image)
            summary["version"] = image.recipe["version"]
            summaries.append({"arn": arn, **{key: summary[key] for key in keys}})
        return self.resources.page(call, "imageVersionList", summaries)

    def list_image_build_versions(self, call: Call) -> Answer:
        builds = [
            self._image_summary(image)
            for image in self.resources.images.values()
            if call.get("imageVersionArn") in (None, image.arn.rpartition("/")[0])
        ]
        return self.resources.page(call, "imageSummaryList", builds)

    @idempotent
    def cancel_image_creation(self, call: Call) -> Answer:
        arn = call["imageBuildVersionArn"]
        image = self.resources.images.get(arn)
        if image is None:
            raise absent(arn)
        if image.status in FINAL:
            raise ServiceError(
                "InvalidRequestException", f"Resource '{arn}' is in status '{image.status}' and cannot be cancelled."
            )
        image.cancelled = True
        self.aws.clock.wake()
        return {"imageBuildVersionArn": arn}

    def delete_image(self, call: Call) -> Answer:
        """Image Builder's record goes; the AMI stays until it is deregistered."""
        arn = call["imageBuildVersionArn"]
        image = self.resources.images.get(arn)
        if image is None:
            raise absent(arn)
        if image.status not in FINAL:
            raise ServiceError(
                "ResourceDependencyException", f"Resource '{arn}' is in status '{image.status}' and cannot be deleted."
            )
        del self.resources.images[arn]
        return {"imageBuildVersionArn": arn}

    def _image_summary(self, image: Image) -> Answer:
        return {
            "arn": image.arn,
            "type": "AMI",
            "name": image.recipe["name"],
            "version": image.version,
            "platform": "Linux",
            "osVersion": "Ubuntu 24.04",
            "state": image.state,
            "owner": self.aws.account,
            "dateCreated": timestamp(image.created),
            "outputResources": {"amis": [dict(image.ami)] if image.ami and image.status == "AVAILABLE" else []},
            "tags": dict(image.tags),
            "buildType": "USER_INITIATED",
            "imageSource": "CUSTOM",
        }
