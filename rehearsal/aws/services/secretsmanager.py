"""Secrets Manager: random passwords as AWS makes them, and every secret value known to the recorder.

moto keeps the secrets, their versions and stages. Its generator fails when a kind of character is excluded letter by
letter, so it is replaced.
"""

import json
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws

LENGTH = 32
LONGEST = 4096
PUBLIC = frozenset({"username", "engine", "host", "port", "dbname"})
"""Parts of a secret's JSON that are no secret."""
SHORTEST = 8
"""A shorter value stands in many an innocent text; it is not struck out of them."""


def install(aws: LocalAws) -> None:
    """Add to the server what moto lacks."""
    aws.server.serve("secretsmanager", SecretsManager(aws))


@dataclass(frozen=True)
class SecretsManager:
    """What is checked and noted before moto answers, and random passwords."""

    aws: LocalAws

    def get_random_password(self, call: Call) -> dict[str, Any]:
        password = random_password(call.parameters)
        self.aws.recorder.register_secret(password)
        return {"RandomPassword": password}

    def put_secret_value(self, call: Call) -> Proceed:
        register(self.aws.recorder.register_secret, call.get("SecretString"))
        if call.get("KmsKeyId"):
            refuse_unknown_key(self.aws, call["KmsKeyId"])
        return PROCEED

    update_secret = put_secret_value

    def create_secret(self, call: Call) -> Proceed:
        self.put_secret_value(call)
        refuse_reserved_name(self.aws, call["Name"])
        return PROCEED

    def delete_secret(self, call: Call) -> Proceed:
        window = call.get("RecoveryWindowInDays")
        if window is not None and call.get("ForceDeleteWithoutRecovery"):
            raise ServiceError(
                "InvalidParameterException",
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            )
        return PROCEED


def random_password(options: Mapping[str, Any]) -> str:
    """A password by the options of GetRandomPassword; at least one character of each kind that is left, unless asked
    otherwise.
    """
    length = int(options.get("PasswordLength") or LENGTH)
    excluded = set(options.get("ExcludeCharacters") or "")
    kinds = [
        "".join(character for character in characters if character not in excluded)
        for characters, wanted in (
            (string.ascii_lowercase, not options.get("ExcludeLowercase")),
            (string.ascii_uppercase, not options.get("ExcludeUppercase")),
            (string.digits, not options.get("ExcludeNumbers")),
            (string.punctuation, not options.get("ExcludePunctuation")),
            (" ", bool(options.get("IncludeSpace"))),
        )
        if wanted
    ]
    kinds = [kind for kind in kinds if kind]
    if not kinds:
        raise ServiceError("InvalidParameterException", "No characters are left to make the password of.")
    each = kinds if options.get("RequireEachIncludedType", True) else []
    if not len(each) <= length <= LONGEST:
        raise ServiceError(
            "InvalidParameterException", "Password length is too short based on the required types, or over 4096."
        )
    characters = [secrets.choice(kind) for kind in each]
    characters += [secrets.choice("".join(kinds)) for _ in range(length - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def register(known: Callable[[str], None], text: str | None) -> None:
    """Pass `known` every secret part of a secret: of a JSON object its values, else the text."""
    if not text:
        return
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    values = (
        [str(value) for key, value in content.items() if key not in PUBLIC] if isinstance(content, dict) else [text]
    )
    for value in values:
        if len(value) >= SHORTEST:
            known(value)


def refuse_reserved_name(aws: LocalAws, name: str) -> None:
    """A deleted secret keeps its name until its recovery window has ended."""
    secret = secretsmanager_backends[aws.account][aws.region].secrets.get(name)
    if secret is not None and secret.is_deleted():
        raise ServiceError(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )


def refuse_unknown_key(aws: LocalAws, key: str) -> None:
    """Secrets Manager uses the key when it stores a secret, not only when someone reads it: it must be there, and not
    be about to go (Secrets Manager API reference, CreateSecret, EncryptionFailure).
    """
    kms = aws.client("kms")
    try:
        if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "Enabled":
            raise ServiceError(
                "EncryptionFailure",
                "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the "
                "KMS key is available, enabled, and not in an invalid state.",
            )
    except kms.exceptions.NotFoundException:
        raise ServiceError("ResourceNotFoundException", f"The key {key} does not exist or is not accessible.") from None
