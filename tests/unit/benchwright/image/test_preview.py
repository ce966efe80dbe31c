"""What a dry run says of images."""

from typing import Any

import pytest

from benchwright.image.builder import Build, BuildStep
from benchwright.image.preview import built, retired, why
from benchwright.record import Record
from tests.unit.benchwright.verification.test_checks import a_plan

BEFORE = a_plan({})
HAS_ONE = Record(plan=BEFORE, ami="ami-1")


@pytest.mark.parametrize(
    ("action", "sentence", "builds"),
    [
        ("use", "The image exists: nothing is built.", False),
        ("wait", "A build of the image runs already: the deployment waits for it.", False),
        ("build", "An image is built: the cluster has none yet.", True),
    ],
)
def test_what_becomes_of_the_image(action: Any, sentence: str, *, builds: bool) -> None:
    step = built(BuildStep(action, Build("arn", "BUILDING")), Record(), BEFORE)
    assert (step.sentences, bool(step.changes)) == ([sentence], builds)


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        ({"r_versions": ["4.4.3"]}, ["r_versions"]),
        ({"image": {"packages": ["gdal-bin"]}, "python_versions": ["3.12.1"]}, ["python_versions", "image.packages"]),
        ({}, ["the one it has is gone, or this release of Benchwright builds it otherwise"]),
    ],
)
def test_why_an_image_is_built(given: dict[str, Any], reasons: list[str]) -> None:
    assert why(HAS_ONE, a_plan(given)) == reasons


def test_a_rebuild_is_a_new_generation() -> None:
    image = BEFORE.image.model_copy(update={"generation": 2})
    assert why(HAS_ONE, BEFORE.model_copy(update={"image": image})) == ["image.rebuild"]


def test_images_that_go_are_listed_in_order() -> None:
    step = retired(["ami-2", "ami-1"])
    assert [change.name for change in step.changes] == ["ami-1", "ami-2"]
    assert step.sentences == ["2 old images of the cluster go, with the snapshots."]
    assert retired([]).sentences == []
