"""What EC2 says of instances."""

from __future__ import annotations

import re
from collections.abc import Sequence

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.observability import logger

# Control sequences of a terminal among the text: colours and the like.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")


def addresses_and_images(instances: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the private address and the AMI of each instance, by id; instances that have gone meanwhile are left
    out.
    """
    if not instances:
        return {}, {}
    pages = (
        client("ec2")
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-id", "Values": instances}])
    )
    found = [
        instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        if instance.get("PrivateIpAddress")
    ]
    addresses = {instance["InstanceId"]: instance["PrivateIpAddress"] for instance in found}
    return addresses, {instance["InstanceId"]: instance["ImageId"] for instance in found}


def listed(instances: Sequence[str]) -> str:
    """Name instances in a sentence: the first five, and how many more there are."""
    shown = ", ".join(instances[:5])
    return shown if len(instances) <= 5 else f"{shown} and {len(instances) - 5} more"


def console_lines(instance: str, count: int) -> list[str]:
    """Return the last lines of an instance's system log; empty when EC2 has none yet, or does not give it.

    The log as it is now, which instances of the Nitro system have; of others, as it was posted some minutes after the
    boot. A failure is being explained: not to find its log must not hide it, so a refusal is only logged.
    Source: EC2 API reference, GetConsoleOutput, Latest.
    """
    text = ""
    for latest in (True, False):
        try:
            text = client("ec2").get_console_output(InstanceId=instance, Latest=latest).get("Output", "")
        except ClientError as error:
            logger.warning("system log not readable", instance=instance, latest=latest, reason=str(error))
        if text:
            break
    return [line for line in CONTROL.sub("", text).splitlines() if line.strip()][-count:]
