"""Where everything of a picture stands. Parallel states hold the pictures of their branches, so layout is recursive."""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchwright.report.diagram.geometry import Line, Node, Parts, Picture, Point, Region
from benchwright.report.diagram.graph import Edge, Scope, State
from benchwright.report.diagram.placement import Cell, place

CHARACTER: Final = 6.7
"""Width of a character of a state's name; no font is measured, so boxes have room for a wide one."""

LINE: Final = 16.0
ROW_GAP: Final = 26.0
COLUMN_GAP: Final = 32.0
PADDING: Final = 12.0

HEADER: Final = 34.0
"""Height of the name of a Parallel state, above its branches."""

START: Final = 24.0
"""Height of the dot where a scope begins, and of its arrow to the first state."""


@dataclass(frozen=True)
class Widths:
    """Of states on the main path and beside it."""

    spine: float
    side: float


MACHINE: Final = Widths(spine=180, side=128)
BRANCH: Final = Widths(spine=136, side=116)
FAILURE: Final = Widths(spine=132, side=116)


def layout(machine: Scope) -> Picture:
    """The picture of a machine: the failure path stands apart on the right, its end level with the end of the rest."""
    path = _Path(machine, MACHINE).picture().moved(PADDING, PADDING)
    guarded = Region(0, 0, path.width + 2 * PADDING, path.height + 2 * PADDING, "guarded")
    if machine.failure is None:
        return Picture(guarded.width, guarded.height, path.axis, path.parts)
    failure = _Path(machine.failure, FAILURE, started=False).picture()
    left = guarded.right + 2 * PADDING
    width, height = failure.width + 2 * PADDING, failure.height + 2 * PADDING
    panel = Region(left, max(START + LINE, guarded.bottom - height), width, height, "failure")
    failure = failure.moved(panel.x + PADDING, panel.y + PADDING)
    level = panel.y - ROW_GAP - LINE / 2
    ways = ((guarded.right, level), (failure.axis, level), (failure.axis, failure.parts.nodes[0].y))
    error = Parts(regions=(guarded, panel), lines=(Line(ways, "error", "on any error"),))
    return Picture(panel.right, max(guarded.bottom, panel.bottom), path.axis, path.parts + failure.parts + error)


def parallel(state: State) -> Picture:
    """The branches of a Parallel state side by side below its name, their ends level with each other."""
    end = max(_Path(branch, BRANCH).end() for branch in state.branches)
    parts, left, height = Parts(), 1.5 * PADDING, 0.0
    for branch in state.branches:
        picture = _branch(branch, end)
        parts += picture.parts.moved(left, HEADER)
        left += picture.width + 2 * PADDING
        height = max(height, picture.height)
    width = left - PADDING / 2
    return Picture(width, HEADER + height + PADDING, width / 2, parts)


def _branch(branch: Scope, end: float) -> Picture:
    """The picture of a branch whose last state is at `end`; its failure path stands beside that, below the rest."""
    path = _Path(branch, BRANCH).picture(end)
    if branch.failure is None:
        return path
    last = next(node for node in path.parts.nodes if node.state.name == branch.spine[-1])
    failure = _Path(branch.failure, Widths(BRANCH.side, BRANCH.side), started=False).picture()
    failure = failure.moved(last.right + COLUMN_GAP, last.centre[1] - failure.parts.nodes[0].height / 2)
    width = max(path.width, last.right + COLUMN_GAP + failure.width)
    bottom = last.y - 0.6 * ROW_GAP
    guarded = Region(-PADDING / 2, 0, width + PADDING, bottom, "guarded")
    error = Line(((failure.axis, bottom), (failure.axis, failure.parts.nodes[0].y)), "error")
    parts = path.parts + failure.parts + Parts(regions=(guarded,), lines=(error,))
    return Picture(width, max(node.bottom for node in parts.nodes), path.axis, parts)


