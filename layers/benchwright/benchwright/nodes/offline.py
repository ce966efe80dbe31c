"""Nodes whose agent does not answer in time: those that never registered are replaced, and a person reads why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import NodesNotReady
from benchwright.nodes.auto_scaling import replacement_command
from benchwright.nodes.instances import console_lines, listed
from benchwright.observability import logger

# Of how many nodes that stay away the system log is shown, and how much of it.
LOGS, LOG_LINES = 2, 15
REMEDY = (
    "The system log (EC2 console, also for an hour after the node has gone) shows why: a node needs a route to the "
    "Systems Manager endpoints, its instance profile, and a running SSM agent."
)


def give_up(offline: Sequence[str], known: Collection[str]) -> NodesNotReady:
    """Replace those of the nodes that Systems Manager does not know, and return the error.

    A node that never registered was never configured and holds no one's session: the next run meets a new one.
    """
    replaced = [instance for instance in offline if instance not in known and replace(instance)]
    return not_online(offline, replaced, {instance: console_lines(instance, LOG_LINES) for instance in offline[:LOGS]})


def not_online(offline: Sequence[str], replaced: Sequence[str], logs: Mapping[str, Sequence[str]]) -> NodesNotReady:
    """The error of nodes whose agent did not answer within the attempts; logs: of some, the end of the system log."""
    outcome = (
        f"Auto Scaling now replaces what never registered: {listed(replaced)}. "
        if replaced
        else "Terminate a node that stays away to get a new one. "
    )
    lines = [f"Systems Manager did not hear of {listed(offline)} in time. {outcome}{REMEDY}"]
    lines += [f"To have a new one in its place: {replacement_command(node)}" for node in offline[:1] if not replaced]
    for instance, log in logs.items():
        if log:
            lines += [f"Last lines of the system log of {instance}:", *(f"  {line}" for line in log)]
    return NodesNotReady("\n".join(lines))


def replace(instance: str) -> bool:
    """Have Auto Scaling replace a node: it leaves through the terminating hook, and a new one is launched.

    A failure is being explained: a refusal, such as of a node that left the group meanwhile, must not hide it. It is
    logged, and False returned.
    """
    try:
        client("autoscaling").set_instance_health(
            InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
        )
    except ClientError as error:
        logger.warning("node not replaced", instance=instance, reason=str(error))
        return False
    return True
