"""Schedules: EventBridge Scheduler starts executions or calls functions, each with the schedule's own input, under its
own role.

What a schedule starts is asked of the account, as deployed. Nothing here waits for the hour: a person orders the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from rehearsal.aws.services import service_metrics

WHENS: Final[dict[str, str]] = {
    "before": "before the first deployment",
    "during": "while the first deployment runs, as soon as that waits for something",
    "after": "when the first deployment has ended; the default",
}

NAMES: Final[dict[str, str]] = {
    "nightly-verify": "verifies every recorded cluster",
    "monthly-rebuild": "builds the image again, and replaces the nodes",
    "heal-nodes": "calls a function, which has a node replaced whose Workbench has not answered for 15 minutes",
}
"""The schedules of template.yaml, without the name of the application."""

GRAMMAR: Final = "\n".join(
    [
        "schedules: --schedule NAME[:WHEN] starts what a schedule of the application starts, as EventBridge Scheduler",
        "would: its own input, its own role; also one that is DISABLED",
        *(f"  {name:<15} {meaning}" for name, meaning in NAMES.items()),
        *(f"  {when:<9} {meaning}" for when, meaning in WHENS.items()),
        "  e.g. --schedule nightly-verify:before --schedule monthly-rebuild",
        "  --state-machine verify without --input starts what its schedule starts, too.",
    ]
)


class ScheduleGrammarError(ValueError):
    """A `--schedule` cannot be understood."""


class NoSuchScheduleError(Exception):
    """The account has no such schedule; the message names those it has."""


class Order(NamedTuple):
    """One ordered start of a schedule."""

    name: str
    when: str

    @classmethod
    def parse(cls, spec: str) -> "Order":
        """Read `NAME[:WHEN]`; raises ScheduleGrammarError with what would have been right."""
        name, colon, when = spec.partition(":")
        if not name:
            raise ScheduleGrammarError(f"--schedule {spec!r} names no schedule, such as nightly-verify")
        if colon and when not in WHENS:
            raise ScheduleGrammarError(f"--schedule {spec!r}: {when!r} is none of {', '.join(WHENS)}")
        if name not in NAMES:
            raise ScheduleGrammarError(f"--schedule {spec!r}: {name!r} is none of {', '.join(NAMES)}")
        return cls(name, when or "after")


@dataclass(frozen=True)
class Schedule:
    """A schedule as it stands in the account; `name` is without the application's, `machine` the ARN of its target: a
    state machine, or a function.
    """

    name: str
    machine: str
    input: str
    role: str
    enabled: bool
    group: str = "default"

    @property
    def caller(self) -> str:
        """Who starts its executions, as calls.jsonl and report.json name it."""
        return f"schedule {self.name}"

    @property
    def calls_a_function(self) -> bool:
        return self.machine.split(":")[2] == "lambda"

    def start(self, client: Callable[..., Any]) -> str:
        """Do once what EventBridge Scheduler does when the time has come; returns the execution's ARN. A function is
        called asynchronously, and there is none
        (https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html).

        `client` is that of LocalAws. A refusal is raised at once: Scheduler would try again for a day
        (https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html), a person wants to know. It
        counts, as each of Scheduler's tries does.
        """
        try:
            return self._start(client)
        except ClientError:
            refused = [("TargetErrorCount", {"ScheduleGroup": self.group}, 1.0)]
            service_metrics.put(client("cloudwatch"), "AWS/Scheduler", refused)
            raise

    def _start(self, client: Callable[..., Any]) -> str:
        if self.calls_a_function:
            functions = client("lambda", self.role, self.caller, attempts=1)
            functions.invoke(FunctionName=self.machine, InvocationType="Event", Payload=self.input)
            return ""
        states = client("stepfunctions", self.role, self.caller, attempts=1)
        return str(states.start_execution(stateMachineArn=self.machine, input=self.input)["executionArn"])


class Schedules:
    """The schedules of one application in one account."""

    def __init__(self, client: Callable[..., Any], application: str) -> None:
        scheduler, prefix = client("scheduler"), f"{application}-"
        pages = scheduler.get_paginator("list_schedules").paginate(NamePrefix=prefix)
        described = [
            scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
            for page in pages
            for listed in page["Schedules"]
        ]
        self._found = [
            Schedule(
                name=schedule["Name"].removeprefix(prefix),
                machine=schedule["Target"]["Arn"],
                input=schedule["Target"]["Input"],
                role=schedule["Target"]["RoleArn"],
                enabled=schedule["State"] == "ENABLED",
                group=schedule["GroupName"],
            )
            for schedule in described
        ]

    def named(self, name: str) -> Schedule:
        """Raises NoSuchScheduleError."""
        return self._only(f"named {name}", lambda schedule: schedule.name == name)

    def starting(self, machine: str) -> Schedule:
        """The one that starts this state machine (an ARN); raises NoSuchScheduleError."""
        return self._only(f"that starts {machine}", lambda schedule: schedule.machine == machine)

    def _only(self, wanted: str, fits: Callable[[Schedule], bool]) -> Schedule:
        fitting = [schedule for schedule in self._found if fits(schedule)]
        if len(fitting) != 1:
            names = ", ".join(sorted(schedule.name for schedule in self._found)) or "none"
            raise NoSuchScheduleError(f"There must be one schedule {wanted}; the account has {names}.")
        return fitting[0]
