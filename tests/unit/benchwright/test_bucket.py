"""What is written to the bucket, and in which order: a node that reads `current` finds the bundle that it names."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.bucket import publish
from benchwright.rendering import Bundle
from tests.unit.benchwright.conversation import Conversation, refusal

BUNDLE = Bundle("9f86d081", b"archive")
ARCHIVE, CURRENT = (f"clusters/blue/configuration/{name}" for name in ("9f86d081.tar.gz", "current"))


@pytest.fixture
def objects(aws: Conversation) -> dict[str, bytes]:
    """The objects of the bucket by key; one that is missing is told as S3 tells who may not list the bucket."""
    found: dict[str, bytes] = {}

    def get(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["Bucket"] == "bucket"
        return {"Body": io.BytesIO(found[asked["Key"]])} if asked["Key"] in found else refusal("AccessDenied")

    def put(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["Bucket"] == "bucket"
        found[asked["Key"]] = asked["Body"]
        return {}

    aws.answers = {"GetObject": get, "PutObject": put}
    return found


@pytest.mark.parametrize(
    ("before", "written"),
    [
        ({}, [ARCHIVE, CURRENT]),
        ({CURRENT: b"of before"}, [ARCHIVE, CURRENT]),
        ({ARCHIVE: b"archive", CURRENT: b"of before"}, [CURRENT]),
        ({ARCHIVE: b"archive", CURRENT: b"9f86d081"}, []),
        ({CURRENT: b"9f86d081"}, [ARCHIVE]),  # somebody deleted the bundle
        ({ARCHIVE: b"damaged", CURRENT: b"9f86d081"}, [ARCHIVE]),
    ],
)
def test_the_bundle_is_there_before_current_names_it(
    aws: Conversation, objects: dict[str, bytes], before: dict[str, bytes], written: list[str]
) -> None:
    objects.update(before)
    publish("blue", BUNDLE)
    assert objects == {ARCHIVE: b"archive", CURRENT: b"9f86d081"}
    assert [asked["Key"] for asked in aws.asked("PutObject")] == written
