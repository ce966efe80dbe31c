"""Explain failure: turns what went wrong into the text that the execution ends with and that subscribers get."""

from __future__ import annotations

import re
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from benchwright.errors import RecordUnreadable
from benchwright.failure.console_links import Failure, evidence
from benchwright.failure.explanation import SAYS_NOTHING_OF_THE_CLUSTER, explain, named, unwrap
from benchwright.observability import report_verdict
from benchwright.planning.unproven import describe
from benchwright.record import read
from benchwright.settings import settings
from benchwright.step import StepEvent, step


class Event(StepEvent):
    """What the state machine caught, and in which step. began: when the execution began."""

    step: str
    error: str
    cause: str
    began: datetime | None = None


class Result(BaseModel):
    """error: the name to fail with. text: the cause to fail with. subject: for the notification, in the characters and
    the length (less than 100) that SNS allows.
    """

    done: bool = True
    error: str
    subject: str
    text: str


@step(Event)
def handler(event: Event) -> Result:
    """Explain."""
    error, (where, message) = named(event.error), unwrap(event.step, event.cause)
    failure = Failure(where, error, message, event.execution, settings().application, event.cluster, began=event.began)
    is_of_cluster = event.cluster and error not in SAYS_NOTHING_OF_THE_CLUSTER
    values = _unproven(event.cluster, event.execution, message) if is_of_cluster else []
    text = explain(event.step, error, event.cause, event.execution, evidence(failure), unproven=values)
    if is_of_cluster:
        report_verdict(event.cluster, verified=False, step=where, error=error)
    subject = f"Benchwright: {event.cluster or 'cluster'}: {error} in {where}"
    return Result(error=error, subject=re.sub(r"[^ -~]", "?", subject)[:99], text=text)


def _unproven(cluster: str, execution: str, message: str) -> list[str]:
    """Say which recorded values may be the cause; what keeps the record from being read must not hide the failure."""
    try:
        return describe(read(cluster), cluster, execution, message)
    except (ClientError, BotoCoreError, RecordUnreadable) as error:
        return [f"The record of the cluster could not be read, which may hold the value that is the cause: {error}"]
