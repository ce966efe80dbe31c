"""What is written to the bucket, and in which order: a node that reads `current` finds the bundle that it names."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.nodes.bundle import Bundle
from benchwright.nodes.bundle_store import point_at, publish
from benchwright.nodes.node_script import NodeScript
from tests.unit.benchwright.conversation import Conversation, refusal

BUNDLE, NODE_SCRIPT = Bundle("9f86d081", b"archive"), NodeScript("5c215a", b"script")
SCRIPT, ARCHIVE, CURRENT = (
    f"clusters/blue/configuration/{name}" for name in ("node-5c215a.tar.gz", "9f86d081.tar.gz", "current")
)
SCRIPTED, BUNDLED, OF_BEFORE, NOW = (b"script", ""), (b"archive", ""), (b"of before", "ami-1"), (b"9f86d081", "ami-1")
UNPROVEN = (b"9f86d081", "ami-1 unproven")  # no node has applied it yet


@pytest.fixture
def objects(aws: Conversation) -> dict[str, tuple[bytes, str]]:
    """The objects of the bucket by key, each with what its metadata say: the image, and whether it is unproven; a
    missing one as S3 does without the permission to list the bucket.
    """
    found: dict[str, tuple[bytes, str]] = {}

    def get(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["Bucket"] == "bucket"
        if asked["Key"] not in found:
            return refusal("AccessDenied")
        content, image = found[asked["Key"]]
        image, _, unproven = image.partition(" ")
        metadata = {"image": image, "unproven": unproven and "true"}
        return {"Body": io.BytesIO(content), "Metadata": {name: value for name, value in metadata.items() if value}}

    def put(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["Bucket"] == "bucket"
        metadata = asked["Metadata"]
        assert metadata.get("unproven", "true") == "true"
        found[asked["Key"]] = asked["Body"], metadata.get("image", "") + " unproven" * ("unproven" in metadata)
        return {}

    aws.answers = {"GetObject": get, "PutObject": put}
    return found


@pytest.mark.parametrize(
    ("before", "written", "current"),
    [
        ({}, [SCRIPT, ARCHIVE, CURRENT], UNPROVEN),
        ({CURRENT: OF_BEFORE}, [SCRIPT, ARCHIVE], OF_BEFORE),  # until a node has applied the new one
        ({CURRENT: (b"of before", "ami-0")}, [SCRIPT, ARCHIVE, CURRENT], UNPROVEN),  # nodes of a new image are to come
        ({CURRENT: (b"of before", "")}, [SCRIPT, ARCHIVE, CURRENT], UNPROVEN),
        # New nodes could not apply the one before: they need what was corrected since.
        ({CURRENT: (b"of before", "ami-1 unproven")}, [SCRIPT, ARCHIVE, CURRENT], UNPROVEN),
        ({SCRIPT: SCRIPTED, ARCHIVE: BUNDLED, CURRENT: UNPROVEN}, [], UNPROVEN),
        ({SCRIPT: SCRIPTED, ARCHIVE: BUNDLED, CURRENT: NOW}, [], NOW),
        ({SCRIPT: SCRIPTED, CURRENT: NOW}, [ARCHIVE], NOW),  # someone deleted the bundle
        ({ARCHIVE: BUNDLED, CURRENT: NOW}, [SCRIPT], NOW),  # or the script
        ({SCRIPT: SCRIPTED, ARCHIVE: (b"damaged", ""), CURRENT: NOW}, [ARCHIVE], NOW),
        ({SCRIPT: (b"damaged", ""), ARCHIVE: BUNDLED, CURRENT: NOW}, [SCRIPT], NOW),
    ],
)
def test_script_and_bundle_are_there_before_current_names_the_bundle(
    aws: Conversation,
    objects: dict[str, tuple[bytes, str]],
    before: dict[str, tuple[bytes, str]],
    written: list[str],
    current: tuple[bytes, str],
) -> None:
    objects.update(before)
    publish("blue", BUNDLE, NODE_SCRIPT, "ami-1")
    assert objects == {SCRIPT: SCRIPTED, ARCHIVE: BUNDLED, CURRENT: current}
    assert [asked["Key"] for asked in aws.asked("PutObject")] == written


@pytest.mark.parametrize(
    ("before", "written"),
    [(OF_BEFORE, [CURRENT]), ((b"9f86d081", "ami-0"), [CURRENT]), (UNPROVEN, [CURRENT]), (NOW, [])],
)
def test_current_moves_once(
    aws: Conversation, objects: dict[str, tuple[bytes, str]], before: tuple[bytes, str], written: list[str]
) -> None:
    objects[CURRENT] = before
    point_at("blue", "9f86d081", "ami-1")
    assert objects == {CURRENT: NOW}
    assert [asked["Key"] for asked in aws.asked("PutObject")] == written
