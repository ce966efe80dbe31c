"""Where reports are: below `reports/` in the application's bucket, as report.json and report.html."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from benchwright import bucket
from benchwright.aws import client
from benchwright.errors import TransientError
from benchwright.failure.console_links import link_of_object
from benchwright.report import history, page
from benchwright.report.diagram import outline
from benchwright.report.execution import Execution
from benchwright.report.history import Event
from benchwright.settings import settings

NO_CLUSTER = "no_cluster"  # the folder of an execution that ended before a cluster was known: no cluster has this name
PAGE_EVENTS = 250  # of up to 1,000: with what states carry, a page must fit into memory


class Addresses(BaseModel):
    """Where a report is. page, data: s3:// addresses. console: of the page, empty where no one knows the console."""

    page: str
    data: str
    console: str

    @property
    def text(self) -> str:
        """What a notification and the cause of a failure end with."""
        return "\n".join(["\n\nReport:", *([f"- {self.console}"] if self.console else []), f"- {self.page}"])


def report_of(execution: str, state: str, error: str, cause: str, now: datetime) -> dict[str, Any]:
    """Return what report.json holds of an execution that is in its state `state` and about to end.

    error, cause: what it will fail with, empty where it succeeds; then its output is what the state got. It is not
    among the arguments, since both would have to fit into the 256 KiB of a state.

    Raises TransientError as long as the history, which is eventually consistent, does not show the state.
    """
    states = client("stepfunctions")
    read = history.read(_events(execution))
    before = read.before(state)
    if before is None:
        raise TransientError(f"GetExecutionHistory does not show the state {state!r} of {execution} yet.")
    ended = (
        {"status": "FAILED", "error": error, "cause": cause}
        if error
        else {"status": "SUCCEEDED", "output": read.entered}
    )
    machine = states.describe_state_machine_for_execution(executionArn=execution)
    ran = Execution.read(_kind(execution), states.describe_execution(executionArn=execution) | ended, before, {})
    ran.lambda_invocations = {_logical(name): count for name, count in ran.lambda_invocations.items()}
    return {
        "benchwright": settings().version,
        "execution_arn": execution,
        "written": now.isoformat(timespec="seconds"),
        "execution": asdict(ran),
        "machine": outline(json.loads(machine["definition"])),
    }


def store(report: Mapping[str, Any], cluster: str) -> Addresses:
    """Write report.json and report.html into the bucket, and say where they are."""
    execution = report["execution_arn"]
    folder = f"reports/{cluster or NO_CLUSTER}/{_kind(execution)}/{execution.rpartition(':')[2]}"
    content = json.dumps(report, ensure_ascii=False, indent=1)
    bucket.write(f"{folder}/report.json", content.encode(), content_type="application/json")
    bucket.write(f"{folder}/report.html", page.html(report).encode(), content_type="text/html; charset=utf-8")
    name = settings().bucket_name
    return Addresses(
        page=f"s3://{name}/{folder}/report.html",
        data=f"s3://{name}/{folder}/report.json",
        console=link_of_object(execution, name, f"{folder}/report.html"),
    )


def _events(execution: str) -> Iterator[Event]:
    pages = client("stepfunctions").get_paginator("get_execution_history")
    for each in pages.paginate(executionArn=execution, PaginationConfig={"PageSize": PAGE_EVENTS}):
        yield from each["events"]


def _kind(execution: str) -> str:
    """Return the name of its state machine within the application: deploy, verify, destroy."""
    return execution.split(":")[6].removeprefix(f"{settings().application}-")


def _logical(function: str) -> str:
    """Return the logical id of a function that CloudFormation named, as in benchwright-BuildImage-0A1B2C3D4E5F."""
    return function.removeprefix(f"{settings().application}-").partition("-")[0]
