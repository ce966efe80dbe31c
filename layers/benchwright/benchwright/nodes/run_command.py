"""The conversation with SSM Run Command: the one document of a cluster, run on named instances, found again by its
comment.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from pydantic import BaseModel

from benchwright.aws import client
from benchwright.errors import TransientError, error_code, error_message
from benchwright.settings import settings

BATCH = 50  # SendCommand, InstanceIds: at most 50
DELIVERY_SECONDS = 120  # SendCommand, TimeoutSeconds: how long an instance may take to accept the command
FAILED = frozenset({"Failed", "TimedOut", "Cancelled", "Cancelling"})
ENDED = FAILED | {"Success"}


class Command(BaseModel):
    """A command that this execution sent."""

    id: str
    instances: list[str]


class Invocation(NamedTuple):
    """A command on one instance.

    detail: AWS's StatusDetails as its documentation spells them, such as "Execution Timed Out". output: what the
    document printed, as far as ListCommandInvocations keeps it (2,500). command: its id.
    """

    instance: str
    status: str
    detail: str
    output: str
    command: str


def online(agents: Mapping[str, str]) -> set[str]:
    """Return those of the instances whose agent answers."""
    return {instance for instance, status in agents.items() if status == "Online"}


def ping_status(instances: Sequence[str]) -> dict[str, str]:
    """Return what Systems Manager knows of the agents; an instance that never registered is not in it."""
    if not instances:
        return {}
    pages = (
        client("ssm")
        .get_paginator("describe_instance_information")
        .paginate(Filters=[{"Key": "InstanceIds", "Values": instances}])
    )
    return {item["InstanceId"]: item["PingStatus"] for page in pages for item in page["InstanceInformationList"]}


def send(document: str, instances: Sequence[str], parameters: Mapping[str, str], token: Sequence[str]) -> Command:
    """Run the document on the instances; the same token finds the command that an earlier try of this call has sent.

    SendCommand has no client token, so a hash of the token stands in the comment (at most 100 characters).
    """
    comment = f"benchwright {hashlib.sha256(chr(10).join(token).encode()).hexdigest()[:40]}"
    if found := _find(document, comment):
        return Command(id=found, instances=list(instances))
    try:
        answer = client("ssm").send_command(
            InstanceIds=list(instances),
            DocumentName=document,
            DocumentVersion="$LATEST",
            Parameters={name: [value] for name, value in parameters.items()},
            Comment=comment,
            TimeoutSeconds=DELIVERY_SECONDS,
            MaxConcurrency=str(BATCH),
            MaxErrors="0",
            CloudWatchOutputConfig={
                "CloudWatchOutputEnabled": True,
                "CloudWatchLogGroupName": settings().node_log_group,
            },
        )
    except ClientError as error:
        if error_code(error) == "InvalidInstanceId":  # a node went between the look at the agents and this call
            raise TransientError(f"Systems Manager has lost a node: {error_message(error)}") from error
        raise
    return Command(id=answer["Command"]["CommandId"], instances=list(instances))


def invocations(commands: Iterable[Command]) -> list[Invocation]:
    """List what became of the commands; an instance that is not listed yet (eventual consistency) is Pending."""
    found: list[Invocation] = []
    for command in commands:
        pages = client("ssm").get_paginator("list_command_invocations").paginate(CommandId=command.id, Details=True)
        listed = {item["InstanceId"]: _invocation(item) for page in pages for item in page["CommandInvocations"]}
        found += [
            listed.get(instance, Invocation(instance, "Pending", "Pending", "", command.id))
            for instance in command.instances
        ]
    return found


def full_output(command: Command, instance: str) -> str:
    """Return up to 24,000 characters of what the document printed on an instance (GetCommandInvocation).

    Empty where the command neither succeeded nor failed.
    """
    answer = client("ssm").get_command_invocation(CommandId=command.id, InstanceId=instance)
    return str(answer["StandardOutputContent"])


def _find(document: str, comment: str) -> str:
    pages = (
        client("ssm")
        .get_paginator("list_commands")
        .paginate(Filters=[{"key": "DocumentName", "value": document}], PaginationConfig={"MaxItems": 200})
    )
    return next(
        (item["CommandId"] for page in pages for item in page["Commands"] if item.get("Comment") == comment), ""
    )


def _invocation(item: Mapping[str, Any]) -> Invocation:
    output = "\n".join(plugin.get("Output", "") for plugin in item.get("CommandPlugins", []))
    # The service answers without the blanks of its documentation: "ExecutionTimedOut".
    detail = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", item.get("StatusDetails", item["Status"]))
    return Invocation(item["InstanceId"], item["Status"], detail, output, item["CommandId"])