@dataclass
class _Path:
    """The normal path of a scope on its grid."""

    scope: Scope
    widths: Widths
    started: bool = True
    cells: dict[str, Cell] = field(init=False)
    inner: dict[str, Picture] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = place(self.scope)
        self.inner = {name: parallel(state) for name, state in self.scope.states.items() if state.branches}

    def end(self) -> float:
        """The y of the middle of the last state of the main path."""
        return self._nodes()[self.scope.spine[-1]].centre[1]

    def picture(self, end: float = 0) -> Picture:
        """With the last row so far down that its middle is at `end`, at least."""
        nodes = self._nodes(end)
        first = nodes[self.scope.spine[0]]
        parts = Parts(tuple(nodes.values()), lines=tuple(self._line(edge, nodes) for edge in self.scope.edges))
        if self.started:
            dot = (first.centre[0], first.y - START + 5)
            parts += Parts(lines=(Line((dot, (dot[0], first.y))),), starts=(dot,))
        for name, picture in self.inner.items():
            parts += picture.parts.moved(nodes[name].x, nodes[name].y)
        across = [x for line in parts.lines for x, _ in line.points]
        left = min([*across, *(node.x for node in parts.nodes)])
        right = max([*across, *(node.right for node in parts.nodes)])
        height = max(node.bottom for node in parts.nodes)
        return Picture(right - left, height, -left, parts.moved(-left, 0))

    def _nodes(self, end: float = 0) -> dict[str, Node]:
        """The boxes of the states, the middle of the main path at 0."""
        sizes = {name: self._size(state) for name, state in self.scope.states.items()}
        rows = range(max(row for _, row in self.cells.values()) + 1)
        heights = [max(sizes[name][1] for name, (_, at) in self.cells.items() if at == row) for row in rows]
        tops, y = [], START if self.started else 0.0
        for row in rows:
            tops.append(y)
            y += heights[row] + ROW_GAP
        if self.scope.failure and self.widths == BRANCH:
            tops[-1] += ROW_GAP / 2  # the border of what is guarded runs between
        tops[-1] = max(tops[-1], end - heights[-1] / 2)
        nodes = {}
        for name, (column, row) in self.cells.items():
            (width, height), state = sizes[name], self.scope.states[name]
            top = tops[row] + (heights[row] - height) / 2
            nodes[name] = Node(self._middle(column) - width / 2, top, width, height, state, _lines(state, width))
        return nodes

    def _size(self, state: State) -> tuple[float, float]:
        if state.name in self.inner:
            return self.inner[state.name].width, self.inner[state.name].height
        width = self.widths.side if self.cells[state.name][0] else self.widths.spine
        return width, 20 + LINE * len(_lines(state, width))

    def _middle(self, column: int) -> float:
        """The x of the middle of a column; beside the main path there is room for the answers of its Choices."""
        if column == 0:
            return 0.0
        sign = math.copysign(1, column)
        labels = [
            len(edge.label)
            for edge in self.scope.edges
            if self.cells[edge.source][0] == 0 and self.cells[edge.target][0] * sign > 0
        ]
        gap = max(COLUMN_GAP, 6.5 * max(labels, default=0) + 18)
        first = self.widths.spine / 2 + gap + self.widths.side / 2
        return sign * (first + (abs(column) - 1) * (self.widths.side + COLUMN_GAP))

    def _line(self, edge: Edge, nodes: Mapping[str, Node]) -> Line:
        """Along the row, along the column, or with one corner; past states of the same column by a lane beside it."""
        source, target = nodes[edge.source], nodes[edge.target]
        (column, row), (to_column, to_row) = self.cells[edge.source], self.cells[edge.target]
        (x, y), (to_x, to_y) = source.centre, target.centre
        leave, reach = (source.bottom, target.y) if to_row > row else (source.y, target.bottom)
        points: tuple[Point, ...]
        if row == to_row:
            points = ((source.right, y), (target.x, y)) if to_column > column else ((source.x, y), (target.right, y))
        elif column == to_column and not self._between(column, row, to_row):
            points = ((x, leave), (to_x, reach))
        elif column == to_column:
            lane = max(source.right, target.right) + COLUMN_GAP / 2
            points = ((source.right, y), (lane, y), (lane, to_y), (target.right, to_y))
        elif column == 0:
            points = ((source.right if to_column > 0 else source.x, y), (to_x, y), (to_x, reach))
        else:
            points = ((x, leave), (x, to_y), (target.right if column > to_column else target.x, to_y))
        return Line(points, label=edge.label)

    def _between(self, column: int, row: int, other: int) -> bool:
        """Whether another state stands in the column between two rows."""
        low, high = sorted((row, other))
        return any(at == column and low < each < high for at, each in self.cells.values())


def _lines(state: State, width: float) -> tuple[str, ...]:
    """The name of a state on as few lines as its box allows, of about the same length."""
    room = int((width - (46 if state.kind in ("Wait", "Succeed", "Fail") else 18)) / CHARACTER)
    if state.branches or len(state.name) <= room:
        return (state.name,)
    wrapped = [textwrap.wrap(state.name, narrow, break_long_words=False) for narrow in range(room, 0, -1)]
    return tuple([lines for lines in wrapped if len(lines) == len(wrapped[0])][-1])
