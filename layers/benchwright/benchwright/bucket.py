"""The application's bucket. What nodes fetch is below `clusters/`; templates of stacks are below `templates/`;
reports of executions are below `reports/`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import AwsCallFailed, error_code
from benchwright.settings import settings

MOST_PAGES = 20  # of 1,000 versions each, that one call deletes: a function has a minute

BYTES = "binary/octet-stream"  # what S3 takes content for of which nothing is said


def write(key: str, content: bytes, metadata: Mapping[str, str] | None = None, content_type: str = BYTES) -> str:
    """Store an object with its user-defined metadata; return the id of its version, empty in a bucket without any."""
    answer = client("s3").put_object(
        Bucket=settings().bucket_name, Key=key, Body=content, Metadata=metadata or {}, ContentType=content_type
    )
    return answer.get("VersionId", "")


def read(key: str) -> tuple[bytes, Mapping[str, str]] | None:
    """Return the content of an object and its user-defined metadata; None when there is no such object."""
    try:
        found = client("s3").get_object(Bucket=settings().bucket_name, Key=key)
    except ClientError as error:
        # Without ListBucket a missing key is AccessDenied (S3 API, GetObject, permissions).
        if error_code(error) in ("NoSuchKey", "AccessDenied"):
            return None
        raise
    return bytes(found["Body"].read()), found.get("Metadata", {})


def ensure(key: str, content: bytes) -> None:
    """Store content under a key that names it, unless it is there: what was deleted or damaged comes back."""
    found = read(key)
    if found is None or found[0] != content:
        write(key, content)


def delete_folder(prefix: str) -> bool:
    """Delete all versions of all objects below a prefix, as far as one call has time; return whether none is left.

    Raises AwsCallFailed where S3 deletes one not: DeleteObjects answers such errors with success.
    """
    arguments = {"Bucket": settings().bucket_name, "Prefix": prefix}
    pages = client("s3").get_paginator("list_object_versions").paginate(**arguments)  # type: ignore[arg-type]
    for number, page in enumerate(pages):
        if number == MOST_PAGES:
            return False
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if not objects:
            continue
        answer = client("s3").delete_objects(Bucket=settings().bucket_name, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
        if errors := answer.get("Errors", []):
            first = errors[0]
            raise AwsCallFailed(
                f"S3 did not delete {len(errors)} objects below {prefix}, such as {first.get('Key')}: "
                f"{first.get('Code')}: {first.get('Message')}. Fix what it names, then start again."
            )
    return True


def url(key: str, version: str) -> str:
    """Return the address of one version of an object, virtual-hosted, as CloudFormation takes it for a template."""
    bucket, region = settings().bucket_name, client("s3").meta.region_name
    query = f"?{urlencode({'versionId': version})}" if version else ""
    return f"https://{bucket}.s3.{region}.amazonaws.com/{key}{query}"
