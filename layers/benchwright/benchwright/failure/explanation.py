"""From an error to text for people: what failed, in which step, why, where to look, what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

# What a person does about each error; the error's own message has the particulars. A test: every error has an entry.
NEXT_ACTIONS: Mapping[str, str] = {
    "InvalidInput": "Correct the input, or the account, as each line says, and start the execution again. "
    "Nothing was changed.",
    "ClusterLocked": "Wait for the execution that holds the cluster, or stop it. Nothing was changed by this one.",
    "RecordUnreadable": "Do what the message says. Nothing was changed.",
    "LockLost": "See in the list of executions who took the cluster over; start again when that one has ended.",
    "ImageBuildFailed": "Do what the message says, and start again with the same input: a new build begins. The "
    "foundation is kept, or goes on being made, meanwhile.",
    "StackFailed": "Fix what this event names, often a quota, a capacity or a permission of the account, and start "
    "again with the same input. Finished steps are kept.",
    "StackRefused": "Undo the change that would lose data, fix the stack by hand, or name the cluster otherwise, as "
    "the message says, and start again.",
    "CertificateNotIssued": "Do what the message says, and start again with the same input. Finished steps are kept. "
    'To go on without an address, start with {"access": null}.',
    "DatabaseFailed": "Fix the database as the message says, and start again with the same input. Nothing was "
    "dropped; image and stacks are kept. What the server wrote: RDS console, the cluster's writer, Logs & events.",
    "NodesNotReady": "Fix what kept the nodes away, and start again with the same input. Finished steps are kept.",
    "NodeConfigurationFailed": "Fix the cause, or replace the node, and start again with the same input: what was "
    "configured already stays as it is.",
    "VerificationFailed": "Follow the remedy of each failing check, and start again.",
    "DeadlineExceeded": "Look at what it waited for; start again with the same input to go on waiting.",
    "AwsCallFailed": "Fix what AWS named, usually a permission or a quota, and start again with the same input.",
    "TransientError": "Six tries within minutes met the same answer. Look at what the message names and at the AWS "
    "Health Dashboard, and start again with the same input.",
}
DEFAULT_ACTION = "Look at the log of the step's function, and start again with the same input: finished steps are kept."
# After any other error the cluster may not be what its record says.
SAYS_NOTHING_OF_THE_CLUSTER = frozenset({"InvalidInput", "ClusterLocked", "LockLost", "RecordUnreadable"})
UNPROVEN = (
    "If one of the unproven values is the cause, start a deployment with the input that takes it back, or with a right "
    "value: the same input, or {}, would use it again. If none is: "
)
LONGEST_WARNINGS = 6_000  # characters of the warnings of the first state
LONGEST = 30_000  # characters; Step Functions cuts the cause of an execution at 32,768
SHORTENED = "\n… (shortened)"


# What the state machines repeat six times before they give up, of the errors that the Lambda service itself names.
REPEATED = frozenset(
    f"Lambda.{name}"
    for name in (
        "ClientExecutionTimeoutException",
        "ServiceException",
        "AWSLambdaException",
        "SdkClientException",
        "TooManyRequestsException",
        "Unknown",
        "CodeArtifactUserPendingException",
        "EC2ThrottledException",
        "SubnetIPAddressLimitReachedException",
        # Of a function in a VPC that has not been called for long, its network is recreated.
        "ENINotReadyException",
        "ResourceConflictException",
        "ResourceNotReadyException",
    )
)


def named(error: str) -> str:
    """Return our name for an error: what Step Functions says of a function that it could not call is a call to AWS that
    failed.
    """
    if error in REPEATED:
        return "TransientError"
    return "AwsCallFailed" if error.startswith("Lambda.") else error


def unwrap(step: str, cause: str) -> tuple[str, str]:
    """Return step and message of a cause.

    Step Functions wraps the error of a function in JSON, with its stack trace; a branch of a Parallel wraps step and
    cause.
    """
    try:
        document = json.loads(cause)
    except ValueError:
        return step, cause
    if isinstance(document, dict) and {"step", "cause"} <= set(document):
        return unwrap(str(document["step"]), str(document["cause"]))
    if isinstance(document, dict) and "errorMessage" in document:
        return step, str(document["errorMessage"])
    return step, cause


def explain(
    step: str,
    error: str,
    cause: str,
    execution: str,
    evidence: Sequence[str] = (),
    *,
    unproven: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Write the explanation; ends with the next action.

    evidence: a line for each place that says more. unproven: the lines of the recorded values that may be the cause.
    warnings: those of the first state, which may have named the cause.

    A message that is too long is shortened: what to do next, and where to look, never is.
    """
    step, message = unwrap(step, cause)
    warned = cut("\n".join(f"- {warning}" for warning in warnings), LONGEST_WARNINGS)
    after = [
        *(["", "Warnings of the first state:", warned] if warnings else []),
        *(["", *unproven] if unproven else []),
        *(["", "Evidence:", *evidence] if evidence else []),
        "",
        f"Next: {UNPROVEN if unproven else ''}{NEXT_ACTIONS.get(error, DEFAULT_ACTION)}",
        f"Execution: {execution}",
    ]
    return between([f"{error} in step {step!r}", ""], message.strip() or "No cause was given.", after)


def between(before: Sequence[str], text: str, after: Sequence[str]) -> str:
    """Put a text between lines that stay whole: it is shortened where all of it would be too long for a cause."""
    room = LONGEST - len("\n".join([*before, "", *after]))
    return "\n".join([*before, cut(text, room), *after])


def cut(text: str, longest: int) -> str:
    """Shorten a text to so many characters, and say so in it."""
    return text if len(text) <= longest else f"{text[: longest - len(SHORTENED)]}{SHORTENED}"
