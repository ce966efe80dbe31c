"""Images of a cluster over many deployments, on the local AWS: which stay, and that one which went is built again."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
block_devices:
  - deviceName: /dev/sda1
    ebs: {encrypted: true}
components:
  - {name: r, file: r.yaml, parameters: {RVersions: "{r_versions}"}}
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
    """The cluster blue, whose deployments end with its image."""

    aws: LocalAws
    deployments: int = 0

    def deploy(
        self, r_version: str, *, tags: dict[str, str] | None = None, is_good: bool = True
    ) -> tuple[str, list[str]]:
        """The image of a deployment, and those that it retired; one that is not good ends before its verification."""
        self.deployments += 1
        execution = f"arn:aws:states:us-east-1:123456789012:execution:wb-deploy:{self.deployments}"
        plan = a_plan({"cluster": "blue", "r_versions": [r_version], "tags": tags or {}})
        image = plan.image.model_copy(update={"parent_image": f"ssm:{PARENT_PARAMETER}"})
        assert record.take_lock("blue", execution) == ""
        record.save_plan("blue", execution, plan.model_copy(update={"image": image}), Known())
        step = partial(handle, "build_image", execution=execution)
        look = step()
        for _ in range(60):
            if look["done"]:
                break
            self.aws.clock.sleep(60)
            look = step(build_arn=look["build_arn"])
        retired: list[str] = []
        if is_good:
            found = record.read("blue")
            record.save_verified("blue", execution, found, remember(look["ami"], found.verified_images))
            retired = step(action="retire", ami=look["ami"])["retired"]
        record.release_lock("blue", execution)
        return look["ami"], retired

    @property
    def images(self) -> set[str]:
        return {image["ImageId"] for image in self.aws.client("ec2").describe_images(Owners=["self"])["Images"]}


@pytest.fixture
def cluster(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    (tmp_path / "components").mkdir()
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "components/r.yaml").write_text(COMPONENT)
    monkeypatch.setattr(app("build_image"), "load_recipe", partial(recipe.load_recipe, directory=tmp_path))
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
