"""Executions of a real account, as the Step Functions API reports them.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html
"""

import json
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import boto3
from botocore.config import Config

from benchwright.report.history import Event
from watch.progress import Steps

CONFIG: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
PAGE: Final = 100
"""Events of a page: what is new since the last look fits into one."""

KINDS: Final = ("deploy", "verify", "destroy")
"""The application's state machines, as template.yaml names them: `<application>-<kind>`."""

DEFAULT_CLUSTER: Final = "workbench"
"""The cluster of an input that names none (benchwright/models.py)."""

KINDS_OF_WORK: Final = ("delete_data", "dry_run", "sessions")
"""Keys with which an execution does something else, and takes another time, than one of the same cluster without."""

EARLIER: Final = 5
"""So many earlier executions say how long a step takes."""
LOOKED_AT: Final = 20
"""Among so many that succeeded last: each look is a call, and other clusters' are of no use."""

ARN: Final = re.compile(r"arn:aws[a-z-]*:states:(?P<region>[a-z0-9-]+):\d{12}:execution:[^:\s]+:[^:\s]+")


class NoExecutionError(Exception):
    """There is nothing to watch; the message says why and what to do."""


def client(region: str | None = None) -> Any:
    """A client with the credentials that are there now: a new sign-in counts at once."""
    return boto3.session.Session(region_name=region).client("stepfunctions", config=CONFIG)


def region_of(arn: str) -> str:
    """Raises NoExecutionError where it is no ARN of an execution."""
    match = ARN.fullmatch(arn)
    if match is None:
        raise NoExecutionError(
            f"EXECUTION={arn} is not the ARN of an execution, such as "
            "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy:NAME. Without EXECUTION, the newest "
            "one is shown."
        )
    return match["region"]


def newest(states: Any, application: str) -> str:
    """The ARN of the execution that was started last. Raises NoExecutionError where there is none."""
    names = {f"{application}-{kind}" for kind in KINDS}
    pages = states.get_paginator("list_state_machines").paginate()
    machines = [each["stateMachineArn"] for page in pages for each in page["stateMachines"] if each["name"] in names]
    region = states.meta.region_name
    if not machines:
        raise NoExecutionError(
            f"{region} has no application {application}: no state machine is called {' or '.join(sorted(names))}. "
            "Give APPLICATION= the name of its stack, or AWS_REGION= its region."
        )
    started = [
        execution
        for machine in machines
        for execution in states.list_executions(stateMachineArn=machine, maxResults=1)["executions"]
    ]
    if not started:
        raise NoExecutionError(f"No execution of {application} was started in {region} yet.")
    return str(max(started, key=lambda execution: execution["startDate"])["executionArn"])


class History:
    """The events of an execution, read as they come."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._last = 0

    def news(self, states: Any) -> list[Event]:
        """The events since the last call that returned, in their order. A call that raises has read nothing."""
        new: list[Event] = []
        for event in self._backwards(states):
            if event["id"] <= self._last:
                break
            if not new or event["id"] < new[-1]["id"]:  # a page may begin with what the one before has shown
                new.append(event)
        if new:
            self._last = new[0]["id"]
        return new[::-1]

    def _backwards(self, states: Any) -> Iterator[Event]:
        paginator = states.get_paginator("get_execution_history")
        for page in paginator.paginate(
            executionArn=self._arn, reverseOrder=True, includeExecutionData=True, PaginationConfig={"PageSize": PAGE}
        ):
            yield from page["events"]


def purpose(given: str | None) -> tuple[str, ...]:
    """The cluster that an input is about, empty where that cannot be read, and those of KINDS_OF_WORK that it has."""
    try:
        content = json.loads(given or "{}")
        return str(content.get("cluster") or DEFAULT_CLUSTER), *(key for key in KINDS_OF_WORK if content.get(key))
    except (ValueError, AttributeError):
        return ("",)


def earlier(states: Any, described: Mapping[str, Any]) -> tuple[dict[str, float], list[float]]:
    """How long the steps took that had to wait, by name, and how long whole executions took, in seconds: medians and
    values of the last few of the same state machine and purpose that succeeded.
    """
    wanted, waited, durations = purpose(described.get("input")), list[dict[str, float]](), list[float]()
    succeeded = states.list_executions(
        stateMachineArn=described["stateMachineArn"], statusFilter="SUCCEEDED", maxResults=LOOKED_AT
    )["executions"]
    for execution in succeeded:
        arn = execution["executionArn"]
        if arn == described["executionArn"] or len(waited) == EARLIER:
            continue
        if purpose(states.describe_execution(executionArn=arn).get("input")) != wanted:
            continue
        steps = Steps()
        list(steps.read(History(arn).news(states)))
        waited.append(steps.waited)
        durations.append((execution["stopDate"] - execution["startDate"]).total_seconds())
    names = {name for each in waited for name in each}
    return {name: statistics.median(each[name] for each in waited if name in each) for name in names}, durations


class Now:
    """AWS's time: the clock of this machine may be wrong, and that of `make serve` runs faster."""

    def __init__(self) -> None:
        self._latest, self._seen = 0.0, 0.0

    def __call__(self, response: Mapping[str, Any], events: Sequence[Event]) -> float:
        """Seconds since the epoch: those of the response's header Date, and no earlier than the newest event."""
        if events:
            self._latest, self._seen = events[-1]["timestamp"].timestamp(), time.monotonic()
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
        at = parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(at, self._latest + time.monotonic() - self._seen)
