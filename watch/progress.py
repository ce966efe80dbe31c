"""What a person watches: the steps of an execution, the time that passed, and what each step waits for."""

import contextlib
import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from benchwright.report.history import Event, clock_face, waiting_for

BAR: Final = 20
"""Columns of the bar of a step."""


@dataclass
class Step:
    """A Task state that was begun; a loop that comes back to it is the same step."""

    name: str
    began: float
    waiting_for: str = ""
    said: set[str] = field(default_factory=set)
    """What it has waited for so far: a step that tries again comes back to the same sentences."""
    calls: int = 1


@dataclass
class Steps:
    """The steps under way, read from the history as it grows. Knows nothing of terminals.

    Between two visits of its Task a step lives on in Choice and Wait states, so each event belongs to the step of the
    event before it.
    """

    start: float = 0.0
    under_way: dict[str, Step] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)
    """Seconds that each step took which has ended and had to wait: one that had nothing to do takes none."""
    _step_of: dict[int, str] = field(default_factory=dict)

    def read(self, events: Iterable[Event]) -> Iterator[tuple[float, str]]:
        """Take in new events; yields (AWS second, sentence) for each thing worth a line."""
        for event in events:
            yield from self._read(event)

    def _read(self, event: Event) -> Iterator[tuple[float, str]]:
        now, kind = _seconds(event), event["type"]
        if kind == "ExecutionStarted":
            self.start = now
        second = now - self.start
        before = self._step_of.get(event["previousEventId"], "")
        self._step_of[event["id"]] = before
        if kind == "TaskStateEntered":
            name = event["stateEnteredEventDetails"]["name"]
            self._step_of[event["id"]] = name
            if before != name:
                self._end(before, second)
            if name in self.under_way:
                self.under_way[name].calls += 1
            else:
                self.under_way[name] = Step(name, second)
                yield second, name
        elif kind == "TaskSucceeded" and before in self.under_way:
            sentence = waiting_for(event["taskSucceededEventDetails"].get("output"))
            step = self.under_way[before]
            if sentence and sentence not in step.said:
                step.said.add(sentence)
                yield second, f"{before}: waits for {sentence}"
            step.waiting_for = sentence
        elif kind == "TaskFailed" and before in self.under_way:
            yield second, f"{before}: {event['taskFailedEventDetails'].get('error', 'failed')}"
        elif kind in (
            "ParallelStateExited",
            "MapStateExited",
            "ExecutionSucceeded",
            "ExecutionFailed",
            "ExecutionAborted",
        ):
            for name in list(self.under_way):
                self._end(name, second)

    def _end(self, name: str, second: float) -> None:
        step = self.under_way.pop(name, None)
        if step and step.said:
            self.waited[name] = second - step.began


class Progress:
    """Shows work on a terminal as living lines; elsewhere as one plain line for each change.

    A line that stays is never folded or filled with blanks: it may be pasted, or searched in a file.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextlib.contextmanager
    def work(self, sentence: str) -> Iterator[None]:
        """A spinner beside the sentence as long as the work lasts."""
        if self.console.is_terminal:
            with self.console.status(sentence):
                yield
        else:
            self.console.print(sentence, highlight=False, soft_wrap=True)
            yield

    @contextlib.contextmanager
    def execution(
        self, title: str, by: str = "", *, unit: str = "", expected: Mapping[str, float] | None = None
    ) -> Iterator["Watched"]:
        """The display of one execution, and who started it: give its events to what this yields.

        unit: what the elapsed time is of. expected: seconds that a step takes which has to wait, by its name.
        """
        self.console.print(Text.assemble((title, "bold"), f"  {by}" if by else ""), soft_wrap=True)
        watched = Watched(self.console, unit, expected or {})
        if not self.console.is_terminal:
            yield watched
            return
        with Live(watched, console=self.console, refresh_per_second=8, transient=True):
            yield watched


class Watched:
    """An execution on display."""

    def __init__(self, console: Console, unit: str = "", expected: Mapping[str, float] | None = None) -> None:
        self.console = console
        self.steps = Steps()
        self.now = 0.0
        self.notice = ""
        """A sentence above the steps, such as that the connection is lost."""
        self._unit = f" {unit}" if unit else ""
        self._expected = expected or {}
        self._spinner = Spinner("dots")

    def read(self, events: Iterable[Event], now: float) -> None:
        """Take in new events; `now` is the time of AWS in seconds since the epoch."""
        for second, sentence in self.steps.read(events):
            step, colon, rest = sentence.partition(": ")
            if self.console.is_terminal and rest.startswith("waits for"):
                continue  # the living line shows it
            line = Text.assemble((f"  {clock_face(second)}  ", "dim"), step, (f"{colon}{rest}", "dim"))
            self.console.print(line, soft_wrap=True)
        self.now = now

    def say(self, sentence: str) -> None:
        """A line of something that happens beside the execution."""
        self.console.print(Text(f"         {sentence}"), soft_wrap=True)

    def __rich__(self) -> Group | Text:
        elapsed = max(0.0, self.now - self.steps.start) if self.steps.start else 0.0
        table = Table.grid(padding=(0, 1))
        for step in list(self.steps.under_way.values()):
            table.add_row(self._spinner, Text(step.name, style="cyan"), *self._progress(step, elapsed - step.began))
        head = Text.assemble((f"  {clock_face(elapsed)}{self._unit}", "bold"), (f"  {self.notice}", "yellow"))
        return Group(head, table)

    def _progress(self, step: Step, seconds: float) -> tuple[Text, ProgressBar | str, str]:
        """Of one step: its time, how far that is if it is known how long it takes, and what it waits for."""
        time, usual = clock_face(seconds), self._expected.get(step.name) if step.said else None
        look = f" (look {step.calls})" if step.calls > 1 else ""
        sentence = f"waits for {step.waiting_for}{look}" if step.waiting_for else ""
        if not usual:
            return Text(time, style="dim"), "", sentence
        bar = ProgressBar(total=usual, completed=min(seconds, usual), width=BAR)
        return Text(f"{time} of about {clock_face(usual).strip()}", style="dim"), bar, sentence


def _seconds(event: Event) -> float:
    moment = event["timestamp"]
    return (datetime.datetime.fromisoformat(moment) if isinstance(moment, str) else moment).timestamp()
