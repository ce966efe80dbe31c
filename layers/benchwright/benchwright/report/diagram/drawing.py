"""The picture of a state machine as SVG: readable on a light and on a dark page, by itself or within an HTML page.

Kinds of states differ by their shape; colours only help. Nothing depends on the machine that makes it, so a picture can
be kept in the repository and compared.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from xml.sax.saxutils import escape, quoteattr

from benchwright.report.diagram.geometry import Box, Line, Node, Point, Region
from benchwright.report.diagram.graph import Scope, scope
from benchwright.report.diagram.layout import layout

Visit = Literal["succeeded", "failed", "running"]

MARGIN: Final = 16.0
POINT: Final = 14.0
"""How far the ends of a Choice's hexagon taper."""

STYLE: Final = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")

MARKS: Final[Mapping[Visit, str]] = {
    "succeeded": "M-3.2 .2l2.3 2.4 4.1-5",
    "failed": "M-2.8-2.8l5.6 5.6M2.8-2.8l-5.6 5.6",
    "running": "M-3.4 0h.1M0 0h.1M3.4 0h.1",
}
"""Within a circle of radius 8 around the origin."""


def svg(definition: Mapping[str, Any], name: str, visited: Mapping[str, Visit] | None = None) -> str:
    """The picture of a machine's definition in Amazon States Language (JSONata), of about 800 px width.

    With `visited` the states are coloured by how their last visit ended; a state that it does not name was not visited.
    """
    machine = scope(definition)
    picture = layout(machine).moved(MARGIN, MARGIN)
    parts = picture.parts
    width, height = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    kind = "machine" if visited is None else "machine visited"
    title = f"State machine {name}"
    size = f'width="{_number(width)}" height="{_number(height)}" viewBox="0 0 {_number(width)} {_number(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="{kind}" aria-label={quoteattr(title)} {size}>',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_read_aloud(machine))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{_number(width - 1)}" height="{_number(height - 1)}" rx="8"/>',
        *(_region(region) for region in parts.regions if region.kind == "failure"),
        *(_node(node, visited) for node in parts.nodes if node.state.branches),
        *(_region(region) for region in parts.regions if region.kind == "guarded"),
        *(_line(line) for line in parts.lines),
        *(f'<circle class="start" cx="{_number(x)}" cy="{_number(y)}" r="5"/>' for x, y in parts.starts),
        *(_node(node, visited) for node in parts.nodes if not node.state.branches),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _read_aloud(machine: Scope) -> str:
    """The main path, and the failure path, as a sentence each."""
    sentences = [f"The main path: {', '.join(machine.spine)}."]
    for state in machine.states.values():
        for number, branch in enumerate(state.branches, 1):
            sentences.append(f"Branch {number} of {state.name}: {', '.join(branch.spine)}.")
    if machine.failure:
        sentences.append(f"On any error: {', '.join(machine.failure.spine)}.")
    return " ".join(sentences)


def _region(region: Region) -> str:
    return f'<rect class="{region.kind}" {_place(region)} rx="10"/>'


def _node(node: Node, visited: Mapping[str, Visit] | None) -> str:
    kind = "parallel" if node.state.branches else node.state.kind.lower()
    visit = "" if visited is None else visited.get(node.state.name, "never")
    tip = f"{node.state.name}: {node.state.comment}" if node.state.comment else node.state.name
    return "".join(
        (
            f'<g class="{" ".join(filter(None, ("state", kind, visit)))}">',
            f"<title>{escape(tip)}</title>",
            _shape(node),
            _text(node),
            _badge(node, visited[node.state.name]) if visited and node.state.name in visited else "",
            "</g>",
        )
    )


