"""Explain failure: turns what went wrong into the text that the execution ends with and that subscribers get."""

from __future__ import annotations

from pydantic import BaseModel

from benchwright.explanation import SAYS_NOTHING_OF_THE_CLUSTER, explain, unwrap
from benchwright.observability import StepEvent, step, tell_verdict


class Event(StepEvent):
    """What the state machine caught, and in which step."""

    step: str
    error: str
    cause: str


class Result(BaseModel):
    """error: the name to fail with. text: the cause to fail with. subject: at most 100 characters, for the
    notification.
    """

    done: bool = True
    error: str
    subject: str
    text: str


@step(Event)
def handler(event: Event) -> Result:
    """Explain."""
    where, _ = unwrap(event.step, event.cause)
    text = explain(event.step, event.error, event.cause, event.execution)
    if event.cluster and event.error not in SAYS_NOTHING_OF_THE_CLUSTER:
        tell_verdict(event.cluster, verified=False, step=where, error=event.error)
    subject = f"Benchwright: {event.cluster or 'cluster'}: {event.error} in {where}"
    return Result(error=event.error, subject=subject[:100], text=text)
