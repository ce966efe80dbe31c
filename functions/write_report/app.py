"""Write report: keeps what an execution did in the bucket, as data and as a page, when it is about to end."""

from datetime import UTC, datetime

from benchwright.report.archive import Addresses, report_of, store
from benchwright.step import StepEvent, StepResult, step


class Event(StepEvent):
    """cluster: the folder of the report. state: the state that calls this. error, cause: what the execution will fail
    with, empty where it succeeds.
    """

    state: str
    error: str = ""
    cause: str = ""


class Result(StepResult):
    """text: what is added to a notification."""

    report: Addresses
    text: str


@step(Event)
def handler(event: Event) -> Result:
    """Write the report of the execution as it is now."""
    report = report_of(event.execution, event.state, event.error, event.cause, datetime.now(UTC))
    written = store(report, event.cluster)
    return Result(report=written, text=written.text)
