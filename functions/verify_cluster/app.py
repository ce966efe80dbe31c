"""Verify cluster: asks every node and the cluster itself, judges by the plan, and applies the safe remedies."""

from benchwright.errors import VerificationFailed, printable, shorten
from benchwright.image.retirement import remember
from benchwright.nodes import auto_scaling
from benchwright.nodes.run_command import Command
from benchwright.observability import logger, report_days_of_license, report_verdict
from benchwright.record import confirm_lock, plan_of, read, revision, save_verified
from benchwright.step import LoopEvent, LoopResult, step
from benchwright.verification import rounds, sessions
from benchwright.verification.address import observe, question
from benchwright.verification.checks import failing, unmet
from benchwright.verification.rounds import Cluster, Questions
from benchwright.verification.verdicts import brief
from benchwright.waits import WAITS

OPENING = "Run Command: sessions to open and end"


class Event(LoopEvent):
    """What is known of the rounds so far.

    round: how many times the nodes were asked. locked: whether this execution holds the cluster, so may apply remedies;
    else revision: of the record that was inspected. problems: what was wrong when the nodes were judged last. last:
    whether this is the last look. sessions: how many to open once the cluster is verified; then summary is the cluster,
    and opening the command that opens them.
    """

    round: int = 0
    stale: list[int] = []
    questions: Questions | None = None
    problems: str = ""
    locked: bool = True
    revision: str = ""
    last: bool = False
    sessions: int = 0
    opening: Command | None = None
    summary: Cluster | None = None


class Result(LoopResult):
    """needs_lock: under the lock alone a safe remedy may be applied, and a cluster be judged that someone else began
    to deploy. round, stale, questions and problems go into the next event. brief: the verified cluster in a line, for a
    report of several.
    """

    needs_lock: bool = False
    round: int = 0
    stale: list[int] = []
    questions: Questions | None = None
    problems: str = ""
    opening: Command | None = None
    summary: Cluster | None = None
    brief: str = ""


@step(Event)
def handler(event: Event) -> Result:
    """Ask, wait for the answers, judge; then remedy and ask again, or end."""
    return _look(event).model_copy(update={"wait_seconds": WAITS["Verify cluster"].after(event.wait_seconds)})


def _look(event: Event) -> Result:
    record = confirm_lock(event.cluster, event.execution) if event.locked else read(event.cluster)
    if not event.locked and revision(record) != event.revision:
        waiting_for = "the lock, since a deployment has begun meanwhile"
        return Result(done=False, needs_lock=True, waiting_for=waiting_for, round=event.round)
    plan = plan_of(record, event.cluster)
    if event.opening and event.summary and plan.wanted.acceptance:
        return _spread(event, event.opening, event.summary, plan.wanted.acceptance.account)
    answers = rounds.answers_to(event.questions) if event.questions else []
    silent = rounds.unanswered(answers)
    if silent and not event.last:
        waiting_for = f"Run Command: {', '.join(silent[:5])} to report"
        return Result(
            done=False,
            waiting_for=waiting_for,
            round=event.round,
            questions=event.questions,
            problems=event.problems,
        )
    nodes = rounds.node_outputs(plan)
    group = auto_scaling.describe_group(nodes["AutoScalingGroupName"])
    instances = [node.instance for node in group.nodes if node.state == "InService"]
    others = [node.instance for node in group.nodes if node.state != "InService"]
    if event.questions is None:
        return _ask(event, nodes["DocumentName"], instances, question(observe(plan)))
    cluster = rounds.judge(plan, record, instances, event.questions, answers, others=others, address=observe(plan))
    days_left = cluster.verification.license_terms.days_left
    if days_left is not None and (cluster.verification.verified or event.last):
        report_days_of_license(event.cluster, days_left)
    if cluster.verification.verified:
        if event.locked:
            save_verified(event.cluster, event.execution, record, remember(record.ami, record.verified_images))
        report_verdict(event.cluster, verified=True)
        if event.sessions and plan.wanted.acceptance:
            if event.last:
                raise VerificationFailed(
                    f"The cluster {event.cluster} is what its plan says since the last look alone, so that no time was "
                    "left to open sessions. Start the verification again."
                )
            account, token = plan.wanted.acceptance.account, (event.execution, "verify", str(event.round))
            command = sessions.open_sessions(nodes["DocumentName"], instances, account, event.sessions, token)
            return Result(done=False, waiting_for=OPENING, round=event.round, opening=command, summary=cluster)
        return Result(done=True, round=event.round, summary=cluster, brief=brief(cluster))
    if cluster.verification.stale and not event.locked:
        return Result(done=False, needs_lock=True, waiting_for="the lock, to delete stale rows", round=event.round + 1)
    problems = failing(cluster.verification)
    logger.info("not verified yet", problems=printable(problems))
    if event.last:
        raise _failed(event, problems, event.problems if silent else "")
    return Result(
        done=False,
        waiting_for=unmet(cluster.verification)[:500],
        round=event.round + 1,
        stale=cluster.verification.stale,
        problems=shorten(problems),
    )


def _ask(event: Event, document: str, instances: list[str], load_balancer: str) -> Result:
    """Begin a round; at the last look no one would read the answers."""
    silence = (
        f"- reports: no node answers Systems Manager ({', '.join(instances) or 'there is none'}). Start a deployment "
        "with {}: it replaces a node that never registered, and says how to replace one that stopped reporting."
    )
    if event.last:
        raise _failed(event, event.problems or silence)
    token = (event.execution, "verify", str(event.round))
    stale = event.stale if event.locked else []
    questions = rounds.ask(document, instances, token, stale, event.round, load_balancer=load_balancer)
    if questions:
        waiting_for = "Run Command: the nodes report"
        return Result(
            done=False, waiting_for=waiting_for, round=event.round, questions=questions, problems=event.problems
        )
    waiting_for = "Systems Manager: a node to come online"
    return Result(done=False, waiting_for=waiting_for, round=event.round + 1, stale=event.stale, problems=silence)


def _spread(event: Event, opening: Command, cluster: Cluster, account: str) -> Result:
    """Finish with how the sessions were spread, or wait until that is known."""
    found = sessions.spread(opening, account, {node.instance: node.ipv4 for node in cluster.nodes})
    if found is None and event.last:
        raise VerificationFailed(
            f"The cluster {event.cluster} is what its plan says, but sessions were not opened in time. Those that "
            "were opened are ended. Start the verification again."
        )
    if found is None:
        return Result(done=False, waiting_for=OPENING, round=event.round, opening=opening, summary=cluster)
    verification = sessions.with_warning(cluster.verification, found)
    cluster = cluster.model_copy(update={"sessions": found, "verification": verification})
    return Result(done=True, round=event.round, summary=cluster, brief=brief(cluster))


def _failed(event: Event, problems: str, before: str = "") -> VerificationFailed:
    """The error of a last look. before: what was wrong in the round before it."""
    text = f"The cluster {event.cluster} is not what its plan says:\n{problems}"
    if before not in ("", problems):
        text += f"\nFound in the round before:\n{before}"
    return VerificationFailed(text)
