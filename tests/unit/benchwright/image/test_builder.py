"""An image is built once, whoever asks again, and again once it is gone: Image Builder never forgets a client token."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from benchwright.errors import AwsCallFailed, LockLost, TransientError
from benchwright.image import builder as image_builder
from benchwright.image import recipe
from benchwright.image.builder import Build, next_build_step
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import EXECUTION, OTHER, ROOT, app, handle, record

PREFIX = "arn:aws:imagebuilder:eu-west-1:123456789012"
BUILD = Build(f"{PREFIX}:image/wb/1.2.3/1", "FAILED")
ABSENT = refusal("ResourceNotFoundException")


class Builder:
    """Image Builder: what there is, by ARN, and the first answer to each token, for ever."""

    def __init__(self, aws: Conversation) -> None:
        self.there: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.begun = 0
        aws.answers = {
            "GetItem": record(),
            "UpdateItem": {},
            "DescribeImages": {"Images": [{"ImageId": "ami-1"}]},
            "ListImageBuildVersions": self.list_builds,
            "GetImageRecipe": partial(self.get, "imageRecipeArn"),
            "GetComponent": partial(self.get, "componentBuildVersionArn"),
            "CreateComponent": partial(self.once, self.create_component),
            "CreateImageRecipe": partial(self.once, self.create_recipe),
            "CreateLogGroup": refusal("ResourceAlreadyExistsException"),
            "PutRetentionPolicy": {},
            "CreateImage": partial(self.once, self.create_image),
            "GetImage": partial(self.get, "imageBuildVersionArn"),
        }

    def get(self, key: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {} if asked[key] in self.there else ABSENT

    def list_builds(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        listed = {arn: status for arn, status in self.there.items() if arn.startswith(f"{asked['imageVersionArn']}/")}
        amis = {"amis": [{"region": "eu-west-1", "image": "ami-1"}]}
        return {
            "imageSummaryList": [
                {"arn": arn, "state": {"status": status}, "outputResources": amis if status == "AVAILABLE" else {}}
                for arn, status in listed.items()
            ]
        }

    def once(self, create: Any, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        token = asked["clientToken"]
        if token not in self.answers:
            answer = create(asked)
            if "Error" in answer:
                return dict(answer)
            self.answers[token] = answer
        return self.answers[token]

    def create_component(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        arn = f"{PREFIX}:component/{asked['name']}/{asked['semanticVersion']}/1"
        if arn in self.there:
            return refusal("InvalidRequestException")
        self.there[arn] = "ACTIVE"
        return {"componentBuildVersionArn": arn}

    def create_recipe(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if any(component["componentArn"] not in self.there for component in asked["components"]):
            return refusal("InvalidParameterValueException")
        arn = f"{PREFIX}:image-recipe/{asked['name']}/{asked['semanticVersion']}"
        self.there[arn] = "ACTIVE"
        return {"imageRecipeArn": arn}

    def create_image(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["imageRecipeArn"] not in self.there:
            return dict(ABSENT)
        self.begun += 1
        arn = f"{asked['imageRecipeArn'].replace(':image-recipe/', ':image/')}/{self.begun}"
        self.there[arn] = "BUILDING"
        return {"imageBuildVersionArn": arn}

    def delete(self, kind: str) -> None:
        """What retirement does, and a person may do: these go, the tokens stay."""
        self.there = {arn: status for arn, status in self.there.items() if f":{kind}/" not in arn}


@pytest.fixture
def builder(aws: Conversation, monkeypatch: pytest.MonkeyPatch) -> Builder:
    monkeypatch.setattr(app("build_image"), "load_recipe", partial(recipe.load_recipe, directory=ROOT / "image"))
    return Builder(aws)


def look_of(aws: Conversation, execution: str, **event: Any) -> dict[str, Any]:
    """A look at the image by an execution that holds the cluster."""
    aws.answers["GetItem"] = record(execution)
    return handle("build_image", execution=execution, **event)


def test_an_image_that_was_deleted_is_built_again(aws: Conversation, builder: Builder) -> None:
    first = look_of(aws, EXECUTION)["build_arn"]
    builder.there[first] = "AVAILABLE"
    assert look_of(aws, EXECUTION, build_arn=first)["ami"] == "ami-1"
    builder.delete("image")
    again = look_of(aws, OTHER)["build_arn"]
    assert again != first
    assert builder.there[again] == "BUILDING"
    waiting_for = f"Image Builder: {again.partition('/')[2]} is BUILDING"
    assert look_of(aws, OTHER, build_arn=again)["waiting_for"] == waiting_for


def test_an_image_that_is_shown_as_deleted_is_built_again(aws: Conversation, builder: Builder) -> None:
    first = look_of(aws, EXECUTION)["build_arn"]
    builder.delete("image")
    aws.answers["GetImage"] = {"image": {"state": {"status": "DELETED"}}}
    assert look_of(aws, OTHER)["build_arn"] != first


@pytest.mark.parametrize("kinds", [["image-recipe"], ["image-recipe", "component"]], ids=["recipe", "all"])
def test_a_recipe_that_someone_deleted_is_made_again(aws: Conversation, builder: Builder, kinds: list[str]) -> None:
    first = look_of(aws, EXECUTION)["build_arn"]
    there = set(builder.there) - {first}
    for kind in ["image", *kinds]:
        builder.delete(kind)
    again = look_of(aws, OTHER)["build_arn"]
    assert set(builder.there) == there | {again}


def test_who_asks_again_before_the_build_is_listed_gets_the_same_build(aws: Conversation, builder: Builder) -> None:
    aws.answers["ListImageBuildVersions"] = {"imageSummaryList": []}
    first, second = handle("build_image"), handle("build_image")
    assert (first["build_arn"], builder.begun) == (second["build_arn"], 1)


def test_a_build_that_another_execution_began_is_joined(aws: Conversation, builder: Builder) -> None:
    look_of(aws, EXECUTION)
    (running,) = (arn for arn, status in builder.there.items() if status == "BUILDING")
    assert look_of(aws, OTHER)["build_arn"] == running
    assert builder.begun == 1


def test_two_clusters_that_ask_before_the_build_is_listed_get_the_same_build(
    aws: Conversation, builder: Builder
) -> None:
    aws.answers["ListImageBuildVersions"] = {"imageSummaryList": []}
    first, second = look_of(aws, EXECUTION), look_of(aws, OTHER, cluster="green")
    assert (first["build_arn"], builder.begun) == (second["build_arn"], 1)


def test_an_image_that_the_cluster_has_from_an_earlier_release_is_used(aws: Conversation, builder: Builder) -> None:
    name, version = look_of(aws, EXECUTION)["build_arn"].split("/")[1:3]
    assert name == "wb-image"
    builder.delete("image")
    builder.there[earlier := f"{PREFIX}:image/wb-blue/{version}/1"] = "BUILDING"
    assert look_of(aws, OTHER)["build_arn"] == earlier
    builder.there[earlier] = "AVAILABLE"
    assert (look_of(aws, OTHER, build_arn=earlier)["ami"], builder.begun) == ("ami-1", 1)


def test_a_build_that_runs_and_is_not_listed_yet_is_waited_for(aws: Conversation, builder: Builder) -> None:
    aws.answers["CreateImage"] = refusal("ResourceInUseException", "it is being built")
    with pytest.raises(TransientError, match=r"^Image Builder builds this recipe already: it is being built$"):
        handle("build_image")


def test_who_lost_the_lock_while_the_recipe_was_made_builds_nothing(aws: Conversation, builder: Builder) -> None:
    create = partial(builder.once, builder.create_recipe)

    def taken_over(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        aws.answers["GetItem"] = record(OTHER)
        return create(asked)

    aws.answers["CreateImageRecipe"] = taken_over
    with pytest.raises(LockLost):
        handle("build_image")
    assert builder.begun == 0


def test_a_component_that_another_cluster_makes_at_the_same_moment_is_used(aws: Conversation, builder: Builder) -> None:
    create = partial(builder.once, builder.create_component)

    def made_meanwhile(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        create({**asked, "clientToken": f"the other's for {asked['name']}"})
        return create(asked)

    aws.answers["CreateComponent"] = made_meanwhile
    assert handle("build_image")["build_arn"] in builder.there


@pytest.mark.parametrize("refused", [refusal("AccessDeniedException"), refusal("InvalidRequestException")])
def test_a_component_that_cannot_be_made_is_reported(aws: Conversation, builder: Builder, refused: Answer) -> None:
    aws.answers["CreateComponent"] = refused
    with pytest.raises(AwsCallFailed, match=r"^CreateComponent answered"):
        handle("build_image")


@pytest.mark.usefixtures("builder")
def test_a_build_asks_no_inventory_and_its_log_has_an_end(aws: Conversation) -> None:
    look_of(aws, EXECUTION)
    reported = dict(aws.calls)
    assert reported["CreateImage"]["enhancedImageMetadataEnabled"] is False
    group = f"/aws/imagebuilder/{reported['CreateImageRecipe']['name']}"
    assert reported["CreateLogGroup"] == {"logGroupName": group}
    assert reported["PutRetentionPolicy"] == {"logGroupName": group, "retentionInDays": 90}


@pytest.mark.usefixtures("builder")
@pytest.mark.parametrize("operation", ["CreateLogGroup", "PutRetentionPolicy"])
def test_two_clusters_that_make_the_log_group_at_the_same_moment_try_again(aws: Conversation, operation: str) -> None:
    message = "A conflicting operation is currently in progress against this resource. Please try again."
    aws.answers[operation] = refusal("OperationAbortedException", message)
    with pytest.raises(TransientError, match=operation):
        look_of(aws, EXECUTION)


def build(number: int, status: str, ami: str = "") -> Build:
    return Build(f"arn:image/r/1.0.0/{number}", status, "", ami)


@pytest.mark.parametrize(
    ("builds", "joined", "action"),
    [
        ([], "", "build"),
        ([build(1, "BUILDING")], "", "wait"),
        ([build(1, "A STATE OF TOMORROW")], "", "wait"),
        ([build(1, "AVAILABLE", "ami-1")], "", "use"),
        ([build(1, "AVAILABLE")], "", "build"),  # its AMI is gone
        ([build(1, "DEPRECATED")], "", "build"),
        ([build(1, "FAILED")], "", "build"),  # it failed under an earlier execution
        ([build(1, "FAILED")], "arn:image/r/1.0.0/1", "fail"),
        ([build(1, "CANCELLED")], "arn:image/r/1.0.0/1", "fail"),
        ([build(1, "FAILED"), build(2, "TESTING")], "arn:image/r/1.0.0/1", "wait"),
        ([build(1, "AVAILABLE", "ami-1"), build(2, "FAILED")], "", "use"),
        ([build(1, "FAILED"), build(2, "BUILDING")], "", "wait"),
    ],
)
def test_the_next_step_follows_from_the_builds_of_the_version(
    builds: Sequence[Build], joined: str, action: str
) -> None:
    assert next_build_step(builds, joined).action == action


def test_a_second_build_of_the_same_version_replaces_no_node() -> None:
    first, second = build(1, "AVAILABLE", "ami-1"), build(2, "AVAILABLE", "ami-2")
    assert next_build_step([first, second], "").build == first


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (["one", "two"], "wb. The last lines:\n  one\n  two"),
        ([], "wb."),
    ],
)
def test_a_failed_build_is_reported_with_step_component_reason_and_log(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], end: str
) -> None:
    failure: dict[str, Any] = {
        "componentArn": "arn:aws:imagebuilder:eu-west-1:123456789012:component/wb-r/1.0.0/1",
        "phaseName": "build",
        "stepName": "InstallR",
        "errorMessage": "no such version",
    }
    image = {"state": {"status": "FAILED", "failureContext": {"componentFailure": failure}}}
    monkeypatch.setattr(image_builder, "client", lambda _: SimpleNamespace(get_image=lambda **_: {"image": image}))
    monkeypatch.setattr(image_builder, "last_lines", lambda *_: lines)
    text = str(image_builder.build_failure(BUILD))
    assert text == (
        f"The image build {BUILD.arn} ended FAILED in step InstallR of component wb-r (build): no such version\n"
        "Fix what the log says of the component of image/, of a version in the input or of a download.\n"
        f"Its log is the CloudWatch log group /aws/imagebuilder/{end}"
    )


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("SSM Agent verification failed", "Systems Manager did not reach the build instance. "),
        ("You have requested more vCPU capacity than your current vCPU limit of 8", "Request more of the EC2 quota "),
        ("VcpuLimitExceeded", "Request more of the EC2 quota "),
        ("We currently do not have sufficient m7i.large capacity", "The zone has no such instance now"),
        ("Client.InternalError: Client error on launch", "The key that encrypts EBS volumes by default "),
        ("ServiceQuotaExceededException: too many AMIs", "Request more of the quota that the reason names"),
        ("is not authorized to perform: ec2:RunInstances", "Allow what the reason names"),
        ("no reason was given", "Look at the reason, and at the instance of the build in CloudTrail."),
    ],
)
def test_a_build_that_failed_outside_of_its_components_has_a_remedy_by_its_cause(reason: str, remedy: str) -> None:
    assert image_builder.remedy(reason, is_component=False).startswith(remedy)
