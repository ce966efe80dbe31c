"""Keys of the rehearsal."""

import pytest

from rehearsal.aws.local_aws import LocalAws


def test_the_deletion_of_a_key_is_scheduled_once(aws: LocalAws) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    goes = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30)["DeletionDate"]
    with pytest.raises(kms.exceptions.KMSInvalidStateException, match=f"key/{key} is pending deletion"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == goes
    kms.cancel_key_deletion(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
