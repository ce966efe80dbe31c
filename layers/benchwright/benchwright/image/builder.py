"""The conversation with EC2 Image Builder: one image per recipe version, built once, found again ever after."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import ImageBuildFailed, TransientError, error_code, error_message
from benchwright.image.build_log import last_lines
from benchwright.settings import APPLICATION_TAG, settings

if TYPE_CHECKING:  # recipe imports YAML, which of all functions build_image alone needs
    from mypy_boto3_imagebuilder.type_defs import ComponentConfigurationTypeDef

    from benchwright.image.recipe import Component, ComponentUse, Recipe

# States of an image: botocore, imagebuilder, ImageStatus. An unknown one is waited for until the attempts end.
FAILED_STATES = frozenset({"FAILED", "CANCELLED"})
UNUSABLE_STATES = frozenset({"DEPRECATED", "DELETED", "DISABLED"})
LOG_LINES = 15
# By what Image Builder gives as the reason (EC2 Image Builder user guide, "Troubleshoot"; EC2 API, error codes).
REMEDIES: Mapping[str, str] = {
    "SSM Agent|Systems Manager|AWSTOE": "Systems Manager did not reach the build instance. Its subnet, the first "
    "private one, needs a route to AWS (a NAT gateway, or endpoints for ssm, ssmmessages, ec2messages, imagebuilder, "
    "s3 and logs), its parent image a running SSM agent.",
    "VcpuLimitExceeded|vCPU": "Request more of the EC2 quota Running On-Demand Standard instances (Service Quotas, "
    "L-1216C47A), or stop others.",
    "InsufficientInstanceCapacity|capacity": "The zone has no such instance now: start again later.",
    "KMS|InternalError|key": "The key that encrypts EBS volumes by default (EC2 console, EBS encryption) must exist, "
    "be enabled, and allow Image Builder's service-linked role to use it.",
    "quota|limit": "Request more of the quota that the reason names (Service Quotas), or delete what uses it up.",
    "not authorized|AccessDenied|permission": "Allow what the reason names; a policy of the organization may deny it.",
}
OTHER_REMEDY = "Look at the reason, and at the instance of the build in CloudTrail."


class Build(NamedTuple):
    """One build of an image version, as Image Builder lists it."""

    arn: str
    status: str
    reason: str = ""
    ami: str = ""


class BuildStep(NamedTuple):
    """What to do next about an image."""

    action: Literal["use", "wait", "build", "fail"]
    build: Build | None = None


def next_build_step(builds: Sequence[Build], joined: str) -> BuildStep:
    """Decide from the builds of the wanted version, oldest first, and the one that this execution started or joined.

    A build that failed under this execution fails it; one that failed under an earlier execution is tried again. Of
    several usable ones the oldest is used: a second one that someone began later must not replace nodes.
    """
    newest = builds[-1] if builds else None
    usable = [build for build in builds if build.status == "AVAILABLE" and build.ami]
    if usable:
        return BuildStep("use", usable[0])
    if newest is None or newest.status in UNUSABLE_STATES or newest.status == "AVAILABLE":
        return BuildStep("build", newest)  # AVAILABLE without an AMI: it was deregistered by hand
    if newest.status in FAILED_STATES:
        return BuildStep("fail" if newest.arn == joined else "build", newest)
    return BuildStep("wait", newest)


def find_builds(recipe: "Recipe", joined: str) -> list[Build]:
    """List the builds of exactly this recipe version, oldest first; once one was joined, those of its name alone."""
    names = [_name_of(joined)] if joined else recipe.names
    return [build for name in names for build in _builds(name, recipe.version)]


def _builds(name: str, version: str) -> list[Build]:
    version_arn = _arn("image", f"{name}/{version}")
    try:
        pages = client("imagebuilder").get_paginator("list_image_build_versions").paginate(imageVersionArn=version_arn)
        summaries = [summary for page in pages for summary in page["imageSummaryList"]]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return []
        raise
    builds = [_build(summary) for summary in summaries]
    return sorted(builds, key=lambda build: int(build.arn.rsplit("/", 1)[-1]))


def usable_builds(builds: Sequence[Build]) -> list[Build]:
    """Take the AMI from builds whose AMI no longer exists, so that they are not mistaken for usable ones."""
    existing = existing_images([build.ami for build in builds if build.ami])
    return [build if build.ami in existing else Build(build.arn, build.status, build.reason) for build in builds]


def existing_images(amis: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Describe those of the AMIs that exist and are available, by id."""
    if not amis:
        return {}
    found = client("ec2").describe_images(
        Filters=[{"Name": "image-id", "Values": sorted(set(amis))}, {"Name": "state", "Values": ["available"]}]
    )
    return {image["ImageId"]: image for image in found["Images"]}


