"""Verify cluster: asks every node and the cluster itself, judges by the plan, and applies the safe remedies."""

from __future__ import annotations

from pydantic import BaseModel

from benchwright import cluster_check, node_group
from benchwright.cluster_check import Cluster, Questions
from benchwright.cluster_listing import UnreadableListing
from benchwright.configuration import replacement
from benchwright.errors import VerificationFailed
from benchwright.observability import StepEvent, step, tell_verdict
from benchwright.record import confirm_lock, plan_of, read, save_verified
from benchwright.verification import failing, unmet


class Event(StepEvent):
    """What is known of the rounds so far.

    round: how many times the nodes were asked. locked: whether this execution holds the cluster, so may apply remedies.
    last: whether this is the last look.
    """

    round: int = 0
    stale: list[int] = []
    questions: Questions | None = None
    locked: bool = True
    last: bool = False


class Result(BaseModel):
    """needs_lock: a safe remedy waits for the lock. round, stale and questions go into the next event."""

    done: bool
    waiting_for: str = ""
    needs_lock: bool = False
    round: int = 0
    stale: list[int] = []
    questions: Questions | None = None
    summary: Cluster | None = None


@step(Event)
def handler(event: Event) -> Result:
    """Ask, wait for the answers, judge; then remedy and ask again, or end."""
    record = confirm_lock(event.cluster, event.execution) if event.locked else read(event.cluster)
    plan = plan_of(record, event.cluster)
    nodes = cluster_check.node_outputs(plan)
    group = node_group.describe_nodes(nodes["AutoScalingGroupName"])
    instances = [node.instance for node in group if node.state == "InService"]
    others = [node.instance for node in group if node.state != "InService"]
    if event.questions is None:
        return _ask(event, nodes["DocumentName"], instances)
    silent = cluster_check.unanswered(event.questions)
    if silent and not event.last:
        waiting_for = f"Run Command: {', '.join(silent[:5])} to report"
        return Result(done=False, waiting_for=waiting_for, round=event.round, questions=event.questions)
    try:
        cluster = cluster_check.judge(plan, record, instances, event.questions, others)
    except UnreadableListing as error:  # a node that is just starting prints no table yet
        if event.last:
            asked = event.questions.listing.instances[0]
            raise VerificationFailed(
                f"What Workbench on {asked} printed of its cluster cannot be read: {error}\n"
                f"Look at the node, or replace it: {replacement(asked)}"
            ) from error
        return Result(done=False, waiting_for=str(error)[:500], round=event.round + 1)
    if cluster.verification.verified:
        if event.locked:
            save_verified(event.cluster, event.execution)
        tell_verdict(event.cluster, verified=True)
        return Result(done=True, round=event.round, summary=cluster)
    problems = failing(cluster.verification)
    if cluster.verification.stale and not event.locked:
        return Result(done=False, needs_lock=True, waiting_for="the lock, to delete stale rows", round=event.round + 1)
    if event.last:
        raise VerificationFailed(f"The cluster {event.cluster} is not what its plan says:\n{problems}")
    stale = cluster.verification.stale
    return Result(done=False, waiting_for=unmet(cluster.verification)[:500], round=event.round + 1, stale=stale)


def _ask(event: Event, document: str, instances: list[str]) -> Result:
    token = (event.execution, "verify", str(event.round))
    questions = cluster_check.ask(document, instances, token, event.stale if event.locked else [], event.round)
    if questions:
        return Result(done=False, waiting_for="Run Command: the nodes report", round=event.round, questions=questions)
    if event.last:
        known = ", ".join(instances) or "there is none"
        raise VerificationFailed(
            f"No node of the cluster {event.cluster} answers Systems Manager ({known}). Start a deployment with {{}}."
        )
    waiting_for = "Systems Manager: a node to come online"
    return Result(done=False, waiting_for=waiting_for, round=event.round + 1, stale=event.stale)
