"""Which old images may go, and how they go: after verification only, and never one that any cluster needs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.observability import logger
from benchwright.settings import APPLICATION_TAG, CLUSTER_TAG

# How many images a cluster remembers that it was verified with: more than people bring of their own between two built.
REMEMBERED = 10
# Of DeregisterImage, DeleteSnapshotResults: what leaves nothing behind that is ours to remove.
DELETED = frozenset({"success", "skipped"})


class Candidate(NamedTuple):
    """A finished image: its build, its AMI, its time of creation (ISO 8601)."""

    arn: str
    ami: str
    created: str


def remember(ami: str, verified: Sequence[str]) -> list[str]:
    """Return the images that a cluster was verified with, the latest first, after it was verified with this one."""
    return [ami, *(earlier for earlier in verified if earlier != ami)][:REMEMBERED]


def superseded(
    candidates: Iterable[Candidate], used: frozenset[str], current: str, verified: Iterable[str]
) -> list[Candidate]:
    """Return the images to retire, oldest first: all that no one uses but the current one and the one to return to.

    To return to is the latest other one of `verified`, which exist: a bad new image can be answered with image.ami of
    it. What was built and never verified is not worth keeping. Without an image to return to all stay: a cluster of an
    earlier release, which did not record what it was verified with, would lose its good ones.
    """
    oldest_first = sorted(candidates, key=lambda item: item.created)
    back = to_return_to(current, verified, {item.ami for item in oldest_first})
    return [item for item in oldest_first if back and item.ami not in used | {current, back}]


def to_return_to(current: str, verified: Iterable[str], built: Collection[str]) -> str:
    """Return the latest image of `verified` that was built here, other than the current one; or an empty text."""
    return next((ami for ami in verified if ami != current and ami in built), "")


def find_candidates(recipe_names: Iterable[str]) -> list[Candidate]:
    """List the finished images of recipes, all versions."""
    return [
        Candidate(build["arn"], amis[0], str(build.get("dateCreated", "")))
        for name in recipe_names
        for build in builds_of(name)
        if (amis := amis_of(build)) and build.get("state", {}).get("status") == "AVAILABLE"
    ]


def builds_of(recipe_name: str) -> list[Mapping[str, Any]]:
    """List every build of a recipe, all versions, as ListImageBuildVersions summarizes it."""
    imagebuilder = client("imagebuilder")
    found: list[Mapping[str, Any]] = []
    versions = imagebuilder.get_paginator("list_images").paginate(
        owner="Self", filters=[{"name": "name", "values": [recipe_name]}]
    )
    for version in (item for page in versions for item in page["imageVersionList"]):
        if version["name"] != recipe_name:  # it decides what is deleted: no matter how the filter compares
            continue
        builds = imagebuilder.get_paginator("list_image_build_versions").paginate(imageVersionArn=version["arn"])
        found += (summary for page in builds for summary in page["imageSummaryList"])
    return found


def amis_of(build: Mapping[str, Any]) -> list[str]:
    """Return the AMIs that a build made."""
    return [ami["image"] for ami in build.get("outputResources", {}).get("amis", []) if ami.get("image")]


def version_of(arn: str) -> str:
    """Return the version of a recipe from its ARN, or from that of a build."""
    return arn.split("/")[2]


def used_images(recorded: Iterable[str | None], application: str, *, without: str = "") -> frozenset[str]:
    """Return every AMI that an instance, a launch template, or a recorded plan uses.

    without: the name of a cluster whose instances and launch template do not count.
    """
    ec2 = client("ec2")
    used = {ami for ami in recorded if ami}
    ours = {(APPLICATION_TAG, application), (CLUSTER_TAG, without)}
    for page in ec2.get_paginator("describe_instances").paginate():
        for instance in (item for reservation in page["Reservations"] for item in reservation["Instances"]):
            tags = {(tag["Key"], tag.get("Value", "")) for tag in instance.get("Tags", [])}
            if instance["State"]["Name"] != "terminated" and not ours <= tags:
                used.add(instance["ImageId"])
    # Without a template's id the call answers for all templates of the account (DescribeLaunchTemplateVersions,
    # Versions).
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(Versions=["$Latest", "$Default"])
    own = f"{application}-{without}-nodes"  # infra/nodes.yaml
    versions = [
        item
        for page in pages
        for item in page["LaunchTemplateVersions"]
        if not without or item.get("LaunchTemplateName") != own
    ]
    return frozenset(used | template_images(versions, application))


def template_images(versions: Iterable[Mapping[str, Any]], application: str) -> set[str]:
    """Return the AMIs of the newest and the default version of each launch template; of our own only the newest.

    CloudFormation leaves the first version the default for ever, and our groups name the newest: without this
    difference a cluster's first image could never go. Ours have an instance profile below the application's path.
    """
    found = list(versions)
    newest: dict[str, int] = {}
    for item in found:
        newest[item["LaunchTemplateId"]] = max(newest.get(item["LaunchTemplateId"], 0), item["VersionNumber"])
    images = set()
    for item in found:
        data = item["LaunchTemplateData"]
        is_ours = f":instance-profile/{application}/" in data.get("IamInstanceProfile", {}).get("Arn", "")
        if data.get("ImageId") and (not is_ours or item["VersionNumber"] == newest[item["LaunchTemplateId"]]):
            images.add(data["ImageId"])
    return images


def retire(candidate: Candidate) -> str:
    """Remove an image; returns a warning, or an empty text: failing here is no reason to fail a verified deployment."""
    try:
        kept = remove(candidate.arn, candidate.ami)
    except (ClientError, BotoCoreError) as error:
        logger.warning("image not retired", ami=candidate.ami, reason=str(error))
        return f"The old image {candidate.ami} could not be retired: {error}. The next deployment tries again."
    if kept:
        return f"Of the old image {candidate.ami} stays {', '.join(kept)}. Remove it by hand: it costs storage."
    return ""


def remove(build: str, ami: str) -> list[str]:
    """Remove an image: the AMI with its snapshots, then Image Builder's record. Returns as `_deregister` does.

    ami: empty for a build that made none. The record goes last: whatever ends this half-way, the next execution finds
    the image by it and goes on. For the same reason AMI and snapshots go in one call: no one could find the snapshots
    of an AMI that is gone.
    """
    kept = _deregister(ami) if ami else []
    _forget(build)
    return kept


def _deregister(ami: str) -> list[str]:
    """Remove an AMI that may be gone already; return those of its snapshots that EC2 did not delete, each with why.

    It is looked for first: one that is gone has no tag any more for which our role might deregister it, and EC2 says
    just that.
    """
    ec2 = client("ec2")
    if not ec2.describe_images(Filters=[{"Name": "image-id", "Values": [ami]}])["Images"]:
        return []
    try:
        answer = ec2.deregister_image(ImageId=ami, DeleteAssociatedSnapshots=True)
    except ClientError as error:
        if error_code(error) in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
            return []
        raise
    results = answer.get("DeleteSnapshotResults", [])
    # `skipped` is a snapshot that another AMI uses, such as a copy that someone made.
    return [f"{item['SnapshotId']} ({item['ReturnCode']})" for item in results if item["ReturnCode"] not in DELETED]


def _forget(build: str) -> None:
    try:
        client("imagebuilder").delete_image(imageBuildVersionArn=build)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
