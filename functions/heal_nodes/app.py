"""Heal nodes: has Auto Scaling replace a node whose Workbench does not answer. A schedule calls it."""

from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from benchwright import record
from benchwright.aws import client
from benchwright.errors import AwsCallFailed, BenchwrightError
from benchwright.healing.decision import BETWEEN, NOTHING, SILENT, Decision, decide, find_silent
from benchwright.healing.messages import Message, none_answers, replaced
from benchwright.healing.probes import reported
from benchwright.nodes.auto_scaling import describe_group
from benchwright.nodes.replacement import RUNNING_REFRESH, newest_refresh
from benchwright.observability import logger
from benchwright.settings import settings
from benchwright.step import StepResult, step


class Event(BaseModel):
    """What the schedule gives: nothing. Every recorded cluster is looked at."""


class Result(StepResult):
    """replaced: by cluster the node that Auto Scaling was asked to replace."""

    replaced: dict[str, str] = {}


@step(Event)
def handler(event: Event) -> Result:
    """Heal each cluster by itself; raises AwsCallFailed that names those that could not be looked at."""
    result, problems = Result(), []
    for cluster in record.names():
        try:
            decision = _heal(cluster)
        except (ClientError, BotoCoreError, BenchwrightError) as error:
            problems.append(f"{cluster}: {error}")
            continue
        if decision.action == "replace":
            result.replaced[cluster] = decision.instance
    if problems:
        raise AwsCallFailed("Not every cluster could be healed:\n" + "\n".join(problems))
    return result


def _heal(cluster: str) -> Decision:
    group = describe_group(settings().group_name(cluster))
    serving = [node.instance for node in group.nodes if node.state == "InService"]
    answers = reported(cluster, serving, SILENT + BETWEEN, datetime.now(UTC))
    if not find_silent(answers):
        return NOTHING
    refresh = newest_refresh(group.name)
    found = record.read(cluster)  # last: an execution may have begun meanwhile
    holder = found.holder if record.is_locked(found) else ""
    decision = decide(
        group, answers, holder=holder, refreshes=refresh is not None and refresh.status in RUNNING_REFRESH
    )
    logger.warning(
        "Workbench does not answer",
        cluster=cluster,
        action=decision.action,
        silent=decision.silent,
        reason=decision.why,
    )
    if decision.action == "replace":
        client("autoscaling").set_instance_health(
            InstanceId=decision.instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=True
        )
        _notify(replaced(cluster, decision, [each for each in serving if each not in decision.silent]))
    elif decision.report:
        _notify(none_answers(cluster, decision))
    return decision


def _notify(message: Message) -> None:
    client("sns").publish(TopicArn=settings().topic_arn, Subject=message.subject, Message=message.text)
