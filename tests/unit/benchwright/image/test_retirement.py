"""Old images go after verification: in an order that loses none, and without harm to the deployment where they stay."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from benchwright.image import retirement
from benchwright.image.retirement import Candidate
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import OTHER, handle, record

VERSION = "arn:aws:imagebuilder:eu-west-1:123456789012:image/wb-blue/1.0.0"
OLD = Candidate(f"{VERSION}/1", "ami-1", "2026-01-01")
OWN = "ami-0123456789abcdef0"
UNREACHED = EndpointConnectionError(endpoint_url="https://imagebuilder.eu-west-1.amazonaws.com/")


def built(number: int, status: str = "AVAILABLE") -> dict[str, Any]:
    return {
        "arn": f"{VERSION}/{number}",
        "outputResources": {"amis": [{"image": f"ami-{number}"}]},
        "state": {"status": status},
        "dateCreated": f"2026-0{number}-01",
    }


def existing(*amis: str) -> Answer:
    """What EC2 answers of images when these exist."""

    def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        (wanted,) = (item["Values"] for item in asked["Filters"] if item["Name"] == "image-id")
        return {"Images": [{"ImageId": ami} for ami in amis if ami in wanted]}

    return answer


@pytest.fixture
def answers(aws: Conversation) -> dict[str, Answer]:
    """Three images that are there, the newest of which is in use: the oldest may go."""
    aws.answers = {
        "GetItem": record(verified_images=["ami-3", "ami-2", "ami-1"]),
        "Scan": {"Items": []},
        "DescribeInstances": {"Reservations": []},
        "DescribeLaunchTemplateVersions": {"LaunchTemplateVersions": []},
        "ListImages": {"imageVersionList": [{"name": "wb-blue", "arn": VERSION}]},
        "ListImageBuildVersions": {"imageSummaryList": [built(number) for number in (1, 2, 3)]},
        "DescribeImages": existing("ami-1", "ami-2", "ami-3"),
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


def retired() -> list[str]:
    """The images that go when the cluster has been verified with ami-3."""
    found: list[str] = handle("build_image", action="retire", ami="ami-3")["retired"]
    return found


def test_a_bad_image_goes_and_the_last_good_one_stays(answers: dict[str, Answer]) -> None:
    answers["GetItem"] = record(verified_images=["ami-3", "ami-1"])
    assert retired() == ["ami-2"]


def test_a_good_image_that_someone_removed_is_none_to_return_to(answers: dict[str, Answer]) -> None:
    answers["DescribeImages"] = existing("ami-1", "ami-3")
    assert retired() == ["ami-2"]  # its record


def test_nothing_goes_on_the_word_of_a_record_of_an_earlier_release(
    aws: Conversation, answers: dict[str, Answer]
) -> None:
    answers["GetItem"] = record()
    assert (retired(), aws.writes) == ([], [])


@pytest.mark.parametrize("status", ["BUILDING", "DISTRIBUTING", "FAILED"])
def test_a_build_that_is_not_available_is_left_alone(answers: dict[str, Answer], status: str) -> None:
    answers["ListImageBuildVersions"] = {"imageSummaryList": [built(1, status), built(2), built(3)]}
    assert retired() == []


@pytest.mark.parametrize(
    "recorded", [{"ami": {"S": OWN}}, {"plan": record(image={"ami": OWN})["Item"]["plan"]}], ids=["used", "planned"]
)
def test_an_image_that_another_cluster_has_recorded_stays(answers: dict[str, Answer], recorded: dict[str, Any]) -> None:
    answers["Scan"] = {"Items": [{"cluster": {"S": "green"}, **recorded}]}
    oldest = built(1) | {"outputResources": {"amis": [{"image": OWN}]}}
    answers["ListImageBuildVersions"] = {"imageSummaryList": [oldest, built(2), built(3)]}
    assert retired() == []


def test_an_image_that_another_cluster_records_meanwhile_stays(aws: Conversation, answers: dict[str, Answer]) -> None:
    """Its deployment was under way when the images were looked for, and has failed before the first one is removed."""
    looks = iter([{"holder": {"S": OTHER}}, {"ami": {"S": "ami-1"}}])
    answers["Scan"] = lambda _: {"Items": [{"cluster": {"S": "green"}, **next(looks)}]}
    outcome = handle("build_image", action="retire", ami="ami-3")
    assert (outcome["retired"], aws.writes) == ([], [])
    assert outcome["warnings"][0].startswith("The old image ami-1 was not retired, as another cluster may be about to ")


@pytest.mark.parametrize("refused", [refusal("UnauthorizedOperation"), UNREACHED], ids=["refused", "unreached"])
def test_an_ami_that_stays_keeps_its_record(aws: Conversation, answers: dict[str, Answer], refused: Answer) -> None:
    answers["DeregisterImage"] = refused
    assert retirement.retire(OLD).endswith(". The next deployment tries again.")
    assert aws.asked("DeleteImage") == []


def test_an_ami_that_is_gone_already_leaves_only_its_record_to_remove(
    aws: Conversation, answers: dict[str, Answer]
) -> None:
    answers["DescribeImages"] = {"Images": []}
    assert retirement.retire(OLD) == ""
    assert aws.writes == [("DeleteImage", {"imageBuildVersionArn": OLD.arn})]


def test_a_snapshot_that_stays_is_named(answers: dict[str, Answer]) -> None:
    answers["DeregisterImage"] = {
        "DeleteSnapshotResults": [
            {"SnapshotId": "snap-1", "ReturnCode": "client-error"},
            {"SnapshotId": "snap-2", "ReturnCode": "skipped"},
        ]
    }
    assert retirement.retire(OLD) == (
        "Of the old image ami-1 stays snap-1 (client-error). Remove it by hand: it costs storage."
    )


@pytest.mark.parametrize(
    "operation",
    [
        "Scan",
        "DescribeImages",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "ListImages",
        "ListImageBuildVersions",
    ],
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


@pytest.mark.parametrize(
    ("current", "verified", "retired"),
    [
        (6, [6, 5, 4], [1, 3, 4]),
        (6, [6, 3], [1, 4, 5]),  # 4 and 5 were built and never verified
        (3, [3, 6, 1], [1, 4, 5]),  # someone went back to 3
        (6, [6, 9, 4], [1, 3, 5]),  # 9 is someone's own: what was built before it is kept
        (6, [6], []),  # the first image, or the first one since an earlier release of Benchwright
        (6, [6, 9], []),
        (6, [], []),
    ],
)
def test_the_current_image_the_last_verified_one_before_it_and_used_ones_stay(
    current: int, verified: list[int], retired: list[int]
) -> None:
    images = [Candidate(f"arn-{n}", f"ami-{n}", f"2026-0{n}-01") for n in (2, 1, 6, 5, 4, 3)]
    old = retirement.superseded(images, frozenset({"ami-2"}), f"ami-{current}", [f"ami-{n}" for n in verified])
    assert [candidate.ami for candidate in old] == [f"ami-{n}" for n in retired]


def test_what_a_cluster_was_verified_with_is_remembered_in_order_and_not_for_ever() -> None:
    verified: list[str] = []
    for ami in [*"abcabb", *"0123456789"]:
        verified = retirement.remember(ami, verified)
        if ami == "b":
            assert verified[:2] == ["b", "a"]
    assert verified == [*"9876543210"]


def test_the_default_version_of_our_own_launch_template_keeps_no_image() -> None:
    ours = {"Arn": "arn:aws:iam::123456789012:instance-profile/benchwright/nodes"}
    versions = [
        {"LaunchTemplateId": name, "VersionNumber": number, "LaunchTemplateData": data}
        for name, number, data in (
            ("lt-ours", 1, {"ImageId": "ami-1", "IamInstanceProfile": ours}),
            ("lt-ours", 3, {"ImageId": "ami-3", "IamInstanceProfile": ours}),
            ("lt-of-others", 1, {"ImageId": "ami-4"}),
            ("lt-of-others", 2, {"ImageId": "ami-5"}),
            ("lt-without", 1, {}),
        )
    ]
    assert retirement.template_images(versions, "benchwright") == {"ami-3", "ami-4", "ami-5"}
