"""Clusters that want the same on their image take it from each other, and a rebuild is built."""

import pytest

from benchwright.models import ImagePlan, Plan
from benchwright.planning.generation import begin
from benchwright.record import Known, Record
from tests.unit.benchwright.verification.test_checks import a_plan

WANTED = a_plan({}).wanted
OWN = "ami-0123456789abcdef0"


def other(number: int, parent: str = "ami-old", plan: Plan | None = None, ami: str | None = None) -> Record:
    image = ImagePlan(ami=ami, parent_image=parent, generation=number)
    plan = (plan or a_plan({})).model_copy(update={"image": image})
    return Record(plan=plan, known=Known(generation=number, parent_image=parent))


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], (1, "ami-new")),
        ([other(3), other(2, "ami-other")], (3, "ami-old")),
        ([other(3, plan=a_plan({"r_versions": ["4.4.3"]}))], (1, "ami-new")),
        ([other(3, plan=a_plan({"image": {"packages": ["gdal-bin"]}}))], (1, "ami-new")),
        ([other(3, plan=a_plan({"nodes": {"count": 7}}))], (3, "ami-old")),
        ([other(3, ami=OWN)], (1, "ami-new")),  # its nodes have an image of its own
        ([Record(known=Known(generation=3, parent_image="ami-old"))], (1, "ami-new")),  # it was destroyed
    ],
)
def test_a_first_deployment_takes_the_image_of_a_cluster_that_wants_the_same(
    others: list[Record], chosen: tuple[int, str]
) -> None:
    image = begin(WANTED, Known(), "ami-new", others, rebuild=False)
    assert (image.generation, image.parent_image) == chosen


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], (3, "ami-new")),
        ([other(1, "ami-new"), other(2, "ami-new")], (3, "ami-new")),  # not later than its own
        ([other(4, "ami-new")], (4, "ami-new")),
        ([other(4)], (5, "ami-new")),  # not of the parent image of today
        ([other(4, "ami-new", a_plan({"r_versions": ["4.4.3"]}))], (5, "ami-new")),
    ],
)
def test_a_rebuild_is_one_that_another_cluster_did_later_or_a_new_one(
    others: list[Record], chosen: tuple[int, str]
) -> None:
    image = begin(WANTED, Known(generation=2, parent_image="ami-old"), "ami-new", others, rebuild=True)
    assert (image.generation, image.parent_image) == chosen


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], (1, "ami-new")),
        ([other(3)], (4, "ami-new")),
        ([other(3, "ami-new")], (3, "ami-new")),
    ],
)
def test_a_first_deployment_that_asks_for_the_parent_image_of_today_has_it(
    others: list[Record], chosen: tuple[int, str]
) -> None:
    image = begin(WANTED, Known(), "ami-new", others, rebuild=True)
    assert (image.generation, image.parent_image) == chosen
