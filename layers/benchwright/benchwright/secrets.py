"""What Secrets Manager tells about a secret without its value: its ARN and its current version."""

from __future__ import annotations

from botocore.exceptions import ClientError

from benchwright.errors import error_code
from benchwright.observability import client
from benchwright.plan import Secret


def describe_secret(name: str) -> Secret | None:
    """Describe a secret by name or ARN; None when there is none, or none with a current value."""
    try:
        found = client("secretsmanager").describe_secret(SecretId=name)
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise
    versions = found.get("VersionIdsToStages", {})
    current = next((version for version, stages in versions.items() if "AWSCURRENT" in stages), None)
    return Secret(found["ARN"], current) if current and "DeletedDate" not in found else None
