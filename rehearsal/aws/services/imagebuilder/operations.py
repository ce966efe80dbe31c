"""The operations of Image Builder."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.iam.models import iam_backends

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work

from . import component_document
from .build import FINAL, ComponentUse, Image, ImageBuild

MAXIMUM_COMPONENTS = 20
DEFAULT_PAGE = 25
ARN = re.compile(
    r"arn:aws[^:]*:imagebuilder:[^:]+:(?P<owner>[^:]+):(?P<kind>[a-z-]+)/(?P<name>[^/]+)"
    r"(?:/(?P<version>[0-9x.]+))?(?:/(?P<build>\d+))?"
)

type Answer = dict[str, Any]


class ImageBuilder:
    """The resources of one account, each as the service shows it, by ARN."""

    def __init__(self, aws: LocalAws) -> None:
        self.lock = threading.RLock()
        self._aws = aws
        self._components: dict[str, Answer] = {}
        self._recipes: dict[str, Answer] = {}
        self._infrastructures: dict[str, Answer] = {}
        self._images: dict[str, Image] = {}
        self._answers: dict[tuple[str, str], tuple[str, Answer]] = {}

    # Components

    def create_component(self, call: Call) -> Answer:
        return self._once(call, self._create_component)

    def _create_component(self, call: Call) -> Answer:
        if ("data" in call.parameters) == ("uri" in call.parameters):
            raise ServiceError("InvalidParameterCombinationException", "Give exactly one of 'data' and 'uri'.")
        if "uri" in call.parameters:
            raise ServiceError("InvalidRequestException", "The rehearsal reads component documents from 'data' only.")
        document = _parsed(call["data"])
        version_arn = f"{self._arn('component', call['name'])}/{call['semanticVersion']}"
        arn = f"{version_arn}/1"
        if arn in self._components:
            # Versions are immutable. (Since November 2025 the service may answer with a further build version instead;
            # who relies on either loses content, so the rehearsal keeps to the refusal.)
            raise ServiceError(
                "InvalidRequestException", f"The following resource 'Component' already exists: '{arn}'."
            )
        _dry_run(call)
        parameters = component_document.parameters(document)
        self._components[arn] = {
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
            "owner": self._aws.account,
            "data": call["data"],
            "encrypted": True,
            "dateCreated": self._now(),
            **call.given("description", "changeDescription", "supportedOsVersions", "kmsKeyId", "tags"),
        }
        return {"componentBuildVersionArn": arn, "latestVersionReferences": _references(version_arn)}

    def get_component(self, call: Call) -> Answer:
        return {"component": _found(self._components, call["componentBuildVersionArn"])}

    def list_components(self, call: Call) -> Answer:
        self._own(call)
        newest = {arn.rpartition("/")[0]: component for arn, component in sorted(self._components.items())}
        summaries = [{**_summary(component), "arn": arn} for arn, component in newest.items()]
        return call.page("componentVersionList", _filtered(summaries, call), DEFAULT_PAGE)

    def delete_component(self, call: Call) -> Answer:
        arn = call["componentBuildVersionArn"]
        _found(self._components, arn)
        for recipe in self._recipes.values():
            if any(_matches(use["componentArn"], arn) for use in recipe["components"]):
                raise ServiceError(
                    "ResourceDependencyException", f"Resource '{arn}' is in use by the following: {recipe['arn']}."
                )
        del self._components[arn]
        return {"componentBuildVersionArn": arn}

    # Recipes

    def create_image_recipe(self, call: Call) -> Answer:
        return self._once(call, self._create_image_recipe)

    def _create_image_recipe(self, call: Call) -> Answer:
        components = call.get("components") or []
        if not components:
            raise _invalid("components", "A recipe needs at least one component.")
        if len(components) > MAXIMUM_COMPONENTS:
            raise ServiceError(
                "ServiceQuotaExceededException",
                f"You have exceeded the number of components permitted in a recipe: {MAXIMUM_COMPONENTS}.",
            )
        for index, use in enumerate(components):
            self._check_use(use, f"components[{index}]")
        version = self._free_version(call["name"], call["semanticVersion"])
        arn = f"{self._arn('image-recipe', call['name'])}/{version}"
        if arn in self._recipes:
            raise ServiceError(
                "ResourceAlreadyExistsException", f"The following resource 'ImageRecipe' already exists: '{arn}'."
            )
        self._aws.machines.images.resolve(call["parentImage"])
        _dry_run(call)
        self._recipes[arn] = {
            "arn": arn,
            "type": "AMI",
            "platform": "Linux",
            "owner": self._aws.account,
            "version": version,
            "dateCreated": self._now(),
            "name": call["name"],
            "components": components,
            "parentImage": call["parentImage"],
            "workingDirectory": call.get("workingDirectory", "/tmp"),
            **call.given("description", "blockDeviceMappings", "additionalInstanceConfiguration", "amiTags", "tags"),
        }
        return {"imageRecipeArn": arn, "latestVersionReferences": _references(arn)}

    def get_image_recipe(self, call: Call) -> Answer:
        return {"imageRecipe": _found(self._recipes, call["imageRecipeArn"])}

    def list_image_recipes(self, call: Call) -> Answer:
        self._own(call)
        keys = ("arn", "name", "platform", "owner", "parentImage", "dateCreated", "tags")
        summaries = [{key: recipe[key] for key in keys if key in recipe} for recipe in self._recipes.values()]
        return call.page("imageRecipeSummaryList", _filtered(summaries, call), DEFAULT_PAGE)

    def delete_image_recipe(self, call: Call) -> Answer:
        arn = call["imageRecipeArn"]
        _found(self._recipes, arn)
        del self._recipes[arn]
        return {"imageRecipeArn": arn}

    def _check_use(self, use: Mapping[str, Any], path: str) -> None:
        """The component exists and takes these parameters, each with one value, and none is missing."""
        component = self._component(use["componentArn"])
        if component is None:
            raise _invalid(f"{path}.componentArn", f"The component '{use['componentArn']}' does not exist.")
        known = component_document.parameters(_parsed(component["data"]))
        given = {parameter["name"]: parameter["value"] for parameter in use.get("parameters", [])}
        if unknown := sorted(set(given) - set(known)):
            raise _invalid(
                f"{path}.parameters",
                f"The following parameters are not defined in the provided component: {', '.join(unknown)}",
            )
        required = {name for name, attributes in known.items() if "default" not in attributes}
        if missing := sorted(required - set(given)):
            raise _invalid(
                f"{path}.parameters", f"The following parameters of the component have no value: {', '.join(missing)}"
            )
        if plural := sorted(name for name, value in given.items() if len(value) != 1):
            raise _invalid(f"{path}.parameters", f"A parameter has exactly one value: {', '.join(plural)}")

    def _component(self, arn: str) -> Answer | None:
        """The newest component that an ARN means: exact, without a build, or with `x` in its version."""
        found = [component for key, component in self._components.items() if _matches(arn, key)]
        return max(found, key=lambda component: _order(component["arn"]), default=None)

    def _free_version(self, name: str, wanted: str) -> str:
        """The version itself, or with `x` the next one that is free."""
        if "x" not in wanted:
            return wanted
        taken = [_order(arn) for arn in self._recipes if arn.startswith(f"{self._arn('image-recipe', name)}/")]
        parts = wanted.split(".")
        fixed = [int(part) for part in parts[: parts.index("x")]]
        same = [numbers[:3] for numbers in taken if list(numbers[: len(fixed)]) == fixed]
        if not same:
            return ".".join(map(str, [*fixed, *([0] * 3)][:3]))
        newest = list(max(same))
        newest[2] += 1
        return ".".join(map(str, newest))

    # Infrastructure configurations

    def create_infrastructure_configuration(self, call: Call) -> Answer:
        return self._once(call, self._create_infrastructure_configuration)

    def _create_infrastructure_configuration(self, call: Call) -> Answer:
        arn = self._arn("infrastructure-configuration", call["name"])
        if arn in self._infrastructures:
            raise ServiceError(
                "ResourceAlreadyExistsException",
                f"The following resource 'InfrastructureConfiguration' already exists: '{arn}'.",
            )
        self._check_profile(call)
        _dry_run(call)
        self._infrastructures[arn] = {"arn": arn, "dateCreated": self._now(), **_settings(call), "name": call["name"]}
        return {"infrastructureConfigurationArn": arn}

    def get_infrastructure_configuration(self, call: Call) -> Answer:
        found = _found(self._infrastructures, call["infrastructureConfigurationArn"])
        return {"infrastructureConfiguration": found}

    def update_infrastructure_configuration(self, call: Call) -> Answer:
        arn = call["infrastructureConfigurationArn"]
        old = _found(self._infrastructures, arn)
        self._check_profile(call)
        kept: Answer = {key: old[key] for key in ("arn", "name", "dateCreated", "tags") if key in old}
        self._infrastructures[arn] = {**_settings(call), **kept, "dateUpdated": self._now()}
        return {"infrastructureConfigurationArn": arn}

    def delete_infrastructure_configuration(self, call: Call) -> Answer:
        arn = call["infrastructureConfigurationArn"]
        _found(self._infrastructures, arn)
        for image in self._images.values():
            if image.infrastructure["arn"] == arn and image.status not in FINAL:
                raise ServiceError(
                    "ResourceDependencyException", f"Resource '{arn}' is in use by the following: {image.arn}."
                )
        del self._infrastructures[arn]
        return {"infrastructureConfigurationArn": arn}

    def _check_profile(self, call: Call) -> None:
        profiles = iam_backends[self._aws.account]["aws"].instance_profiles.values()
        if call["instanceProfileName"] not in {profile.name for profile in profiles}:
            raise _invalid(
                "instanceProfileName",
                "The provided instance profile does not exist. "
                "Please specify a different instance profile and try again.",
            )

    # Images

    def create_image(self, call: Call) -> Answer:
        return self._once(call, self._create_image)

    def _create_image(self, call: Call) -> Answer:
        if "imageRecipeArn" not in call.parameters:
            raise ServiceError(
                "InvalidParameterCombinationException", "The rehearsal builds from 'imageRecipeArn' only."
            )
        recipe = _found(self._recipes, call["imageRecipeArn"])
        infrastructure = _found(self._infrastructures, call["infrastructureConfigurationArn"])
        version_arn = f"{self._arn('image', recipe['name'])}/{recipe['version']}"
        earlier = [image for image in self._images.values() if image.arn.rpartition("/")[0] == version_arn]
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
            created=self._aws.clock.datetime(),
        )
        self._images[image.arn] = image
        work.start(self._aws.clock, ImageBuild(self._aws, image).run)
        return {
            "imageBuildVersionArn": image.arn,
            "latestVersionReferences": _references(version_arn),
        }

    def _use(self, use: Mapping[str, Any]) -> ComponentUse:
        component = self._component(use["componentArn"])
        if component is None:
            raise ServiceError("InvalidRequestException", f"The component '{use['componentArn']}' does not exist.")
        given = {parameter["name"]: parameter["value"][0] for parameter in use.get("parameters", [])}
        return ComponentUse(component["arn"], _parsed(component["data"]), given)

    def get_image(self, call: Call) -> Answer:
        wanted = call["imageBuildVersionArn"]
        found = [image for arn, image in self._images.items() if _matches(wanted, arn)]
        if not found:
            raise _absent(wanted)
        image = max(found, key=lambda image: _order(image.arn))
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
        self._own(call)
        newest = {image.arn.rpartition("/")[0]: image for image in self._images.values()}
        keys = ("name", "type", "version", "platform", "owner", "dateCreated", "buildType", "imageSource")
        summaries = []
        for arn, image in newest.items():
            summary = self._image_summary(image)
            summary["version"] = image.recipe["version"]
            summaries.append({"arn": arn, **{key: summary[key] for key in keys}})
        return call.page("imageVersionList", _filtered(summaries, call), DEFAULT_PAGE)

    def list_image_build_versions(self, call: Call) -> Answer:
        builds = [
            self._image_summary(image)
            for image in self._images.values()
            if call.get("imageVersionArn") in (None, image.arn.rpartition("/")[0])
        ]
        return call.page("imageSummaryList", _filtered(builds, call), DEFAULT_PAGE)

    def cancel_image_creation(self, call: Call) -> Answer:
        return self._once(call, self._cancel_image_creation)

    def _cancel_image_creation(self, call: Call) -> Answer:
        arn = call["imageBuildVersionArn"]
        image = self._images.get(arn)
        if image is None:
            raise _absent(arn)
        if image.status in FINAL:
            raise ServiceError(
                "InvalidRequestException", f"Resource '{arn}' is in status '{image.status}' and cannot be cancelled."
            )
        image.cancelled = True
        self._aws.clock.wake()
        return {"imageBuildVersionArn": arn}

    def delete_image(self, call: Call) -> Answer:
        """Image Builder's record goes; the AMI stays until it is deregistered."""
        arn = call["imageBuildVersionArn"]
        image = self._images.get(arn)
        if image is None:
            raise _absent(arn)
        if image.status not in FINAL:
            raise ServiceError(
                "ResourceDependencyException", f"Resource '{arn}' is in status '{image.status}' and cannot be deleted."
            )
        del self._images[arn]
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
            "owner": self._aws.account,
            "dateCreated": _timestamp(image.created),
            "outputResources": {"amis": [dict(image.ami)] if image.ami and image.status == "AVAILABLE" else []},
            "tags": dict(image.tags),
            "buildType": "USER_INITIATED",
            "imageSource": "CUSTOM",
        }

    # Tags

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"tags": self._tags(call["resourceArn"])}

    def tag_resource(self, call: Call) -> Answer:
        self._tags(call["resourceArn"]).update(call["tags"])
        return {}

    def untag_resource(self, call: Call) -> Answer:
        for key in call["tagKeys"]:
            self._tags(call["resourceArn"]).pop(key, None)
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        for resources in (self._components, self._recipes, self._infrastructures):
            if arn in resources:
                tags: dict[str, str] = resources[arn].setdefault("tags", {})
                return tags
        if arn in self._images:
            image = self._images[arn]
            image.tags = dict(image.tags)
            return image.tags
        raise _absent(arn)

    # What all of them share

    def _once(self, call: Call, create: Callable[[Call], Answer]) -> Answer:
        """The same token gets the original answer, and with other parameters a refusal."""
        token = call["clientToken"]
        parameters = {key: value for key, value in call.parameters.items() if key != "clientToken"}
        fingerprint = json.dumps(parameters, sort_keys=True, default=str)
        known = self._answers.get((call.operation, token))
        if known is None:
            answer = {"clientToken": token, **create(call)}
            known = self._answers[call.operation, token] = (fingerprint, answer)
        if known[0] != fingerprint:
            raise ServiceError(
                "IdempotentParameterMismatchException",
                f"You have specified a client token '{token}' that was used with other parameters.",
            )
        return known[1]

    def _own(self, call: Call) -> None:
        if call.get("owner", "Self") != "Self":
            raise ServiceError("InvalidRequestException", f"The rehearsal has no resources of owner {call['owner']}.")

    def _arn(self, kind: str, name: str) -> str:
        normalized = name.lower().replace(" ", "-")
        return f"arn:aws:imagebuilder:{self._aws.region}:{self._aws.account}:{kind}/{normalized}"

    def _now(self) -> str:
        return _timestamp(self._aws.clock.datetime())


