"""Explain failure: turns what went wrong, or what was verified, into the text that people get."""

import re
from datetime import datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from benchwright.errors import RecordUnreadable
from benchwright.failure.console_links import Failure, evidence
from benchwright.failure.explanation import SAYS_NOTHING_OF_THE_CLUSTER, explain, named, unwrap
from benchwright.observability import report_verdict
from benchwright.planning.unproven import describe
from benchwright.record import read
from benchwright.settings import settings
from benchwright.step import StepResult, step
from benchwright.verification.verdicts import (
    LONGEST_SUBJECT,
    ClusterVerdict,
    Explanation,
    Report,
    reason,
    report_every,
    report_one,
)


class Event(BaseModel):
    """explain: what the state machine caught, and in which step, of a cluster that is empty where the failure is of no
    one cluster; dry_run: whether it changes nothing, so that it says nothing of the cluster either; began: when the
    execution began; warnings: those of the first state. report: how the verification of
    each cluster ended; left_out: those for which the execution had no room; changes: of a deployment, a line for each
    thing that it changed.
    """

    action: Literal["explain", "report"] = "explain"
    execution: str
    cluster: str = ""
    step: str = ""
    error: str = ""
    cause: str = ""
    dry_run: bool = False
    began: datetime | None = None
    warnings: list[str] = []
    every_cluster: bool = False
    verdicts: list[ClusterVerdict] = []
    left_out: list[str] = []
    changes: list[str] | None = None


class Result(Explanation, StepResult):
    """error: the name to fail with. text: the cause to fail with. subject: for the notification, in the characters and
    the length that SNS allows. brief: the reason in a few lines, for a report of several clusters.
    """

    brief: str


@step(Event)
def handler(event: Event) -> Result | Report:
    """Explain a failure, or report on what was verified."""
    if event.action == "explain":
        return _explain(event)
    if event.every_cluster:
        return report_every(event.verdicts, event.left_out, event.execution)
    return report_one(event.verdicts[0], event.execution, event.changes)


def _explain(event: Event) -> Result:
    error, (where, message) = named(event.error), unwrap(event.step, event.cause)
    failure = Failure(where, error, message, event.execution, settings().application, event.cluster, began=event.began)
    is_of_cluster = event.cluster and error not in SAYS_NOTHING_OF_THE_CLUSTER
    values = _unproven(event.cluster, event.execution, message) if is_of_cluster else []
    text = explain(
        event.step,
        error,
        event.cause,
        event.execution,
        evidence(failure),
        unproven=values,
        warnings=event.warnings,
    )
    if is_of_cluster and not event.dry_run:
        report_verdict(event.cluster, verified=False, step=where, error=error)
    subject = f"Benchwright: {event.cluster or _of_no_cluster(where, error)}: {error} in {where}"
    return Result(
        error=error,
        subject=re.sub(r"[^ -~]", "?", subject)[:LONGEST_SUBJECT],
        text=text,
        brief=reason(error, where, message),
    )


def _of_no_cluster(where: str, error: str) -> str:
    """Say what failed before a cluster was known: its input may not even name one."""
    kinds = {"Validate input": "deployment", "Check input": "destroy"}
    return f"{kinds.get(where, 'verification')} {'refused' if error == 'InvalidInput' else 'failed'}"


def _unproven(cluster: str, execution: str, message: str) -> list[str]:
    """Say which recorded values may be the cause; what keeps the record from being read must not hide the failure."""
    try:
        return describe(read(cluster), cluster, execution, message)
    except (ClientError, BotoCoreError, RecordUnreadable) as error:
        return [f"The record of the cluster could not be read, which may hold the value that is the cause: {error}"]
