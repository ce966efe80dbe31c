"""Every error that an execution can end with, and the one map from AWS error codes to them.

The class name is the error name that Step Functions sees, so the state machines retry and report these very names
(a test holds both sides together). A message says what is wrong, with the value, and what to do next.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import NoCredentialsError, ParamValidationError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError


class BenchwrightError(Exception):
    """The root of all errors below; never raised itself."""


# Before anything is touched


class InvalidInput(BenchwrightError):
    """The input of the execution is not usable; the message lists every problem with its value and its remedy."""


class ClusterLocked(BenchwrightError):
    """Another execution that still runs holds the cluster."""


class RecordUnreadable(BenchwrightError):
    """A newer release of Benchwright wrote the cluster's record, or it is damaged; the message says which."""


# While a deployment runs


class LockLost(BenchwrightError):
    """The cluster is no longer locked by this execution: another one took it over, so nothing more may be changed
    here.
    """


class ImageBuildFailed(BenchwrightError):
    """EC2 Image Builder could not make the AMI, or the AMI that was named cannot be used."""


class StackFailed(BenchwrightError):
    """CloudFormation could not bring a stack to what the plan says; the message holds the root event."""


class StackRefused(BenchwrightError):
    """A change was refused before it began: it would replace or remove something that holds data, or the stack needs a
    person, or is someone else's.
    """


class CertificateNotIssued(BenchwrightError):
    """ACM did not issue the certificate of the address in time; the message names the record that it does not find."""


class DatabaseFailed(BenchwrightError):
    """PostgreSQL refused what Benchwright asked, and asking again would not help."""


class NodesNotReady(BenchwrightError):
    """A node did not come to life, or was not replaced, within its time."""


class NodeConfigurationFailed(BenchwrightError):
    """The configuration script failed on a node; the message names node, reason and remedy."""


class VerificationFailed(BenchwrightError):
    """The cluster is not what its plan says; the message lists each failing check with its remedy."""


class DeadlineExceeded(BenchwrightError):
    """A loop of the state machine used up its attempts; raised by the state machine, which knows the attempts."""


# Conversations with AWS


class AwsCallFailed(BenchwrightError):
    """AWS refused a call for a reason that a retry does not fix, for example a missing permission."""


class TransientError(BenchwrightError):
    """AWS or the network asked for patience; the state machine tries the same step again."""


# What a message may hold of foreign text: no control character but line break and tab, nothing that turns the direction
# of writing, and no lone surrogate, which has no form in UTF-8 and would end the function that returns it.
UNPRINTABLE = dict.fromkeys(
    (
        *(*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)),
        *(*range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)),
    ),
    "\ufffd",
)

# Step Functions cuts a cause at 32,768 characters of JSON, and a branch of a Parallel packs it into JSON once more. The
# rest is for the stack trace.
LONGEST_MESSAGE, LONGEST_PACKED = 8_000, 24_000
SHORTENED = "\n(shortened; see the log)"


def printable(text: str) -> str:
    """Return a text in characters that every channel takes."""
    return text.translate(UNPRINTABLE)


def shorten(message: str) -> str:
    """Return a message as it reaches the state machine whole: printable, and not too long."""
    text = printable(message)
    short = text[:LONGEST_MESSAGE]
    while len(json.dumps(json.dumps(short, ensure_ascii=False), ensure_ascii=False)) > LONGEST_PACKED:
        short = short[: len(short) * 3 // 4]
    return text if short == text else f"{short}{SHORTENED}"


# Codes that mean "try again". Sources: the retry modes of the AWS SDKs, IAM's eventual consistency
# (a new role is not yet assumable) and the first use of a service-linked role.
TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "InternalServiceErrorException",
        "LimitExceededException.Throttling",
        "OperationAbortedException",  # CloudWatch Logs: two calls about one log group at the same moment
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "TransientFault",
    }
)


def error_code(error: ClientError) -> str:
    """Return the AWS error code of a botocore error, or an empty text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    """Return the AWS message of a botocore error."""
    return str(error.response.get("Error", {}).get("Message", error))


def from_client_error(error: ClientError) -> BenchwrightError:
    """Translate an AWS refusal: TransientError where patience helps, AwsCallFailed otherwise."""
    code, operation = error_code(error), error.operation_name
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{operation} answered {code or status}: {error_message(error)}"
    if code in TRANSIENT_CODES or status >= 500 or status == 429:
        return TransientError(text)
    if "AccessDenied" in code or "UnauthorizedOperation" in code:
        return AwsCallFailed(
            f"{text}. Grant this action to the role of this function (docs/security.md), then start again."
        )
    return AwsCallFailed(f"{text}. Fix what it names, then start the execution again: finished steps are kept.")


def from_connection_error(error: BotoCoreError) -> BenchwrightError:
    """Translate a call that did not reach AWS or got no answer; one never sent is no case for patience."""
    if isinstance(error, ParamValidationError | NoCredentialsError):
        return AwsCallFailed(
            f"A call was not sent: {error}. This is a defect of Benchwright: report it with this text."
        )
    return TransientError(f"AWS did not answer: {error}")