def ensure_recipe(recipe: "Recipe", execution: str) -> str:
    """Make sure that the recipe and its components exist; return the recipe's ARN."""
    imagebuilder = client("imagebuilder")
    recipe_arn = _arn("image-recipe", f"{recipe.name}/{recipe.version}")
    try:
        imagebuilder.get_image_recipe(imageRecipeArn=recipe_arn)
        return recipe_arn
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
    arns = {component: _ensure_component(component, execution) for component in recipe.components}
    try:
        imagebuilder.create_image_recipe(
            name=recipe.name,
            semanticVersion=recipe.version,
            parentImage=recipe.parent_image,
            components=[_component(arns[use.component], use) for use in recipe.uses],
            blockDeviceMappings=list(recipe.block_devices),
            # The nodes are configured through the agent, so the build must leave it on the image.
            additionalInstanceConfiguration={"systemsManagerAgent": {"uninstallAfterBuild": False}},
            tags=_tags(),
            amiTags=_tags(),
            clientToken=_token(recipe_arn, execution),
        )
    except ClientError as error:
        if error_code(error) != "ResourceAlreadyExistsException":
            raise
    return recipe_arn


def keep_log(recipe: "Recipe") -> None:
    """Make the log group of the recipe's builds, which Image Builder makes without an end, or give it one."""
    logs, group = client("logs"), log_group(recipe.name)
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if error_code(error) != "ResourceAlreadyExistsException":
            raise
    logs.put_retention_policy(logGroupName=group, retentionInDays=settings().log_retention_days)


def log_group(name: str) -> str:
    """Return the name that Image Builder gives the log group of a recipe's builds."""
    return f"/aws/imagebuilder/{name}"


def start_build(recipe_arn: str, predecessor: str, execution: str) -> str:
    """Start a build and return its ARN; raises TransientError while a build runs that is not listed yet.

    The token hashes content and observed predecessor: of clusters that ask at the same moment one begins the build and
    the others get the same answer. Where that answer is a build which was deleted since, the execution is hashed, too.
    """
    arn = _create_image(recipe_arn, _token(recipe_arn, predecessor))
    if _exists(arn):
        return arn
    return _create_image(recipe_arn, _token(recipe_arn, predecessor, execution))


def _create_image(recipe_arn: str, token: str) -> str:
    try:
        answer = client("imagebuilder").create_image(
            imageRecipeArn=recipe_arn,
            infrastructureConfigurationArn=settings().infrastructure_configuration_arn,
            # It asks SSM Inventory, and builds hang in accounts that have associations of their own for it.
            enhancedImageMetadataEnabled=False,
            # A test instance takes five minutes. Each node checks itself after its boot instead (docs/decisions/0029).
            imageTestsConfiguration={"imageTestsEnabled": False},
            clientToken=token,
            tags=_tags(),
        )
    except ClientError as error:
        if error_code(error) == "ResourceInUseException":
            raise TransientError(f"Image Builder builds this recipe already: {error_message(error)}") from error
        raise
    return str(answer["imageBuildVersionArn"])