def _timestamp(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _parsed(data: str) -> dict[str, Any]:
    try:
        return component_document.parse(data)
    except component_document.DocumentError as error:
        raise _invalid("data", str(error)) from error


def _settings(call: Call) -> Answer:
    left_out = ("clientToken", "dryRun", "infrastructureConfigurationArn")
    return {name: value for name, value in call.given().items() if name not in left_out}


def _dry_run(call: Call) -> None:
    if call.get("dryRun"):
        raise ServiceError("DryRunOperationException", "Request would have succeeded, but the dryRun flag is set.", 412)


def _found(resources: Mapping[str, Answer], arn: str) -> Answer:
    if arn not in resources:
        raise _absent(arn)
    return resources[arn]


def _absent(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"The resource with ARN '{arn}' cannot be found.", 404)


def _invalid(parameter: str, why: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValueException", f"The value supplied for parameter '{parameter}' is not valid. {why}"
    )


def _matches(wanted: str, arn: str) -> bool:
    """Whether a reference (exact, without a build, or with `x` in its version) means the resource with this ARN."""
    reference, resource = ARN.fullmatch(wanted), ARN.fullmatch(arn)
    if not reference or not resource:
        return False
    if any(reference[part] != resource[part] for part in ("owner", "kind", "name")):
        return False
    if reference["build"] not in (None, resource["build"]):
        return False
    numbers = zip((reference["version"] or "").split("."), (resource["version"] or "").split("."), strict=False)
    return all(one in ("x", "", other) for one, other in numbers)


def _order(arn: str) -> tuple[int, ...]:
    parts = ARN.fullmatch(arn)
    assert parts
    return (*map(int, (parts["version"] or "0").split(".")), int(parts["build"] or 0))


def _references(version_arn: str) -> Answer:
    name, _, version = version_arn.rpartition("/")
    major, minor, _ = version.split(".")
    return {
        "latestVersionArn": f"{name}/x.x.x",
        "latestMajorVersionArn": f"{name}/{major}.x.x",
        "latestMinorVersionArn": f"{name}/{major}.{minor}.x",
        "latestPatchVersionArn": f"{name}/{version}",
    }


def _summary(component: Answer) -> Answer:
    left_out = ("data", "parameters", "encrypted", "kmsKeyId", "state")
    return {key: value for key, value in component.items() if key not in left_out}


def _filtered(summaries: Iterable[Answer], call: Call) -> list[Answer]:
    wanted = call.get("filters") or []
    return [one for one in summaries if all(str(one.get(item["name"])) in item["values"] for item in wanted)]
