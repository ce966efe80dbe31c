"""What Image Builder has of a cluster goes in an order in which nothing is refused, and nothing of others goes."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.image import removal
from benchwright.image.removal import Needs
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.image.test_retirement import VERSION, built, existing

NOTHING = Needs()
COMPONENT = "arn:aws:imagebuilder:eu-west-1:123456789012:component/{}/1.0.0"
RECIPE = "arn:aws:imagebuilder:eu-west-1:123456789012:image-recipe/{}/1.0.0"


def no_one(_: str) -> str:
    return ""


def images(*builds: dict[str, Any]) -> dict[str, Answer]:
    return {
        "ListImages": {
            "imageVersionList": [{"name": "wb-blue", "arn": VERSION}, {"name": "wb-blue-2", "arn": "other"}]
        },
        "ListImageBuildVersions": {"imageSummaryList": list(builds)},
        "DescribeImages": existing("ami-1", "ami-2"),
        "DeregisterImage": {},
        "DeleteImage": {},
    }


def test_only_builds_that_go_on_are_cancelled(aws: Conversation) -> None:
    aws.answers = images(built(1), built(2, "BUILDING"), built(3, "CANCELLED"))
    aws.answers["CancelImageCreation"] = refusal("InvalidRequestException")  # it ended meanwhile
    assert removal.cancel_builds(["wb-blue"], NOTHING, "arn") == [f"{VERSION}/2"]
    assert [asked["imageBuildVersionArn"] for asked in aws.asked("CancelImageCreation")] == [f"{VERSION}/2"]


def test_an_image_that_is_used_stays_and_a_build_without_one_goes(aws: Conversation) -> None:
    failed = {"arn": f"{VERSION}/3", "state": {"status": "FAILED"}}
    aws.answers = images(built(1), built(2), failed, built(4, "BUILDING"))
    assert removal.remove_images(["wb-blue"], NOTHING, {"ami-2"}, no_one) == (
        frozenset({"1.0.0"}),
        ["ami-2, which an instance or a launch template uses"],
    )
    assert [asked["ImageId"] for asked in aws.asked("DeregisterImage")] == ["ami-1"]
    assert [asked["imageBuildVersionArn"] for asked in aws.asked("DeleteImage")] == [f"{VERSION}/1", f"{VERSION}/3"]


def test_a_snapshot_that_ec2_keeps_is_named(aws: Conversation) -> None:
    aws.answers = images(built(1))
    aws.answers["DeregisterImage"] = {"DeleteSnapshotResults": [{"SnapshotId": "snap-1", "ReturnCode": "error"}]}
    _, left = removal.remove_images(["wb-blue"], NOTHING, (), no_one)
    assert left == ["the snapshot snap-1 (error), which EC2 did not delete"]


@pytest.mark.parametrize(
    "needs",
    [Needs(amis=frozenset({"ami-1", "ami-2"})), Needs(versions=frozenset({"1.0.0"}))],
    ids=["has it", "wants it"],
)
def test_an_image_that_another_cluster_needs_stays_without_a_word(aws: Conversation, needs: Needs) -> None:
    aws.answers = images(built(1), built(2))
    assert removal.remove_images(["wb-blue"], needs, {"ami-2"}, no_one) == (frozenset({"1.0.0"}), [])
    assert aws.writes == []


def test_an_image_that_another_cluster_may_be_about_to_use_stays_and_is_named(aws: Conversation) -> None:
    aws.answers = images(built(1), built(2))
    who = iter(["", "green is locked"])  # its deployment began in between
    assert removal.remove_images(["wb-blue"], NOTHING, (), lambda _: next(who)) == (
        frozenset({"1.0.0"}),
        [f"{VERSION}/2, which another cluster may be about to use (green is locked): a later deployment removes it"],
    )
    assert [asked["ImageId"] for asked in aws.asked("DeregisterImage")] == ["ami-1"]


def test_a_build_that_another_cluster_waits_for_goes_on(aws: Conversation) -> None:
    aws.answers = images(built(1, "BUILDING"))
    assert removal.cancel_builds(["wb-blue"], Needs(versions=frozenset({"1.0.0"})), "arn") == []
    assert aws.writes == []


def recipes() -> dict[str, Answer]:
    """Two clusters of which one more uses the component `base`; `old` is of an earlier release."""
    uses = {RECIPE.format("wb-blue"): ("wb-base", "wb-r", "wb-old"), RECIPE.format("wb-green"): ("wb-base",)}

    def recipe(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        named = [{"componentArn": f"{COMPONENT.format(name)}/1"} for name in uses[asked["imageRecipeArn"]]]
        return {"imageRecipe": {"components": named}}

    def builds(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"componentSummaryList": [{"arn": f"{asked['componentVersionArn']}/1"}]}

    names = ("wb-base", "wb-r", "wb-old", "other-r")
    return {
        "ListImageRecipes": {"imageRecipeSummaryList": [{"arn": arn, "name": arn.split("/")[1]} for arn in uses]},
        "GetImageRecipe": recipe,
        "ListComponents": {"componentVersionList": [{"arn": COMPONENT.format(name), "name": name} for name in names]},
        "ListComponentBuildVersions": builds,
        "DeleteImageRecipe": {},
        "DeleteComponent": {},
    }


def test_components_that_another_recipe_names_stay(aws: Conversation) -> None:
    aws.answers = recipes()
    assert removal.remove_recipes(["wb-blue"], (), ["wb-base", "wb-r"], is_shared=False) == []
    assert [asked["imageRecipeArn"] for asked in aws.asked("DeleteImageRecipe")] == [RECIPE.format("wb-blue")]
    deleted = [asked["componentBuildVersionArn"] for asked in aws.asked("DeleteComponent")]
    assert deleted == [f"{COMPONENT.format('wb-r')}/1", f"{COMPONENT.format('wb-old')}/1"]


def test_recipes_that_others_have_in_the_account_are_left_alone(aws: Conversation) -> None:
    """Our role may not read them. Image Builder itself keeps a component that one of them names."""
    aws.answers = recipes()
    base = f"{COMPONENT.format('wb-base')}/1"
    theirs = {"arn": RECIPE.format("golden"), "name": "golden"}
    ours = {"arn": RECIPE.format("wb-blue"), "name": "wb-blue"}

    def recipe(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if asked["imageRecipeArn"] == theirs["arn"]:
            return refusal("AccessDeniedException")
        return {"imageRecipe": {"components": [{"componentArn": base}]}}

    def delete(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return refusal("ResourceDependencyException") if asked["componentBuildVersionArn"] == base else {}

    aws.answers["ListImageRecipes"] = {"imageRecipeSummaryList": [theirs, ours]}
    aws.answers |= {"GetImageRecipe": recipe, "DeleteComponent": delete}
    left = removal.remove_recipes(["wb-blue"], (), ["wb-base", "wb-r"], is_shared=False)
    assert left == [f"{base}, which a recipe names that is not Benchwright's"]
    assert len(aws.asked("DeleteComponent")) == 2


def test_a_recipe_whose_image_stays_stays_with_its_components(aws: Conversation) -> None:
    aws.answers = recipes()
    assert removal.remove_recipes(["wb-blue", "wb-green"], {"1.0.0"}, ["wb-base", "wb-r"], is_shared=False) == []
    assert aws.writes == []


def test_while_another_cluster_is_deployed_all_components_stay(aws: Conversation) -> None:
    aws.answers = recipes()
    left = removal.remove_recipes(["wb-blue"], (), ["wb-r"], is_shared=True)
    assert left == [f"{COMPONENT.format('wb-r')}/1", f"{COMPONENT.format('wb-old')}/1"]
    assert aws.asked("DeleteComponent") == []


def test_a_log_that_is_gone_is_no_failure(aws: Conversation) -> None:
    aws.answers = {"DeleteLogGroup": refusal("ResourceNotFoundException")}
    removal.remove_log("/aws/imagebuilder/wb-blue")
    assert aws.asked("DeleteLogGroup") == [{"logGroupName": "/aws/imagebuilder/wb-blue"}]
