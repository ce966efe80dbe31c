"""Secrets Manager of the local AWS: passwords, versions, and what the recorder learns."""

import string

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.aws.calls import ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.secretsmanager import random_password, register


def test_by_default_a_password_has_32_characters_of_each_kind_but_space() -> None:
    password = random_password({})
    assert len(password) == 32
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
        assert set(password) & set(kind)
    assert " " not in password


def test_a_key_of_hexadecimal_digits_is_made_as_the_foundation_asks_for_it() -> None:
    options = {
        "PasswordLength": 64,
        "ExcludePunctuation": True,
        "ExcludeUppercase": True,
        "ExcludeCharacters": "ghijklmnopqrstuvwxyz",
    }
    key = random_password(options)
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


@given(
    excluded=st.text(alphabet=string.ascii_letters + string.punctuation, max_size=60),
    length=st.integers(min_value=8, max_value=200),
    space=st.booleans(),
)
def test_excluded_characters_never_occur(excluded: str, length: int, space: bool) -> None:
    password = random_password({"ExcludeCharacters": excluded, "PasswordLength": length, "IncludeSpace": space})
    assert len(password) == length
    assert not set(password) & set(excluded)
    assert (" " in password) == space


@pytest.mark.parametrize(
    "options",
    [
        {"PasswordLength": 3},
        {"PasswordLength": 4097},
        {"ExcludeNumbers": True, "ExcludeLowercase": True, "ExcludeUppercase": True, "ExcludePunctuation": True},
    ],
)
def test_impossible_wishes_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ServiceError):
        random_password(options)


def test_only_the_secret_parts_of_a_secret_are_struck_out() -> None:
    known: list[str] = []
    register(known.append, '{"username": "rstudio-user", "password": "pass-word-1"}')
    register(known.append, "a licence, say")
    register(known.append, "short")
    register(known.append, None)
    assert known == ["pass-word-1", "a licence, say"]


def test_versions_and_stages_move_on_and_no_value_is_recorded(aws: LocalAws) -> None:
    client = aws.client("secretsmanager")
    arn = client.create_secret(Name="benchwright/users/alice", SecretString="the-first-one")["ARN"]
    client.put_secret_value(SecretId=arn, SecretString="the-second-one")
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "the-second-one"
    assert client.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"] == "the-first-one"
    password = client.get_random_password(PasswordLength=20)["RandomPassword"]
    assert {"the-first-one", "the-second-one", password} <= set(aws.recorder.secrets)


def test_a_deleted_secret_keeps_its_name_for_its_recovery_window(aws: LocalAws) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="benchwright/license/one", SecretString="licence text")
    client.delete_secret(SecretId="benchwright/license/one", RecoveryWindowInDays=7)
    with pytest.raises(client.exceptions.InvalidRequestException):
        client.get_secret_value(SecretId="benchwright/license/one")
    with pytest.raises(client.exceptions.InvalidRequestException):
        client.create_secret(Name="benchwright/license/one", SecretString="another")
    client.restore_secret(SecretId="benchwright/license/one")
    assert client.get_secret_value(SecretId="benchwright/license/one")["SecretString"] == "licence text"


def test_an_unknown_key_is_refused(aws: LocalAws) -> None:
    client = aws.client("secretsmanager")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="does not exist"):
        client.create_secret(Name="x", SecretString="y", KmsKeyId="11111111-2222-3333-4444-555555555555")


def test_a_key_whose_deletion_is_pending_encrypts_nothing(aws: LocalAws) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    aws.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
    with pytest.raises(ClientError, match="EncryptionFailure"):
        aws.client("secretsmanager").create_secret(Name="one", SecretString="a value of it", KmsKeyId=key)
