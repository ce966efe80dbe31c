"""Images over many deployments of one or two clusters, on the local AWS: which are built, which stay, which go."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchwright import record
from benchwright.image import recipe
from benchwright.image.retirement import remember
from benchwright.record import Known
from benchwright.settings import settings
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.ec2.images import PARENT_PARAMETER
from tests.unit.benchwright.steps import app, handle
from tests.unit.benchwright.verification.test_checks import a_plan
from tests.unit.rehearsal.fake_hosts import instance_profile, local_aws, subnets

RECIPE = """\
block_devices = [{deviceName = "/dev/sda1", ebs = {encrypted = true}}]
components = [{name = "r", parameters = {RVersions = "{r_versions}"}}]
"""
COMPONENT = """\
schemaVersion: 1.0
parameters:
  - RVersions: {type: string}
phases:
  - name: build
    steps:
      - {name: Install, action: ExecuteBash, inputs: {commands: ["echo {{ RVersions }} >R"]}}
"""


@dataclass
class Cluster:
    """A cluster whose deployments end with its image."""

    aws: LocalAws
    name: str = "blue"
    deployments: int = 0

    def begin(self, r_version: str, tags: dict[str, str] | None = None) -> partial[dict[str, Any]]:
        """A deployment up to its first look at the image; what it looks by."""
        self.deployments += 1
        execution = f"arn:aws:states:us-east-1:123456789012:execution:wb-deploy:{self.name}-{self.deployments}"
        plan = a_plan({"cluster": self.name, "r_versions": [r_version], "tags": tags or {}})
        image = plan.image.model_copy(update={"parent_image": f"ssm:{PARENT_PARAMETER}"})
        assert record.take_lock(self.name, execution) == ""
        record.save_plan(self.name, execution, plan.model_copy(update={"image": image}), Known())
        return partial(handle, "build_image", cluster=self.name, execution=execution)

    def end(self, step: partial[dict[str, Any]], *, is_good: bool = True) -> dict[str, Any]:
        """The last look at the image, and what was retired; a deployment that is not good ends before that."""
        look = step()
        for _ in range(60):
            if look["done"]:
                break
            self.aws.clock.sleep(60)
            look = step(build_arn=look["build_arn"])
        execution = step.keywords["execution"]
        if is_good:
            found = record.read(self.name)
            record.save_verified(self.name, execution, found, remember(look["ami"], found.verified_images))
            look |= step(action="retire", ami=look["ami"])
        record.release_lock(self.name, execution)
        return look

    def deploy(
        self, r_version: str, *, tags: dict[str, str] | None = None, is_good: bool = True
    ) -> tuple[str, list[str]]:
        """The image of a deployment, and those that it retired."""
        look = self.end(self.begin(r_version, tags), is_good=is_good)
        assert look["warnings"] == []
        return look["ami"], look["retired"]

    def destroy(self) -> list[str]:
        """Remove what Image Builder has of the cluster; the warnings."""
        step = self.begin("4.5.2")
        while not (look := step(action="remove"))["done"]:
            self.aws.clock.sleep(look["wait_seconds"])
        execution = step.keywords["execution"]
        record.save_destroyed(self.name, execution)
        record.release_lock(self.name, execution)
        warnings: list[str] = look["warnings"]
        return warnings

    @property
    def images(self) -> set[str]:
        return {image["ImageId"] for image in self.aws.client("ec2").describe_images(Owners=["self"])["Images"]}


@pytest.fixture
def cluster(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    (tmp_path / "components").mkdir()
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "components/r.yaml").write_text(COMPONENT)
    for function in (recipe.load_recipe, recipe.component_names):
        monkeypatch.setattr(app("build_image"), function.__name__, partial(function, directory=tmp_path))
    with local_aws(tmp_path / "aws") as aws:
        instance_profile(aws, "builder")
        created = aws.client("imagebuilder").create_infrastructure_configuration(
            name="builds", instanceProfileName="builder", subnetId=subnets(aws)[0]
        )
        aws.client("dynamodb").create_table(
            TableName="clusters",
            KeySchema=[{"AttributeName": "cluster", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "cluster", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        reported = {"INFRASTRUCTURE_CONFIGURATION_ARN": created["infrastructureConfigurationArn"]}
        for name, value in {**aws.environment("BuildImage"), **reported}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield Cluster(aws)


@pytest.fixture
def green(cluster: Cluster) -> Cluster:
    """Another cluster of the application."""
    return Cluster(cluster.aws, "green")


def builds(cluster: Cluster) -> int:
    """How many builds there are, of any state."""
    builder = cluster.aws.client("imagebuilder")
    versions = builder.list_images(owner="Self")["imageVersionList"]
    found = [builder.list_image_build_versions(imageVersionArn=each["arn"])["imageSummaryList"] for each in versions]
    return len([build for each in found for build in each])


def test_an_image_that_was_retired_is_built_again_when_it_is_wanted_again(cluster: Cluster) -> None:
    (first, _), (second, _) = cluster.deploy("4.5.2"), cluster.deploy("4.4.3")
    third, retired = cluster.deploy("4.3.3")
    assert (retired, cluster.images) == ([first], {second, third})
    again, retired = cluster.deploy("4.5.2", tags={"team": "another"})
    assert (retired, cluster.images) == ([second], {third, again})
    assert cluster.deploy("4.5.2") == (again, [])


def test_an_image_that_never_worked_is_not_kept_in_place_of_the_last_good_one(cluster: Cluster) -> None:
    good, _ = cluster.deploy("4.5.2")
    bad, _ = cluster.deploy("4.4.3", is_good=False)
    assert cluster.images == {good, bad}
    better, retired = cluster.deploy("4.3.3")
    assert (retired, cluster.images) == ([bad], {good, better})
    assert cluster.deploy("4.5.2") == (good, [])


def test_a_second_cluster_with_the_same_content_builds_nothing(cluster: Cluster, green: Cluster) -> None:
    assert cluster.deploy("4.5.2") == green.deploy("4.5.2")
    assert builds(cluster) == 1


def test_a_second_cluster_waits_for_the_build_of_the_first(cluster: Cluster, green: Cluster) -> None:
    first, second = cluster.begin("4.5.2"), green.begin("4.5.2", {"team": "another"})
    began = first()
    assert second()["build_arn"] == began["build_arn"]
    assert green.end(second)["ami"] == cluster.end(first)["ami"]
    assert builds(cluster) == 1


def test_a_build_goes_on_for_the_second_cluster_when_the_first_is_destroyed(cluster: Cluster, green: Cluster) -> None:
    """Its deployment was stopped, so that it lost its lock."""
    first = cluster.begin("4.5.2")
    began = first()
    record.release_lock("blue", first.keywords["execution"])
    second = green.begin("4.5.2")
    assert second()["build_arn"] == began["build_arn"]
    assert cluster.destroy() == []
    assert green.end(second)["ami"]
    assert builds(cluster) == 1


def test_images_go_when_neither_cluster_uses_or_may_return_to_them(cluster: Cluster, green: Cluster) -> None:
    (first, _), (second, _) = green.deploy("4.5.2"), green.deploy("4.4.3")
    assert cluster.deploy("4.5.2") == (first, [])
    assert cluster.deploy("4.4.3") == (second, [])
    third, retired = cluster.deploy("4.3.3")
    assert retired == []  # green may return to the first
    assert green.deploy("4.3.3") == (third, [first])
    assert cluster.images == {second, third}


def test_no_image_goes_while_another_cluster_is_deployed(cluster: Cluster, green: Cluster) -> None:
    """It has no plan yet that says what it wants."""
    (first, _), _ = cluster.deploy("4.5.2"), cluster.deploy("4.4.3")
    record.take_lock("green", "arn:aws:states:us-east-1:123456789012:execution:wb-deploy:green")
    ended = cluster.end(cluster.begin("4.3.3"))
    assert ended["retired"] == []
    (warning,) = ended["warnings"]
    assert warning.startswith(f"The old image {first} was not retired, as another cluster may be about to use it")
    record.release_lock("green", "arn:aws:states:us-east-1:123456789012:execution:wb-deploy:green")
    assert green.deploy("4.5.2") == (first, [])
    assert cluster.deploy("4.3.3")[1] == []


def test_an_image_stays_that_another_cluster_has_not_seen_yet(cluster: Cluster, green: Cluster) -> None:
    """Its deployment failed while the image was built, as where the foundation could not be made."""
    failed = green.begin("4.5.2")
    failed()
    record.release_lock("green", failed.keywords["execution"])
    cluster.aws.clock.sleep(3600)
    cluster.deploy("4.4.3")
    assert cluster.deploy("4.3.3")[1] == []
    green.deploy("4.5.2")
    assert builds(cluster) == 3


def test_the_last_cluster_takes_the_images_with_it(cluster: Cluster, green: Cluster) -> None:
    (shared, _), (own, _) = green.deploy("4.5.2"), cluster.deploy("4.4.3")
    assert cluster.deploy("4.5.2") == (shared, [])
    assert cluster.images == {shared, own}
    assert cluster.destroy() == []
    assert cluster.images == {shared}
    assert green.deploy("4.5.2") == (shared, [])
    assert green.destroy() == []
    builder = cluster.aws.client("imagebuilder")
    assert (builds(cluster), cluster.images) == (0, set())
    assert builder.list_image_recipes(owner="Self")["imageRecipeSummaryList"] == []
    assert builder.list_components(owner="Self")["componentVersionList"] == []


def test_images_of_an_earlier_release_are_used_and_retired(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cluster had recipes of its own then."""
    with monkeypatch.context() as earlier:
        for module in (recipe, app("build_image")):
            earlier.setattr(module, "recipe_names", lambda application, cluster: (f"{application}-{cluster}",))
        (first, _), (second, _) = cluster.deploy("4.5.2"), cluster.deploy("4.4.3")
    assert cluster.deploy("4.4.3") == (second, [])
    third, retired = cluster.deploy("4.3.3")
    assert (retired, cluster.images) == ([first], {second, third})
    assert cluster.destroy() == []
    assert (builds(cluster), cluster.images) == (0, set())
