"""The application's bucket: a cluster's configuration bundles, each under its hash, and `current`, which moves last."""

from __future__ import annotations

from botocore.exceptions import ClientError

from benchwright.errors import error_code
from benchwright.observability import client
from benchwright.rendering import Bundle
from benchwright.settings import settings


def publish(cluster: str, bundle: Bundle) -> None:
    """Store the bundle, then point `current` at it; what is there as it shall be is not written again.

    A bundle that was deleted or damaged comes back by this, though `current` names it.
    """
    prefix = f"clusters/{cluster}/configuration"
    _bring(f"{prefix}/{bundle.configuration}.tar.gz", bundle.archive)
    _bring(f"{prefix}/current", bundle.configuration.encode())


def _bring(key: str, content: bytes) -> None:
    if _read(key) != content:
        client("s3").put_object(Bucket=settings().bucket_name, Key=key, Body=content)


def _read(key: str) -> bytes | None:
    try:
        return bytes(client("s3").get_object(Bucket=settings().bucket_name, Key=key)["Body"].read())
    except ClientError as error:
        # Without ListBucket a missing key is AccessDenied (S3 API, GetObject, permissions).
        if error_code(error) in ("NoSuchKey", "AccessDenied"):
            return None
        raise
