"""What a rehearsal starts, one execution after another, as its options order it."""

import argparse
import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from rehearsal.application import Application
from rehearsal.aws.services.schedules import Schedule, Schedules


@dataclass(frozen=True)
class Start:
    """One execution to start: its machine (an ARN), its input as text, and the schedule that starts it, if one does;
    or the function that a schedule calls.

    `during` are started while it runs. Faults happen only in what a person `ordered`.
    """

    machine: str
    input: str
    schedule: Schedule | None = None
    ordered: bool = True
    during: tuple["Start", ...] = ()

    @classmethod
    def of(cls, schedule: Schedule) -> "Start":
        return cls(schedule.machine, schedule.input, schedule, ordered=False)

    @property
    def by(self) -> str:
        """Who starts it, for people; nothing where it is they."""
        if self.schedule is None:
            return ""
        disabled = "" if self.schedule.enabled else ", which is disabled"
        return f"{self.schedule.name}, by its schedule{disabled}"


def in_order(wanted: argparse.Namespace, installed: Application, schedules: Schedules) -> list[Start]:
    """What to start one after another, and during one another; raises NoSuchScheduleError."""

    def by_schedules(when: str) -> list[Start]:
        return [Start.of(schedules.named(order.name)) for order in wanted.schedule if order.when == when]

    def start(kind: str, content: Any) -> Start:
        return Start(installed.machine(kind), json.dumps(content))

    starts: list[Start] = []
    deployments = [start(kind, content) for kind, content in wanted.then]
    machine = installed.machine(wanted.state_machine)
    if wanted.state_machine == "deploy":
        deployments.insert(0, start("deploy", {} if wanted.input is None else wanted.input))
    elif wanted.input is None:
        starts.append(dataclasses.replace(Start.of(schedules.starting(machine)), ordered=True))
    else:
        starts.append(Start(machine, json.dumps(wanted.input)))
    if deployments:
        first = dataclasses.replace(deployments[0], during=tuple(by_schedules("during")))
        deployments[:1] = [*by_schedules("before"), first, *by_schedules("after")]
    return starts + deployments
