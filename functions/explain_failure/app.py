"""Explain failure: turns what went wrong into the text that the execution ends with and that subscribers get."""

from __future__ import annotations

from pydantic import BaseModel

from benchwright.explanation import explain, unwrap
from benchwright.observability import StepEvent, step


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
    subject = f"Benchwright: {event.cluster or 'cluster'}: {event.error} in {where}"
    return Result(error=event.error, subject=subject[:100], text=text)
