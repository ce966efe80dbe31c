"""What EC2 says of instances."""

from __future__ import annotations

from collections.abc import Sequence

from benchwright.observability import client


def addresses_and_images(instances: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the private address and the AMI of each instance, by id; instances that have gone meanwhile are left
    out.
    """
    if not instances:
        return {}, {}
    filters = [{"Name": "instance-id", "Values": list(instances)}]
    found = [
        instance
        for page in client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        if instance.get("PrivateIpAddress")
    ]
    addresses = {instance["InstanceId"]: instance["PrivateIpAddress"] for instance in found}
    return addresses, {instance["InstanceId"]: instance["ImageId"] for instance in found}
