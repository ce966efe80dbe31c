"""The pictures of the state machines: what they say, that nothing hides anything, and that they can be compared."""

from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from benchwright.report.diagram import branches_of, outline, svg
from benchwright.report.diagram.geometry import Node
from benchwright.report.diagram.graph import answers, scope
from benchwright.report.diagram.layout import layout
from tests.documentation.generated import picture
from tests.templates.templates import ROOT

STATEMACHINE = ROOT / "statemachine"
MACHINES = sorted(path.name.removesuffix(".asl.yaml") for path in STATEMACHINE.glob("*.asl.yaml"))
SVG = "{http://www.w3.org/2000/svg}"


def definition(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(
        (STATEMACHINE / f"{name}.asl.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
    )
    return loaded


def names(part: dict[str, Any]) -> list[str]:
    """Of all states, those of branches too."""
    inner = (name for state in part["States"].values() for branch in branches_of(state) for name in names(branch))
    return [*part["States"], *inner]


LOOP: dict[str, Any] = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Task", "Next": "There?", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Explain"}]},
        "There?": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.done %}", "Next": "Was it sent?"},
                {"Condition": "{% $states.input.attempt >= 9 %}", "Next": "Explain"},
            ],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Look"},
        "Was it sent?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $name = '' %}", "Next": "End"}],
            "Default": "Mail",
        },
        "Mail": {"Type": "Task", "Next": "End", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "End"}]},
        "End": {"Type": "Succeed"},
        "Explain": {"Type": "Task", "Next": "Failed"},
        "Failed": {"Type": "Fail"},
    },
}


def test_the_main_path_walks_detours_and_the_failure_path_stands_apart() -> None:
    machine = scope(LOOP)
    assert machine.spine == ("Look", "There?", "Was it sent?", "Mail", "End")
    assert list(machine.states) == ["Look", "There?", "Wait", "Was it sent?", "Mail", "End"]
    assert machine.failure is not None
    assert machine.failure.spine == ("Explain", "Failed")
    assert {(edge.source, edge.label, edge.target) for edge in machine.edges if edge.source.endswith("?")} == {
        ("There?", "yes", "Was it sent?"),
        ("There?", "no", "Wait"),
        ("Was it sent?", "no", "End"),
        ("Was it sent?", "yes", "Mail"),
    }


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["{% $states.input.done %}"], ["yes"]),
        (["{% $locked %}"], ["yes"]),
        (["{% $states.input.done %}", "{% $states.input.needs_lock %}"], ["yes", "needs lock"]),
        (["{% $cluster = '' %}"], ["no"]),
        (["{% $states.input.done %}", "{% $states.input.attempt >= 60 %}"], ["yes", ""]),
    ],
)
def test_the_answers_of_a_choice(conditions: list[str], said: list[str]) -> None:
    assert answers([{"Condition": condition} for condition in conditions]) == said


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_drawn_once_with_its_whole_name(machine: str) -> None:
    drawn = layout(scope(definition(machine))).parts.nodes
    assert sorted(node.state.name for node in drawn) == sorted(names(definition(machine)))
    assert [" ".join(node.lines) for node in drawn] == [node.state.name for node in drawn]


REFUSAL: dict[str, Any] = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Task", "Next": "Allowed?"},
        "Allowed?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.allowed %}", "Next": "Do"}],
            "Default": "Say why",
        },
        "Do": {"Type": "Task", "Next": "End"},
        "End": {"Type": "Succeed"},
        "Say why": {"Type": "Task", "Next": "Refused"},
        "Refused": {"Type": "Succeed"},
    },
}


@pytest.mark.parametrize("machine", [*map(definition, MACHINES), LOOP, REFUSAL], ids=[*MACHINES, "loop", "refusal"])
def test_no_box_hides_another_and_no_line_runs_through_one(machine: dict[str, Any]) -> None:
    picture = layout(scope(machine))
    plain = [node for node in picture.parts.nodes if not node.state.branches]
    assert [(a.state.name, b.state.name) for a, b in combinations(plain, 2) if _overlap(a, b)] == []
    assert [
        (line.points, node.state.name)
        for line in picture.parts.lines
        for node in plain
        if any(_through(start, end, node) for start, end in pairwise(line.points))
    ] == []


def _overlap(a: Node, b: Node) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


def _through(start: tuple[float, float], end: tuple[float, float], node: Node) -> bool:
    """Whether a horizontal or vertical piece of a line has a point inside the box, not only on its border."""
    (left, right), (top, bottom) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    across = node.x < left < node.right if left == right else left < node.right and node.x < right
    along = node.y < top < node.bottom if top == bottom else top < node.bottom and node.y < bottom
    return across and along


@pytest.mark.parametrize("machine", MACHINES)
def test_text_is_large_enough_in_the_column_of_a_readme(machine: str) -> None:
    """800 px are wide enough for 11 px of the 13 px that names have."""
    root = ElementTree.fromstring(picture(machine))
    assert 13 * min(1, 800 / float(root.attrib["width"])) >= 11
    assert all(len(line) * 6.7 <= node.width for node in _nodes(machine) for line in node.lines)


def _nodes(machine: str) -> tuple[Node, ...]:
    return layout(scope(definition(machine))).parts.nodes


def test_a_picture_stands_alone_and_is_said_to_who_cannot_see_it() -> None:
    text = svg(LOOP, "<loop>")
    root = ElementTree.fromstring(text)
    assert (root.tag, root.attrib["role"], root.attrib["aria-label"]) == (f"{SVG}svg", "img", "State machine <loop>")
    assert root.findtext(f"{SVG}title") == "State machine <loop>"
    assert root.findtext(f"{SVG}desc") == (
        "The main path: Look, There?, Was it sent?, Mail, End. On any error: Explain, Failed."
    )
    assert "prefers-color-scheme: dark" in text
    assert not {element.tag for element in root.iter()} & {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"}
    assert [word for word in ("url(", "href", "@import", " id=") if word in text] == []


def test_visited_states_are_coloured_and_marked() -> None:
    root = ElementTree.fromstring(svg(LOOP, "loop", visited={"Look": "failed", "Explain": "succeeded"}))
    states = {
        group.findtext(f"{SVG}title"): (group.attrib["class"], len(group.findall(f"{SVG}g")))
        for group in root.iter(f"{SVG}g")
        if group.attrib["class"].startswith("state")
    }
    assert states["Look"] == ("state task failed", 1)
    assert states["Explain"] == ("state task succeeded", 1)
    assert states["Wait"] == ("state wait never", 0)


@pytest.mark.parametrize("machine", MACHINES)
def test_an_outline_makes_the_same_picture(machine: str) -> None:
    whole = definition(machine)
    short = outline(whole)
    assert svg(short, machine) == svg(whole, machine)
    assert "Arguments" not in str(short)
