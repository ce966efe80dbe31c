"""The timeline of an execution: one row for each step, however often its loop came back to it."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchwright.report.diagram import branches_of

TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds that the marks of the axis may be apart."""

MOST_TICKS: Final = 7

Visit = Mapping[str, Any]
"""A state of report.json's `states`."""

Lane = tuple[str, int]
"""A branch: the name of the Parallel state, and the number of the branch. All items of a Map share one."""

MAIN: Final = ("", 0)
"""The lane of what stands in no branch."""


@dataclass(frozen=True)
class Stretch:
    """From when to when, in seconds since the execution began."""

    begin: float
    end: float


@dataclass
class Row:
    """A step. `calls` are the times that its task ran, `loops` the stretches of these and of the waits between them;
    `outcome` is how it ended: succeeded, failed, or running when its branch was left. `waits` are (second, sentence) of
    what it waited for.
    """

    name: str
    critical: bool = False
    outcome: str = "succeeded"
    calls: list[Stretch] = field(default_factory=list)
    loops: list[Stretch] = field(default_factory=list)
    waits: list[tuple[float, str]] = field(default_factory=list)

    @property
    def begin(self) -> float:
        return self.loops[0].begin

    @property
    def lasted(self) -> float:
        return sum(loop.end - loop.begin for loop in self.loops)


@dataclass
class Group:
    """A Parallel or Map state: the rows of its branches are lanes side by side in time."""

    name: str
    critical: bool
    lanes: list[list[Row]]


@dataclass(frozen=True)
class Timeline:
    """`seconds` is the length of the axis, `tick` the distance of its marks."""

    seconds: float
    tick: float
    items: list[Row | Group]

    @property
    def marks(self) -> list[float]:
        return [self.tick * number for number in range(int(self.seconds // self.tick) + 1)]

    def share(self, seconds: float) -> float:
        """Percent of the axis."""
        return round(100 * seconds / self.seconds, 3)

    def rows(self) -> Iterator[Row]:
        for item in self.items:
            yield from [item] if isinstance(item, Row) else (row for lane in item.lanes for row in lane)


def timeline(execution: Mapping[str, Any], machine: Mapping[str, Any]) -> Timeline:
    """From an execution of report.json and the definition of its machine."""
    seconds = max(float(execution["makespan_s"]), 0.001)
    tick = next((tick for tick in TICKS if seconds / tick <= MOST_TICKS), TICKS[-1])
    return Timeline(seconds, tick, _Reader(execution, machine).items())


def moment(text: str) -> float:
    """Seconds since the epoch of a time in ISO 8601."""
    return datetime.datetime.fromisoformat(text).timestamp()


class _Reader:
    """Gathers visits into rows, each branch for itself: a Wait belongs to the task before it."""

    def __init__(self, execution: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        self.visits: Sequence[Visit] = execution["states"]
        self.start = moment(execution["started"])
        self.end = float(execution["makespan_s"])
        self.lane_of = _lanes(machine)
        self.rows: dict[Lane, list[Row]] = {lane: [] for lane in (MAIN, *self.lane_of.values())}
        self.current: dict[Lane, Row] = {}
        self.closed: dict[str, float] = {}

    def items(self) -> list[Row | Group]:
        items: list[Row | Group] = []
        for visit in self.visits:
            lane = self.lane_of.get(visit["name"], MAIN)
            if visit["kind"] in ("Parallel", "Map"):
                self.closed[visit["name"]] = self._stretch(visit, self.end).end
                lanes = [rows for (name, _), rows in self.rows.items() if name == visit["name"]]
                items.append(Group(visit["name"], visit["critical"], lanes))
            elif visit["kind"] == "Task" or (visit["kind"] == "Wait" and lane in self.current):
                known = len(self.rows[MAIN])
                self._add(visit, lane)
                items += self.rows[MAIN][known:]
        return items

    def _add(self, visit: Visit, lane: Lane) -> None:
        """Add a visit to the row of its step, which a task begins and a Wait prolongs."""
        stretch = self._stretch(visit, self.closed.get(lane[0], self.end))
        before = self.current.get(lane)
        row = self._row(visit, lane) if visit["kind"] == "Task" else self.current[lane]
        if row is before:
            row.loops[-1] = Stretch(row.loops[-1].begin, stretch.end)
        else:
            row.loops.append(stretch)
        self.current[lane] = row
        row.outcome = "failed" if visit["error"] else "succeeded" if visit["exited"] else "running"
        if visit["kind"] == "Task":
            row.calls.append(stretch)
            if visit["waiting_for"] and (not row.waits or row.waits[-1][1] != visit["waiting_for"]):
                row.waits.append((stretch.end, visit["waiting_for"]))

    def _row(self, visit: Visit, lane: Lane) -> Row:
        """The row of a task, a new one at its first visit."""
        row = next((row for row in self.rows[lane] if row.name == visit["name"]), None)
        if row is None:
            row = Row(visit["name"], critical=visit["critical"])
            self.rows[lane].append(row)
        return row

    def _stretch(self, visit: Visit, end: float) -> Stretch:
        left = moment(visit["exited"]) - self.start if visit["exited"] else end
        return Stretch(max(0.0, moment(visit["entered"]) - self.start), left)


def _lanes(machine: Mapping[str, Any]) -> dict[str, Lane]:
    """Of each state in a branch, its lane."""
    return {
        inner: (name, number)
        for name, state in machine["States"].items()
        for number, branch in enumerate(branches_of(state))
        for inner in branch["States"]
    }
