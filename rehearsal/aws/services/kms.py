"""KMS: the deletion of a key is scheduled once. moto, which keeps the keys, would begin it again."""

from dataclasses import dataclass

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws


def install(aws: LocalAws) -> None:
    """Refuse what moto does not."""
    aws.server.serve("kms", Keys(aws))


@dataclass(frozen=True)
class Keys:
    """The operations whose outcome depends on the state of a key (KMS developer guide, "Key states of KMS keys")."""

    aws: LocalAws

    def schedule_key_deletion(self, call: Call) -> Proceed:
        kms = self.aws.client("kms")
        try:
            key = kms.describe_key(KeyId=call["KeyId"])["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            return PROCEED  # which moto refuses, too
        if key["KeyState"] == "PendingDeletion":
            raise ServiceError("KMSInvalidStateException", f"{key['Arn']} is pending deletion.")
        return PROCEED
