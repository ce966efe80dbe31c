"""The application's bucket: a cluster's configuration bundles, each under its hash, and `current`, which moves last."""

from __future__ import annotations

from botocore.exceptions import ClientError

from benchwright.errors import error_code
from benchwright.observability import client
from benchwright.rendering import Bundle
from benchwright.settings import settings


def publish(cluster: str, bundle: Bundle) -> None:
    """Store the bundle, then point `current` at it; what is already there is not written again."""
    prefix, bucket, s3 = f"clusters/{cluster}/configuration", settings().bucket_name, client("s3")
    if _read(f"{prefix}/current") == bundle.configuration.encode():
        return
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{bundle.configuration}.tar.gz", Body=bundle.archive)
    s3.put_object(Bucket=bucket, Key=f"{prefix}/current", Body=bundle.configuration.encode())


def _read(key: str) -> bytes | None:
    try:
        return bytes(client("s3").get_object(Bucket=settings().bucket_name, Key=key)["Body"].read())
    except ClientError as error:
        # Without ListBucket a missing key is AccessDenied (S3 API, GetObject, permissions).
        if error_code(error) in ("NoSuchKey", "AccessDenied"):
            return None
        raise
