"""What EC2 Image Builder has of a cluster that is destroyed: builds, AMIs, recipes, components and the log of builds.

Clusters share images, recipes and components: what another cluster needs stays, and a component goes when no recipe of
the account names it. Source of the order: Image Builder refuses to delete what something else is made of (API
reference, DeleteComponent, ResourceDependencyException).
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.image import retirement
from benchwright.settings import settings

# States in which a build goes on no more (botocore, imagebuilder, ImageStatus).
ENDED = frozenset({"AVAILABLE", "CANCELLED", "DELETED", "DEPRECATED", "DISABLED", "FAILED"})


class Needs(NamedTuple):
    """What other clusters need: AMIs, by id, and images that they want or may be building, by the recipe's version."""

    amis: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()

    def includes(self, build: Mapping[str, Any]) -> bool:
        """Whether a build, as ListImageBuildVersions summarizes it, is one of them."""
        return bool(self.amis & set(retirement.amis_of(build))) or retirement.version_of(build["arn"]) in self.versions


def cancel_builds(names: Iterable[str], needs: Needs, execution: str) -> list[str]:
    """Cancel the builds of recipes that go on and that no one needs; return their ARNs. They end some time later."""
    going = [
        build["arn"]
        for name in names
        for build in retirement.builds_of(name)
        if _goes_on(build) and not needs.includes(build)
    ]
    for arn in going:
        token = hashlib.sha256(f"{arn} {execution}".encode()).hexdigest()[:36]
        try:
            client("imagebuilder").cancel_image_creation(imageBuildVersionArn=arn, clientToken=token)
        except ClientError as error:
            if error_code(error) not in ("ClientException", "InvalidRequestException", "ResourceNotFoundException"):
                raise  # those say that it has ended, or that it is cancelled already
    return going


def remove_images(
    names: Iterable[str], needs: Needs, used: Collection[str], deploying: Callable[[str], str]
) -> tuple[frozenset[str], list[str]]:
    """Remove the images of recipes that no one needs or uses.

    deploying: asked right before each removal, says which other cluster may be about to use an image of that name, if
    any does. Returns the versions of the recipes that stay, and what stays although no cluster needs it, each with why.
    """
    versions, left = set(needs.versions), []
    for build in [build for name in names for build in retirement.builds_of(name)]:
        arn, amis = build["arn"], retirement.amis_of(build)
        if needs.includes(build) or _goes_on(build):
            versions.add(retirement.version_of(arn))
        elif taken := sorted(set(amis) & set(used)):
            versions.add(retirement.version_of(arn))
            left.append(f"{taken[0]}, which an instance or a launch template uses")
        elif who := deploying(arn.split("/")[1]):
            versions.add(retirement.version_of(arn))
            left.append(f"{arn}, which another cluster may be about to use ({who}): a later deployment removes it")
        else:
            kept = retirement.remove(arn, amis[0] if amis else "")
            left += [f"the snapshot {each}, which EC2 did not delete" for each in kept]
    return frozenset(versions), left


def remove_recipes(
    recipe_names: Collection[str], needed: Collection[str], component_names: Collection[str], *, is_shared: bool
) -> list[str]:
    """Remove recipes, and their components, and others of these names, that no recipe names any more.

    needed: the versions of recipes that stay. is_shared: whether another cluster is being deployed, whose recipe may be
    about to name a component: then all stay. What others have in the account our role may not read; Image Builder keeps
    a component that a recipe of theirs names. Returns the ARNs of the components that stay although no cluster needs
    them.
    """
    imagebuilder, prefix = client("imagebuilder"), f"{settings().application}-"
    named: set[str] = set()
    names = set(component_names)
    ours: list[str] = []
    for summary in _pages("list_image_recipes", "imageRecipeSummaryList"):
        if not summary["name"].startswith(prefix):
            continue
        recipe = imagebuilder.get_image_recipe(imageRecipeArn=summary["arn"])["imageRecipe"]
        uses = {use["componentArn"] for use in recipe.get("components", [])}
        if summary["name"] in recipe_names and retirement.version_of(summary["arn"]) not in needed:
            ours.append(summary["arn"])
            names |= {arn.split("/")[1] for arn in uses}
        else:
            named |= uses
    for arn in ours:
        _delete(imagebuilder.delete_image_recipe, imageRecipeArn=arn)
    unneeded = [arn for arn in _components(names) if arn not in named]
    if is_shared:
        return unneeded
    left = []
    for arn in unneeded:
        try:
            _delete(imagebuilder.delete_component, componentBuildVersionArn=arn)
        except ClientError as error:
            if error_code(error) != "ResourceDependencyException":
                raise
            left.append(f"{arn}, which a recipe names that is not Benchwright's")
    return left


def _goes_on(build: Mapping[str, Any]) -> bool:
    return build.get("state", {}).get("status") not in ENDED


def remove_log(group: str) -> None:
    """Delete the log group of a recipe's builds."""
    _delete(client("logs").delete_log_group, logGroupName=group)


def _components(names: Collection[str]) -> Iterator[str]:
    for version in list(_pages("list_components", "componentVersionList")):
        if version["name"] in names:
            arn = version["arn"]
            for build in _pages("list_component_build_versions", "componentSummaryList", componentVersionArn=arn):
                yield build["arn"]


def _pages(operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    owner = {} if operation.endswith("build_versions") else {"owner": "Self"}
    pages: Any = client("imagebuilder").get_paginator(operation)  # type: ignore[call-overload]
    for page in pages.paginate(**owner, **arguments):
        yield from page[key]


def _delete(operation: Any, **arguments: str) -> None:
    try:
        operation(**arguments)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
