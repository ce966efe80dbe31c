"""The application's bucket. What nodes fetch is below `clusters/`; templates of stacks are below `templates/`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.settings import settings


def write(key: str, content: bytes, metadata: Mapping[str, str] | None = None) -> str:
    """Store an object with its user-defined metadata; return the id of its version, empty in a bucket without any."""
    answer = client("s3").put_object(Bucket=settings().bucket_name, Key=key, Body=content, Metadata=metadata or {})
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


def url(key: str, version: str) -> str:
    """Return the address of one version of an object, virtual-hosted, as CloudFormation takes it for a template."""
    bucket, region = settings().bucket_name, client("s3").meta.region_name
    query = f"?{urlencode({'versionId': version})}" if version else ""
    return f"https://{bucket}.s3.{region}.amazonaws.com/{key}{query}"
