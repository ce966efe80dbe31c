"""Old images go after verification: in an order that loses none, and without harm to the deployment where they stay."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from benchwright import image_retirement
from benchwright.image_retirement import Candidate
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import handle, record

VERSION = "arn:aws:imagebuilder:eu-west-1:123456789012:image/wb-blue/1.0.0"
OLD = Candidate(f"{VERSION}/1", "ami-1", "2026-01-01")
UNREACHED = EndpointConnectionError(endpoint_url="https://imagebuilder.eu-west-1.amazonaws.com/")


def built(number: int) -> dict[str, Any]:
    return {
        "arn": f"{VERSION}/{number}",
        "outputResources": {"amis": [{"image": f"ami-{number}"}]},
        "state": {"status": "AVAILABLE"},
        "dateCreated": f"2026-0{number}-01",
    }


@pytest.fixture
def answers(aws: Conversation) -> dict[str, Answer]:
    """Three images that are there, the newest of which is in use: the oldest may go."""
    aws.answers = {
        "GetItem": record(),
        "Scan": {"Items": []},
        "DescribeInstances": {"Reservations": []},
        "DescribeLaunchTemplateVersions": {"LaunchTemplateVersions": []},
        "ListImages": {"imageVersionList": [{"name": "wb-blue", "arn": VERSION}]},
        "ListImageBuildVersions": {"imageSummaryList": [built(number) for number in (1, 2, 3)]},
        "DescribeImages": {"Images": [{"ImageId": "ami-1"}]},
        "DeregisterImage": {"DeleteSnapshotResults": [{"SnapshotId": "snap-1", "ReturnCode": "success"}]},
        "DeleteImage": {},
    }
    return aws.answers


def test_ami_and_snapshots_go_before_the_record_by_which_they_are_found(
    aws: Conversation, answers: dict[str, Answer]
) -> None:
    outcome = handle("build_image", action="retire", ami="ami-3", warnings=["one of before"])
    assert (outcome["retired"], outcome["warnings"]) == (["ami-1"], ["one of before"])
    assert aws.writes == [
        ("DeregisterImage", {"ImageId": "ami-1", "DeleteAssociatedSnapshots": True}),
        ("DeleteImage", {"imageBuildVersionArn": OLD.arn}),
    ]


@pytest.mark.parametrize("refused", [refusal("UnauthorizedOperation"), UNREACHED], ids=["refused", "unreached"])
def test_an_ami_that_stays_keeps_its_record(aws: Conversation, answers: dict[str, Answer], refused: Answer) -> None:
    answers["DeregisterImage"] = refused
    assert image_retirement.retire(OLD).endswith(". The next deployment tries again.")
    assert aws.asked("DeleteImage") == []


def test_an_ami_that_is_gone_already_leaves_only_its_record_to_remove(
    aws: Conversation, answers: dict[str, Answer]
) -> None:
    answers["DescribeImages"] = {"Images": []}
    assert image_retirement.retire(OLD) == ""
    assert aws.writes == [("DeleteImage", {"imageBuildVersionArn": OLD.arn})]


def test_a_snapshot_that_stays_is_named(answers: dict[str, Answer]) -> None:
    answers["DeregisterImage"] = {
        "DeleteSnapshotResults": [
            {"SnapshotId": "snap-1", "ReturnCode": "client-error"},
            {"SnapshotId": "snap-2", "ReturnCode": "skipped"},
        ]
    }
    assert image_retirement.retire(OLD) == (
        "Of the old image ami-1 stays snap-1 (client-error). Remove it by hand: it costs storage."
    )


@pytest.mark.parametrize(
    "operation",
    ["Scan", "DescribeInstances", "DescribeLaunchTemplateVersions", "ListImages", "ListImageBuildVersions"],
)
@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (refusal("AccessDenied"), "An error occurred (AccessDenied) when calling the {} operation: no"),
        (UNREACHED, 'Could not connect to the endpoint URL: "https://imagebuilder.eu-west-1.amazonaws.com/"'),
    ],
    ids=["refused", "unreached"],
)
def test_what_cannot_be_looked_for_is_a_warning_of_a_verified_deployment(
    aws: Conversation, answers: dict[str, Answer], operation: str, refused: Answer, why: str
) -> None:
    answers[operation] = refused
    outcome = handle("build_image", action="retire", ami="ami-3", warnings=["one of before"])
    left = f"Which old images may go could not be found out: {why.format(operation)}. The next deployment tries again."
    assert outcome["warnings"] == ["one of before", left]
    assert (outcome["done"], outcome["ami"], outcome["retired"], aws.writes) == (True, "ami-3", [], [])
