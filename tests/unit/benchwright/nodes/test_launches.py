"""Which failed launches are no passing fault, and what a person reads about each cause."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchwright.errors import NodesNotReady
from benchwright.nodes import launches
from rehearsal.aws.services.autoscaling.launch_failures import REFUSALS
from tests.unit.benchwright.conversation import Conversation, refusal

GROUP = "wb-blue-nodes-group"
NO_ROOM = REFUSALS["capacity"].format(type="m6i.xlarge", zone="us-east-1a")
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def activity(status: str, minute: float, message: str = "", *, ends: bool = False) -> dict[str, Any]:
    """A launch so many minutes after the execution began; one that goes on has no end."""
    reported: dict[str, Any] = {"StatusCode": status, "StartTime": BEGAN + timedelta(minutes=minute)}
    reported |= {"Description": "Terminating EC2 instance: i-1" if ends else "Launching a new EC2 instance"}
    reported |= {"StatusMessage": message} if message else {}
    return reported if status == "InProgress" else {**reported, "EndTime": reported["StartTime"]}


@pytest.mark.parametrize(
    ("activities", "shown", "lasting"),
    [
        ([], 0, False),
        ([activity("Failed", 1, NO_ROOM)], 1, False),
        ([activity("Failed", minute, NO_ROOM) for minute in (1, 1, 1, 1)], 4, False),  # four nodes, once
        ([activity("Failed", minute, NO_ROOM) for minute in (6, 1)], 2, False),
        ([activity("Failed", minute, NO_ROOM) for minute in (7, 6, 1)], 3, True),
        ([activity("Failed", minute, NO_ROOM) for minute in (9, 8, 7, 1, 1)], 4, True),
        (
            [activity("InProgress", 8), *(activity("Cancelled", minute, REFUSALS["key"]) for minute in (7, 4, 1))],
            3,
            True,
        ),
        (
            [
                *(
                    activity("Failed", 7 - minute, NO_ROOM.replace("1a", zone))
                    for minute, zone in enumerate(("1a", "1b"))
                ),
                activity("Successful", 5, ends=True),
                activity("Failed", 1, NO_ROOM),
            ],
            3,
            True,
        ),
        ([activity("Failed", 7, NO_ROOM), activity("Successful", 6), activity("Failed", 1, NO_ROOM)], 1, False),
        ([activity("Failed", 7, NO_ROOM), *(activity("Failed", each, REFUSALS["role"]) for each in (3, 1))], 1, False),
        ([activity("Failed", 3, NO_ROOM), *(activity("Failed", each, NO_ROOM) for each in (-3, -9))], 1, False),
        ([activity("Failed", minute, f"Unknown fault of i-0000000{minute}") for minute in (7, 6, 1)], 3, True),
        ([activity("Failed", minute, f"Fault number {minute}") for minute in (7, 6, 1)], 1, False),
    ],
)
def test_launches_that_fail_alike_for_minutes_end_the_step(
    aws: Conversation, activities: list[dict[str, Any]], shown: int, lasting: bool
) -> None:
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    failed = launches.failed_launches(GROUP, BEGAN)
    assert len(failed) == shown
    with pytest.raises(NodesNotReady) if lasting else contextlib.nullcontext():
        launches.raise_if_lasting(GROUP, failed)


def test_a_group_that_does_not_exist_yet_has_no_launches(aws: Conversation) -> None:
    aws.answers = {"DescribeScalingActivities": refusal("ValidationError", "Group not found")}
    assert launches.failed_launches(GROUP, BEGAN) == []


@pytest.mark.parametrize("word", REFUSALS)
def test_each_cause_has_its_own_remedy(aws: Conversation, word: str) -> None:
    message = REFUSALS[word].format(type="m6i.xlarge", zone="us-east-1a", subnet="subnet-1", image="ami-1", limit=8)
    activities = [activity("Failed", minute, message) for minute in (9, 5, 1)]
    aws.answers = {"DescribeScalingActivities": {"Activities": activities}}
    with pytest.raises(NodesNotReady) as caught:
        launches.raise_if_lasting(GROUP, launches.failed_launches(GROUP, BEGAN))
    reason, remedy = str(caught.value).splitlines()
    assert reason == f"Auto Scaling cannot launch nodes of {GROUP}. Since 12:01 UTC every launch failed: {message}"
    assert remedy.endswith("; then start the execution again.")
    others = {launches.REMEDIES[cause] for cause in launches.REMEDIES}
    assert [text for text in others if remedy.startswith(text)] == [
        remedy.removesuffix("; then start the execution again.")
    ]
