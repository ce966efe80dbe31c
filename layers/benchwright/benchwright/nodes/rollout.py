"""How the configuration reaches the nodes: one node first, which defines the cluster, then all others
(docs/decisions/0012).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from benchwright.errors import NodeConfigurationFailed
from benchwright.nodes.auto_scaling import replacement_command
from benchwright.nodes.instances import listed
from benchwright.nodes.report import NodeReport, read_report
from benchwright.nodes.run_command import BATCH, FAILED, Invocation

# What a state of an invocation means where the script said nothing of its own
# (docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html).
MEANINGS: Mapping[str, str] = {
    "Delivery Timed Out": "the agent did not take it: the node has lost its network, or its agent hangs",
    "Execution Timed Out": "the script hangs, or the node has lost its network meanwhile",
    "Undeliverable": "the node is gone, or does not answer",
}


class RolloutStep(NamedTuple):
    """send: instances that get the command now. offline: instances whose agent is waited for."""

    action: Literal["send", "wait", "done"]
    send: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    waiting_for: str = ""


def next_step(
    nodes: Sequence[str],
    online: Collection[str],
    invocations: Sequence[Invocation],
    configuration: str,
    wanted: int,
    *,
    last: bool = False,
    explain: Callable[[NodeReport], str] = lambda _: "",
) -> RolloutStep:
    """Decide from the nodes, those whose agent answers, and what became of the commands of this execution so far.

    wanted: how many nodes there must be. explain: says why a node failed where its report alone does not. A node that
    fails ends nothing as long as others are being configured, so that these are not left half done, unless this is the
    last look. Raises NodeConfigurationFailed with every node that failed, or has not ended then.
    """
    succeeded = {item.instance for item in invocations if item.status == "Success"}
    failed = [item for item in invocations if item.status in FAILED]
    running = [item for item in invocations if item.status not in FAILED and item.instance not in succeeded]
    if running and not last:
        names = sorted(item.instance for item in running)
        return RolloutStep("wait", waiting_for=f"Run Command: {listed(names)} is being configured")
    if failed or running:
        raise configuration_failure([*failed, *running], explain)
    foreign = [item for item in invocations if item.status == "Success" and _configuration(item) != configuration]
    if foreign:
        raise NodeConfigurationFailed(
            f"{', '.join(item.instance for item in foreign)} applied another configuration than "
            f"{configuration[:12]}, which it was given. Start the execution again: it publishes and applies the "
            "recorded one; if it ends so again, the image of the nodes changes the parameters of a command."
        )
    if offline := [node for node in nodes if node not in online and node not in succeeded]:
        return RolloutStep("wait", (), tuple(offline), f"Systems Manager: {listed(offline)} to come online")
    missing = [node for node in nodes if node not in succeeded]
    if not missing and len(nodes) < wanted:
        return RolloutStep("wait", waiting_for=f"Auto Scaling: {len(nodes)} of {wanted} nodes are there")
    if not missing:
        return RolloutStep("done")
    batch = missing[:BATCH] if succeeded else missing[:1]
    return RolloutStep("send", tuple(batch), (), f"Run Command: {listed(batch)} is being configured")


def configuration_failure(
    failed: Sequence[Invocation], explain: Callable[[NodeReport], str] = lambda _: ""
) -> NodeConfigurationFailed:
    """Say for each node what the script said, or what Run Command knows if the script said nothing."""
    parts = []
    for item in failed:
        report = read_report(item.output)
        reason = (explain(report) or report.error) if report and report.error else _unreported(item)
        parts.append(f"{item.instance}: {reason}")
        lines = report.log.splitlines() if report and report.log else []
        if lines and report and lines[-1] == f"FAILED: {report.error}":  # the script says it to its log, too
            lines.pop()
        if lines:
            parts += ["Last lines of its log:", *(f"  {line}" for line in lines)]
        parts.append(f"Its command in Run Command: {item.command}")
    node = failed[0].instance
    return NodeConfigurationFailed(
        "\n".join(
            [
                *parts,
                f"To look at the node: aws ssm start-session --target {node}",
                f"To have a new one in its place: {replacement_command(node)}",
            ]
        )
    )


def _unreported(item: Invocation) -> str:
    """What Run Command knows of a node whose script did not come to its end."""
    meaning = MEANINGS.get(item.detail, "")
    ended = f"the command ended {item.detail}" if item.status in FAILED else "the command has not ended"
    return f"{ended}{meaning and f', so {meaning}'}. It said last: {item.output.strip()[-500:] or 'nothing'}"


def _configuration(item: Invocation) -> str:
    report = read_report(item.output)
    return report.configuration or "" if report else ""
