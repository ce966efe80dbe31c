"""Which node is replaced: one at a time, never all, and never while something else works on the nodes."""

import pytest

from benchwright.healing.decision import BETWEEN, NEEDED, SILENT, Answers, Decision, decide, find_silent
from benchwright.nodes.auto_scaling import Group, Node

A, B, C = "i-a", "i-b", "i-c"
MINUTES = SILENT + BETWEEN
YES, NO, NOTHING_SAID = [1.0] * MINUTES, [0.0] * MINUTES, [None] * MINUTES
JUST = [1.0] * BETWEEN + [0.0] * SILENT  # silent for as long as it takes, and not longer


def group(*nodes: Node, desired: int | None = None) -> Group:
    return Group("g", nodes, desired=len(nodes) if desired is None else desired)


def node(instance: str, state: str = "InService", *, healthy: bool = True) -> Node:
    return Node(instance, state, "lt:1", healthy)


THREE = group(node(A), node(B), node(C))


def decided(answers: Answers, nodes: Group = THREE, holder: str = "", *, refreshes: bool = False) -> Decision:
    return decide(nodes, answers, holder=holder, refreshes=refreshes)


@pytest.mark.parametrize(
    ("reported", "silent"),
    [
        pytest.param(NO, True, id="no answer at all"),
        pytest.param(JUST, True, id="none for so long"),
        pytest.param([*NO[:-SILENT], 1.0, *NO[: SILENT - 1]], False, id="an answer at the beginning of that time"),
        pytest.param([*NO[:-1], 1.0], False, id="an answer in the last minute"),
        pytest.param(NOTHING_SAID, False, id="not configured yet, or its agent does not report"),
        pytest.param([*NOTHING_SAID[:-12], *NO[:12]], True, id="three minutes without a report"),
        pytest.param([*NOTHING_SAID[:-11], *NO[:11]], False, id="four minutes without a report"),
        pytest.param([*NO[:-SILENT], *NOTHING_SAID[:SILENT]], False, id="it stopped to report"),
    ],
)
def test_a_node_is_silent_when_it_reports_for_so_long_that_workbench_does_not_answer(
    reported: list[float | None], silent: bool
) -> None:
    assert find_silent({A: reported}) == ((A,) if silent else ())


def test_a_node_that_does_not_answer_while_another_does_is_replaced() -> None:
    assert decided({A: YES, B: NO, C: YES}) == Decision("replace", (B,), instance=B)


def test_of_several_one_is_replaced() -> None:
    assert decided({A: YES, B: NO, C: NO}) == Decision("replace", (B, C), instance=B)


def test_where_all_answer_nothing_is_done() -> None:
    assert decided({A: YES, B: YES, C: YES}) == Decision("nothing")


@pytest.mark.parametrize("others", [NO, NOTHING_SAID, [*YES[:-BETWEEN], *NOTHING_SAID[:BETWEEN]]])
def test_where_none_is_known_to_answer_none_is_replaced(others: list[float | None]) -> None:
    found = decided({A: NO, B: others, C: others})
    assert (found.action, found.instance) == ("none answers", "")


def test_a_node_that_is_alone_is_never_replaced() -> None:
    assert decided({A: NO}, group(node(A))).action == "none answers"


@pytest.mark.parametrize(
    ("answers", "report"),
    [
        pytest.param({A: JUST, B: JUST}, True, id="for the first time"),
        pytest.param({A: NO, B: NO}, False, id="as five minutes ago"),
        pytest.param({A: NO, B: [1.0] * 13 + [0.0] * 7}, True, id="the last that answered has stopped"),
        pytest.param({A: NO, B: JUST}, False, id="the last that answered has stopped ten minutes ago"),
    ],
)
def test_that_no_node_answers_is_reported_once(answers: Answers, report: bool) -> None:
    found = decided(answers, group(node(A), node(B)))
    assert (found.action, found.report) == ("none answers", report)


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (group(node(A), node(B), node(C, "Pending:Wait")), "another node comes or leaves: i-c Pending:Wait"),
        (group(node(A), node(B), node(C, "Terminating:Wait")), "another node comes or leaves: i-c Terminating:Wait"),
        (group(node(A), node(B), node(C, "Standby")), "another node comes or leaves: i-c Standby"),
        (group(node(A), node(B, healthy=False)), "another node is about to be replaced: i-b"),
        (group(node(A), node(B), desired=3), "the group has 2 of 3 nodes"),
        *((THREE._replace(suspended=frozenset({each})), f"someone suspended {each} of the group g") for each in NEEDED),
    ],
)
def test_it_waits_while_the_group_is_not_whole(nodes: Group, why: str) -> None:
    assert decided({A: YES, B: NO, C: YES}, nodes) == Decision("wait", (B,), why)


def test_it_waits_for_an_execution_and_for_an_instance_refresh() -> None:
    answers = {A: YES, B: NO, C: YES}
    assert decided(answers, holder="arn:deploy") == Decision("wait", (B,), "the execution arn:deploy runs")
    assert decided(answers, refreshes=True) == Decision("wait", (B,), "an instance refresh runs")


def test_the_process_that_benchwright_suspends_itself_keeps_no_node_from_being_replaced() -> None:
    suspended = THREE._replace(suspended=frozenset({"AZRebalance"}))
    assert decided({A: YES, B: NO, C: YES}, suspended).action == "replace"
