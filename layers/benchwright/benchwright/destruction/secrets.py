"""The secrets of a cluster that is destroyed: they go with a recovery window, which CloudFormation does not give."""

from __future__ import annotations

import json
from dataclasses import dataclass

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.planning.problems import Problem
from benchwright.settings import settings

WINDOW_DAYS = 30  # in which a secret can be restored, and in which its name is taken


@dataclass(frozen=True)
class Secret:
    """A secret, the key that encrypts it, and when it goes (ISO 8601); empty where it does not."""

    name: str
    key: str
    goes: str


def describe(cluster: str) -> list[Secret]:
    """Describe the secrets that the foundation of a cluster made, also those that are being deleted.

    Their tags say so: someone else may have made a secret of that name, which no foundation can then make.
    """
    found, ours = [], settings().tags(cluster).items()
    for name in ("database", "secure-cookie-key"):
        secret = f"{settings().application}/{cluster}/{name}"
        try:
            answer = client("secretsmanager").describe_secret(SecretId=secret)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                continue
            raise
        if not ours <= {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}.items():
            continue
        goes = answer.get("DeletedDate")
        found.append(Secret(secret, answer.get("KmsKeyId", ""), goes.isoformat(timespec="seconds") if goes else ""))
    return found


def taken_names(cluster: str, *, is_begun: bool) -> list[Problem]:
    """Say why a cluster that was destroyed with its data cannot have its name again yet.

    is_begun: whether the cluster has a record still: then no execution has ended that deletes its data.
    """
    going = [secret for secret in describe(cluster) if secret.goes]
    if is_begun and going:
        wrong = "an execution began to delete its data, and did not end"
        give = json.dumps({"cluster": cluster, "delete_data": cluster})
        return [("cluster", cluster, wrong, f"{give} to the state machine {settings().application}-destroy first")]
    free = "aws secretsmanager delete-secret --force-delete-without-recovery --secret-id"
    wrong = "a cluster of this name was destroyed with its data, and the name of its secret is taken until"
    return [
        ("cluster", cluster, f"{wrong} {secret.goes}", f"another name, or give the secret up: {free} {secret.name}")
        for secret in going
    ]


def schedule_deletion(cluster: str) -> None:
    """Delete the secrets of a cluster, but for the days in which they can be restored."""
    for secret in describe(cluster):
        if not secret.goes:
            client("secretsmanager").delete_secret(SecretId=secret.name, RecoveryWindowInDays=WINDOW_DAYS)
