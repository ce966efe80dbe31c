"""The timeline of an execution: one row for each step, however often its loop came back to it."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds that the marks of the axis may be apart."""

MOST_TICKS: Final = 7

Visit = Mapping[str, Any]
"""A state of report.json's `states`."""


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
    """A Parallel state: the rows of its branches are lanes side by side in time."""

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
        self.start = moment(execution["started"]) if self.visits else 0.0
        self.end = float(execution["makespan_s"])
        self.lane_of = _lanes(machine)

    def items(self) -> list[Row | Group]:
        items: list[Row | Group] = []
        lanes: dict[tuple[str, int], list[Row]] = {}
        current: dict[tuple[str, int], Row] = {}
        closes = self.end
        for visit in self.visits:
            lane = self.lane_of.get(visit["name"], ("", 0))
            if visit["kind"] in ("Parallel", "Map"):
                closes = self._stretch(visit, self.end).end
                group = Group(visit["name"], visit["critical"], [])
                items.append(group)
                for key in sorted({key for key in self.lane_of.values() if key[0] == visit["name"]}):
                    group.lanes.append(lanes.setdefault(key, []))
            elif visit["kind"] in ("Task", "Wait"):
                stretch = self._stretch(visit, closes if lane[0] else self.end)
                rows = lanes.setdefault(lane, [])
                row = current.get(lane)
                if visit["kind"] == "Task" or row is None:
                    again = next((each for each in rows if each.name == visit["name"]), None)
                    if again is None:
                        again = Row(visit["name"], critical=visit["critical"])
                        rows.append(again)
                        if not lane[0]:
                            items.append(again)
                    if again is not row:
                        again.loops.append(stretch)
                    row = current[lane] = again
                self._add(row, visit, stretch)
        return items

    def _add(self, row: Row, visit: Visit, stretch: Stretch) -> None:
        row.loops[-1] = Stretch(row.loops[-1].begin, max(row.loops[-1].end, stretch.end))
        row.outcome = "failed" if visit["error"] else "succeeded" if visit["exited"] else "running"
        if visit["kind"] == "Task":
            row.calls.append(stretch)
            if visit["waiting_for"] and (not row.waits or row.waits[-1][1] != visit["waiting_for"]):
                row.waits.append((stretch.end, visit["waiting_for"]))

    def _stretch(self, visit: Visit, end: float) -> Stretch:
        left = moment(visit["exited"]) - self.start if visit["exited"] else end
        return Stretch(max(0.0, moment(visit["entered"]) - self.start), left)


def _lanes(machine: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Of each state in a branch: the Parallel state and the number of the branch."""
    return {
        inner: (name, number)
        for name, state in machine["States"].items()
        for number, branch in enumerate(state.get("Branches", ()))
        for inner in branch["States"]
    }
