"""Why a new node cannot apply its configuration.

Such a node waits in the launching hook of its group, which terminates it after 45 minutes without a reason. Its
CloudWatch agent has sent its log by then, and the end of the log has the reason.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import NodesNotReady, error_code
from benchwright.nodes import launches
from benchwright.nodes.auto_scaling import Group, Node

STREAM = "__var_log_benchwright_configure.log"  # the agent's name for the file, after the id of the instance
BEGAN, FAILED = "=== ", "FAILED: "  # infra/node/main.sh
LINES = 100
MOST_ASKED = 10  # nodes in a look; what keeps one from its configuration mostly keeps all. GetLogEvents: 25 a second
HOOK = "configured"  # infra/nodes.yaml


class Refusal(NamedTuple):
    """Why a node cannot apply its configuration: the sentence in its log.

    at: when CloudWatch received them; the clock of the node may be off.
    """

    instance: str
    sentence: str
    at: datetime


def refusal(log_group: str, nodes: Sequence[Node]) -> Refusal | None:
    """Return the refusal of the first node that waits in the launching hook and has failed; None where none has."""
    waiting = [node.instance for node in nodes if node.state == "Pending:Wait"]
    return next((found for instance in waiting[:MOST_ASKED] if (found := _last_words(log_group, instance))), None)


def another_try(group: Group, found: Refusal, since: datetime | None, failed: Sequence[launches.Activity]) -> str:
    """Abandon the launch of a node that has failed, so that the group launches another one; return what is waited for.

    since: when this execution began; what a node said before is about an earlier configuration. failed: the launches
    that have failed since. Raises NodesNotReady where the node was itself the second try.
    """
    if failed and since and found.at >= since and launches.is_another_try(group.name, found.instance, failed):
        serve = "; the nodes before them still serve" if any(node.state == "InService" for node in group.nodes) else ""
        raise NodesNotReady(
            f"New nodes of {group.name} cannot apply the configuration{serve}. {found.instance} "
            f"says: {found.sentence}\nCorrect what it names, or take the value back, then start the execution again: "
            "another node is launched with what is configured then. New nodes of the same image take what nodes have "
            "applied: where that is what fails, first correct it in a deployment that changes neither their number nor "
            "their instance type."
        )
    try:
        client("autoscaling").complete_lifecycle_action(
            AutoScalingGroupName=group.name,
            InstanceId=found.instance,
            LifecycleHookName=HOOK,
            LifecycleActionResult="ABANDON",
        )
    except ClientError as error:
        # ValidationError: it no longer waits, since an earlier answer was lost, or it has left.
        if error_code(error) != "ValidationError":
            raise
    return f"Auto Scaling: another node in the place of {found.instance}, which says: {found.sentence}"


def _last_words(log_group: str, instance: str) -> Refusal | None:
    try:
        events = client("logs").get_log_events(
            logGroupName=log_group, logStreamName=f"{instance}{STREAM}", limit=LINES, startFromHead=False
        )["events"]
    except ClientError:  # it has sent nothing yet, or its log may not be read: then it is waited for
        return None
    last: Mapping[str, Any] = next(
        (event for event in reversed(events) if event["message"].startswith((BEGAN, FAILED))), {"message": ""}
    )
    if not last["message"].startswith(FAILED):
        return None
    at = datetime.fromtimestamp(last["ingestionTime"] / 1000, UTC)
    return Refusal(instance, last["message"].removeprefix(FAILED).strip(), at)