def _shape(node: Node) -> str:
    """The outline of a state, and what its kind carries beside the name."""
    x, y, right, bottom, middle = node.x, node.y, node.right, node.bottom, node.centre[1]
    match node.state.kind:
        case "Choice":
            left_end, right_end = x + POINT, right - POINT
            points = [
                (x, middle),
                (left_end, y),
                (right_end, y),
                (right, middle),
                (right_end, bottom),
                (left_end, bottom),
            ]
            return f'<path class="shape" d="{_path(points)}z"/>'
        case "Fail":
            cut = 9.0
            points = [(x, y + cut), (x + cut, y), (right - cut, y), (right, y + cut)]
            points += [(right, bottom - cut), (right - cut, bottom), (x + cut, bottom), (x, bottom - cut)]
            return f'<path class="shape" d="{_path(points)}z"/>{_icon(x + 18, middle, "M-4-4l8 8M4-4l-8 8")}'
        case "Succeed":
            return f'<rect class="shape" {_place(node)} rx="18"/>{_icon(x + 20, middle, "M-5 .5l3.5 4 6.5-8.5")}'
        case "Wait":
            clock = "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0M0-3.2v3.2l2.4 1.6"
            return f'<rect class="shape" {_place(node)} rx="18"/>{_icon(x + 18, middle, clock)}'
        case "Parallel":
            return f'<rect class="shape" {_place(node)} rx="10"/>{_icon(x + 20, y + 18, "M-3-6v12M3-6v12")}'
        case "Map":
            sheets = "M-6-3h8v8h-8zM-3-6h8v8"
            return f'<rect class="shape" {_place(node)} rx="10"/>{_icon(x + 20, y + 18, sheets)}'
        case _:
            return f'<rect class="shape" {_place(node)} rx="5"/>'


def _icon(x: float, y: float, path: str) -> str:
    return f'<path class="icon" transform="translate({_number(x)} {_number(y)})" d="{path}"/>'


def _text(node: Node) -> str:
    x, y = node.centre
    if node.state.branches:
        y = node.y + 18
    elif node.state.kind in ("Wait", "Succeed", "Fail"):
        x += 10  # beside the icon
    first = y + 4.5 - 8 * (len(node.lines) - 1)
    return "".join(
        f'<text x="{_number(x)}" y="{_number(first + 16 * number)}">{escape(line)}</text>'
        for number, line in enumerate(node.lines)
    )


def _badge(node: Node, visit: Visit) -> str:
    place = f"translate({_number(node.right - 8)} {_number(node.y)})"
    return f'<g class="badge" transform="{place}"><circle r="8"/><path class="icon" d="{MARKS[visit]}"/></g>'


PAST_A_COLUMN = 200
"""A line of this length passes another column, where a second answer may lead from the same side."""


def _line(line: Line) -> str:
    (before_x, before_y), (x, y) = line.points[-2:]
    length = max(abs(x - before_x), abs(y - before_y))
    along, across = (x - before_x) / length, (y - before_y) / length
    back_x, back_y = x - 8 * along, y - 8 * across
    tip = ((x, y), (back_x + 4 * across, back_y - 4 * along), (back_x - 4 * across, back_y + 4 * along))
    shaft = (*line.points[:-1], (back_x, back_y))
    kind = " error" if line.kind == "error" else ""
    drawn = f'<path class="way{kind}" d="{_path(shaft)}"/><path class="tip{kind}" d="{_path(tip)}z"/>'
    return drawn + (_label(line, kind) if line.label else "")


def _label(line: Line, kind: str) -> str:
    """The answer that leads along a line, where the line begins; of one to the left past a column, where it ends."""
    (x, y), (to_x, to_y) = line.points[:2]
    if len(line.points) == 2 and x - to_x > PAST_A_COLUMN:
        return f'<text class="label{kind}" x="{_number(to_x + 12)}" y="{_number(y - 6)}">{escape(line.label)}</text>'
    if y != to_y:
        beside = y + 15 if to_y > y else y - 8
        return f'<text class="label{kind}" x="{_number(x + 7)}" y="{_number(beside)}">{escape(line.label)}</text>'
    before = " before" if to_x < x else ""
    at = x + (-5 if before else 5)
    return f'<text class="label{before}{kind}" x="{_number(at)}" y="{_number(y - 6)}">{escape(line.label)}</text>'


def _place(box: Box) -> str:
    return f'x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}" height="{_number(box.height)}"'


def _path(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
