"""What a picture is made of, in pixels, the origin at the top left: boxes of states, regions and lines."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchwright.report.diagram.graph import State

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """What has a place and a size; `x` and `y` are of the top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Node(Box):
    """A state; `lines` are of its name."""

    state: State
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Region(Box):
    """`guarded` is what an error leads out of; `failure` is the failure path."""

    kind: str


@dataclass(frozen=True)
class Line:
    """An edge: corners, and an arrow at the end. `kind` is `way`, or `error` for one out of a region."""

    points: tuple[Point, ...]
    kind: str = "way"
    label: str = ""


@dataclass(frozen=True)
class Parts:
    """Parts of a picture, in the order in which they were made; `starts` are the dots where scopes begin."""

    nodes: tuple[Node, ...] = ()
    regions: tuple[Region, ...] = ()
    lines: tuple[Line, ...] = ()
    starts: tuple[Point, ...] = ()

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(
            self.nodes + other.nodes,
            self.regions + other.regions,
            self.lines + other.lines,
            self.starts + other.starts,
        )

    def moved(self, dx: float, dy: float) -> "Parts":
        return Parts(
            tuple(replace(node, x=node.x + dx, y=node.y + dy) for node in self.nodes),
            tuple(replace(region, x=region.x + dx, y=region.y + dy) for region in self.regions),
            tuple(replace(line, points=_moved(line.points, dx, dy)) for line in self.lines),
            _moved(self.starts, dx, dy),
        )


@dataclass(frozen=True)
class Picture:
    """Parts, the room that they need, and `axis`, the x of the main path."""

    width: float
    height: float
    axis: float
    parts: Parts

    def moved(self, dx: float, dy: float) -> "Picture":
        return Picture(self.width, self.height, self.axis + dx, self.parts.moved(dx, dy))


def _moved(points: Iterable[Point], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple((x + dx, y + dy) for x, y in points)