def _exists(build: str) -> bool:
    try:
        image = client("imagebuilder").get_image(imageBuildVersionArn=build).get("image", {})
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return False
        raise
    return image.get("state", {}).get("status") not in UNUSABLE_STATES


def build_failure(build: Build) -> ImageBuildFailed:
    """Say why a build failed: the failed step, the reason, the last lines of its log, what to do."""
    image = client("imagebuilder").get_image(imageBuildVersionArn=build.arn)["image"]
    state = image.get("state", {})
    component = state.get("failureContext", {}).get("componentFailure", {})
    where = ""
    if component.get("stepName"):
        name = component.get("componentArn", "").split("/")[1:2]
        where = f" in step {component['stepName']} of component {''.join(name) or '?'} ({component['phaseName']})"
    reason = component.get("errorMessage") or state.get("reason") or build.reason or "no reason was given"
    group = log_group(_name_of(build.arn))
    lines = last_lines(group, LOG_LINES)
    return ImageBuildFailed(
        "\n".join(
            [
                f"The image build {build.arn} ended {build.status}{where}: {reason}",
                remedy(reason, is_component=bool(component)),
                f"Its log is the CloudWatch log group {group}{'. The last lines:' if lines else '.'}",
                *(f"  {line}" for line in lines),
            ]
        )
    )


def remedy(reason: str, *, is_component: bool) -> str:
    """Return what to do about a failed build; what a component printed is in its log."""
    if is_component:
        return "Fix what the log says of the component of image/, of a version in the input or of a download."
    return next((text for pattern, text in REMEDIES.items() if re.search(pattern, reason, re.IGNORECASE)), OTHER_REMEDY)


def _ensure_component(component: "Component", execution: str) -> str:
    arn = _arn("component", f"{component.name}/{component.version}/1")
    if _has_component(arn):
        return arn
    try:
        answer = client("imagebuilder").create_component(
            name=component.name,
            semanticVersion=component.version,
            platform="Linux",
            data=component.data,
            tags=_tags(),
            clientToken=_token(arn, execution),
        )
    except ClientError:
        # How a version that exists is refused is not documented; the version stands for the content, whoever made it.
        if _has_component(arn):
            return arn
        raise
    return str(answer["componentBuildVersionArn"])


def _has_component(arn: str) -> bool:
    try:
        client("imagebuilder").get_component(componentBuildVersionArn=arn)
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return False
        raise
    return True


def _build(summary: Mapping[str, Any]) -> Build:
    state = summary.get("state", {})
    amis = summary.get("outputResources", {}).get("amis", [])
    region = summary["arn"].split(":")[3]
    ami = next((ami["image"] for ami in amis if ami.get("region") == region and ami.get("image")), "")
    return Build(summary["arn"], state.get("status", "PENDING"), state.get("reason", ""), ami)


def _arn(kind: str, name: str) -> str:
    """Build the ARN of a resource of this account and region, which the infrastructure configuration's ARN names."""
    prefix = settings().infrastructure_configuration_arn.rsplit(":", 1)[0]
    return f"{prefix}:{kind}/{name}"


def _name_of(build: str) -> str:
    """Return the name of the recipe of a build, from the build's ARN."""
    return build.split("/")[1]


def _tags() -> dict[str, str]:
    """Return the tags of what clusters share: it must not matter which of them makes it."""
    return {APPLICATION_TAG: settings().application}


def _token(*content: str) -> str:
    """Return a client token.

    Image Builder gives a token that it knows its first answer again, also when what it made then was deleted since.
    With an execution in it, nothing that existed before that execution can be meant.
    """
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _component(arn: str, use: "ComponentUse") -> "ComponentConfigurationTypeDef":
    """A component in a recipe; Image Builder refuses an empty list of parameters."""
    if not use.parameters:
        return {"componentArn": arn}
    return {"componentArn": arn, "parameters": [{"name": name, "value": [value]} for name, value in use.parameters]}
