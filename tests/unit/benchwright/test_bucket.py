"""The application's bucket, as the S3 API answers."""

import io
from typing import Any

import pytest

from benchwright import bucket
from tests.unit.benchwright.conversation import Conversation, refusal


@pytest.mark.parametrize("code", ["NoSuchKey", "AccessDenied"])
def test_an_object_that_is_not_there_is_none(aws: Conversation, code: str) -> None:
    aws.answers = {"GetObject": refusal(code)}
    assert bucket.read("key") is None


@pytest.mark.parametrize(("there", "written"), [(b"content", []), (b"damaged", [b"content"]), (None, [b"content"])])
def test_what_is_missing_or_damaged_is_written(aws: Conversation, there: bytes | None, written: list[bytes]) -> None:
    found: Any = refusal("NoSuchKey") if there is None else {"Body": io.BytesIO(there), "Metadata": {}}
    aws.answers = {"GetObject": found, "PutObject": {"VersionId": "v1"}}
    bucket.ensure("key", b"content")
    assert [asked["Body"] for asked in aws.asked("PutObject")] == written


def test_an_address_names_the_version(aws: Conversation) -> None:
    aws.answers = {"PutObject": {"VersionId": "a+b="}}
    version = bucket.write("templates/one.yaml", b"content")
    assert bucket.url("templates/one.yaml", version) == (
        "https://bucket.s3.eu-west-1.amazonaws.com/templates/one.yaml?versionId=a%2Bb%3D"
    )
