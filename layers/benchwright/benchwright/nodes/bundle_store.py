"""The application's bucket: a cluster's configuration bundles, each under its hash, and `current`, which names the one
that nodes take when they appear.
"""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.nodes.bundle import Bundle
from benchwright.settings import settings

IMAGE = "image"  # in the metadata of `current`: the AMI of the nodes for which it was written


def publish(cluster: str, bundle: Bundle, image: str) -> None:
    """Store the bundle, and point `current` at it where nodes of this image have none that is known to work.

    A bundle that was deleted or damaged comes back by this, though `current` names it. Nodes of another image are about
    to be launched and take what is published with it; else `current` waits for a node that has applied the new one.
    """
    key = f"{_folder(cluster)}/{bundle.configuration}.tar.gz"
    if _read(key) != (bundle.archive, ""):
        _write(key, bundle.archive)
    found = _read(_current(cluster))
    if found is None or found[1] != image:
        _write(_current(cluster), bundle.configuration.encode(), {IMAGE: image})


def point_at(cluster: str, configuration: str, image: str) -> None:
    """Have nodes that appear from now on take this configuration; nothing is written where it is so already."""
    if _read(_current(cluster)) != (configuration.encode(), image):
        _write(_current(cluster), configuration.encode(), {IMAGE: image})


def _current(cluster: str) -> str:
    return f"{_folder(cluster)}/current"


def _folder(cluster: str) -> str:
    return f"clusters/{cluster}/configuration"


def _write(key: str, content: bytes, metadata: Mapping[str, str] | None = None) -> None:
    client("s3").put_object(Bucket=settings().bucket_name, Key=key, Body=content, Metadata=metadata or {})


def _read(key: str) -> tuple[bytes, str] | None:
    """The content of an object and the image in its metadata; None when there is no such object."""
    try:
        found = client("s3").get_object(Bucket=settings().bucket_name, Key=key)
    except ClientError as error:
        # Without ListBucket a missing key is AccessDenied (S3 API, GetObject, permissions).
        if error_code(error) in ("NoSuchKey", "AccessDenied"):
            return None
        raise
    return bytes(found["Body"].read()), found.get("Metadata", {}).get(IMAGE, "")
