"""What Secrets Manager says about a secret without its value: its ARN and its current version."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import DatabaseFailed, error_code

AT_ONCE = 10  # connections that a client of botocore keeps (Config, max_pool_connections)


class Secret(NamedTuple):
    """A secret that the input names, as Secrets Manager describes it."""

    arn: str
    version: str


def require_secret(arn: str) -> Secret:
    """Describe a secret of the foundation. Raises DatabaseFailed where it has gone."""
    if secret := describe_secret(arn):
        return secret
    raise DatabaseFailed(
        f"The secret {arn} of the foundation is gone or scheduled for deletion. Restore it in Secrets Manager."
    )


def describe_secrets(names: Iterable[str]) -> dict[str, Secret | None]:
    """Describe secrets by name or ARN, several at once: there may be one for each of 2,000 users."""
    client("secretsmanager")  # made here: no two threads make it
    ordered = sorted(names)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(ordered, threads.map(describe_secret, ordered), strict=True))


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
