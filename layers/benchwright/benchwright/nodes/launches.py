"""Launches of the group of nodes that failed: which, whether they are no passing fault, and what a person does."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import NodesNotReady, error_code

# So many launches in a row that failed alike, over so long a time, are no passing fault. Many nodes fail at once, and
# Auto Scaling tries again every minute or so.
FAILURES, OVER = 3, timedelta(minutes=5)
# What differs between two failures of one cause.
PARTICULARS = re.compile(
    r"\b(?:i|subnet)-[0-9a-f]{8,17}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\S+"
)
# What a person does about a launch that fails, by what AWS says of it. Sources: Amazon EC2 Auto Scaling user guide,
# "Troubleshoot: EC2 instance launch failures"; Amazon EC2 API reference, "Error codes".
REMEDIES: Mapping[str, str] = {
    r"vCPU capacity|instance limit of": (
        "Ask for a higher quota in Service Quotas (Amazon EC2, Running On-Demand instances of the type's family), or "
        "choose a smaller type (nodes.instance_type) or fewer nodes (nodes.count)"
    ),
    r"not have sufficient|InsufficientInstanceCapacity": (
        "Choose another instance type (nodes.instance_type), or wait: Auto Scaling keeps trying"
    ),
    r"InvalidKMSKey|Client error on launch": (
        "Volumes are encrypted with the account's default key of EBS (EC2 console, Settings, EBS encryption). Enable "
        "that key, and let the role AWSServiceRoleForAutoScaling use it and create grants for it, or make aws/ebs the "
        "default again"
    ),
    r"AMI ID|image id .*(does|do) not exist|InvalidAMIID": (
        "The AMI of the nodes is gone, or no longer shared with this account. Start again with "
        '{"image": {"rebuild": true}}, or with another image.ami'
    ),
    r"free addresses|FreeAddresses": "Free addresses in the subnet, or give the application larger subnets",
    r"Authentication Failure|assume role": (
        "The role AWSServiceRoleForAutoScaling is missing, or too new to work: make it with `aws iam "
        "create-service-linked-role --aws-service-name autoscaling.amazonaws.com`, and wait some minutes"
    ),
    r"not supported in your requested Availability Zone": (
        "Choose an instance type that each zone of the subnets has (nodes.instance_type)"
    ),
    r"is being validated|PendingVerification": (
        "AWS still validates this account. Wait for its e-mail, at most four hours"
    ),
    r"not authorized|UnauthorizedOperation|explicit deny": (
        "A policy keeps Auto Scaling from launching, often a service control policy of the organisation: allow "
        "ec2:RunInstances for AWSServiceRoleForAutoScaling"
    ),
    r"Lifecycle Action": "The new node did not configure itself in time. Read its log in the log group of the nodes",
}
UNKNOWN_CAUSE = "Fix what AWS names"


class Activity(NamedTuple):
    """A launch: what it is, how it ended, and what AWS said of it."""

    description: str
    status: str
    message: str
    started: datetime
    ended: datetime | None


def failed_launches(group: str, since: datetime | None) -> list[Activity]:
    """List the launches that failed alike, newest first, since the last one that succeeded or failed otherwise.

    since: what happened before counts no more: the cause may be fixed. None where the group does not exist yet.
    """
    row: list[Activity] = []
    try:
        for activity in _launches(group):
            if activity.ended and (activity.status == "Successful" or (since and activity.started < since)):
                break
            if activity.status not in ("Failed", "Cancelled"):
                continue
            if row and _cause(activity.message) != _cause(row[0].message):
                break
            row.append(activity)
            if _is_lasting(row):
                break
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
    return row


def is_another_try(group: str, instance: str, failed: Sequence[Activity]) -> bool:
    """Return whether an instance was launched after one of these launches had failed, and not at the same time."""
    began = next((each.started for each in _launches(group) if each.description.endswith(instance)), None)
    return any(began is None or (each.ended and each.ended <= began) for each in failed)


def raise_if_lasting(group: str, failed: Sequence[Activity]) -> None:
    """Raise NodesNotReady, with AWS's reason and the remedy, where launches fail alike again and again."""
    if _is_lasting(failed):
        remedy = REMEDIES.get(_cause(failed[0].message), UNKNOWN_CAUSE)
        raise NodesNotReady(
            f"Auto Scaling cannot launch nodes of {group}. Since {failed[-1].started:%H:%M} UTC every launch failed: "
            f"{failed[0].message}\n{remedy}; then start the execution again."
        )


def with_newest(failed: Sequence[Activity], waiting_for: str) -> str:
    """Say why the newest launch failed, too."""
    return f"{waiting_for}. The newest launch failed: {failed[0].message}" if failed else waiting_for


def newest_failure(group: str) -> str:
    """Say what the newest launch of a group that failed ended with; empty where none failed."""
    failed = next((item for item in _launches(group) if item.status in ("Failed", "Cancelled")), None)
    return f"\nThe newest launch that failed: {failed.message}" if failed else ""


def _launches(group: str) -> Iterator[Activity]:
    """The launches of a group, newest first."""
    pages = client("autoscaling").get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=group)
    for item in (item for page in pages for item in page["Activities"]):
        if item["Description"].startswith("Launching"):
            message = item.get("StatusMessage") or "no reason given"
            yield Activity(item["Description"], item["StatusCode"], message, item["StartTime"], item.get("EndTime"))


def _cause(message: str) -> str:
    """What two failures of one cause have in common."""
    return next((cause for cause in REMEDIES if re.search(cause, message)), PARTICULARS.sub("", message))


def _is_lasting(row: Sequence[Activity]) -> bool:
    return len(row) >= FAILURES and row[0].started - row[-1].started >= OVER
