"""The page of an execution: what it shows, that it needs nothing from elsewhere, and that no text can become markup."""

import datetime as dt
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from benchwright.failure import explanation
from benchwright.report import page
from benchwright.report.page.timeline import Group, Row, Stretch, timeline

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CATCH = [{"Next": "Explain failure"}]
MACHINE: dict[str, Any] = {
    "StartAt": "Resolve plan",
    "States": {
        "Resolve plan": {"Type": "Task", "Next": "Both", "Catch": CATCH},
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "Build image",
                    "States": {
                        "Build image": {"Type": "Task", "Next": "Image ready?", "Catch": [{"Next": "Image failed"}]},
                        "Image ready?": {
                            "Type": "Choice",
                            "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Image is there"}],
                            "Default": "Wait for image",
                        },
                        "Wait for image": {"Type": "Wait", "Next": "Build image"},
                        "Image is there": {"Type": "Succeed"},
                        "Image failed": {"Type": "Fail"},
                    },
                },
                {"StartAt": "Create database", "States": {"Create database": {"Type": "Task", "End": True}}},
            ],
            "Next": "Done",
            "Catch": CATCH,
        },
        "Done": {"Type": "Succeed"},
        "Explain failure": {"Type": "Task", "Next": "Failed"},
        "Failed": {"Type": "Fail"},
    },
}


def visit(name: str, kind: str, entered: float, exited: float | None, **more: Any) -> dict[str, Any]:
    def at(second: float) -> str:
        return (START + dt.timedelta(seconds=second)).isoformat()

    known = {"error": None, "waiting_for": "", "critical": True}
    return {"name": name, "kind": kind, "entered": at(entered), "exited": exited and at(exited), **known, **more}


SUCCEEDED = [
    visit("Resolve plan", "Task", 0, 2),
    visit("Both", "Parallel", 2, 64),
    visit("Build image", "Task", 2, 3, waiting_for="Image Builder: BUILDING"),
    visit("Create database", "Task", 2, 20, critical=False),
    visit("Image ready?", "Choice", 3, 3),
    visit("Wait for image", "Wait", 3, 33),
    visit("Build image", "Task", 33, 34, waiting_for="Image Builder: BUILDING"),
    visit("Image ready?", "Choice", 34, 34),
    visit("Wait for image", "Wait", 34, 63),
    visit("Build image", "Task", 63, 64),
    visit("Image ready?", "Choice", 64, 64),
    visit("Image is there", "Succeed", 64, 64),
    visit("Done", "Succeed", 64, 64),
]
FAILED = [
    visit("Resolve plan", "Task", 0, 2),
    visit("Both", "Parallel", 2, 10),
    visit("Build image", "Task", 2, 10, error="ImageBuildFailed"),
    visit("Create database", "Task", 2, None, critical=False),
    visit("Image failed", "Fail", 10, None),
    visit("Explain failure", "Task", 10, 11),
    visit("Failed", "Fail", 11, None, error="ImageBuildFailed"),
]
CAUSE = "ImageBuildFailed in step 'Build image'\n\n<script>alert(1)</script>\n\nNext: Fix the cause & start again."


def execution(states: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "state_machine": "deploy",
        "status": "SUCCEEDED",
        "input": {},
        "output": None,
        "error": None,
        "cause": None,
        "states": states,
        "transitions": 1234,
        "lambda_invocations": {"BuildImage": 3, "ResolvePlan": 1},
        "max_payload_bytes": 26_215,
        "makespan_s": 64.0,
        "critical_path_s": 64.0,
        "name": "one",
        "started": START.isoformat(),
        "history_events": 250,
        "plan": None,
        "changes": None,
        "versions": {},
        **more,
    }


def failed(**more: Any) -> dict[str, Any]:
    ended = {"status": "FAILED", "error": "ImageBuildFailed", "cause": CAUSE, "makespan_s": 11.0}
    return execution(FAILED, **ended, **more)


EVERYWHERE = "<script>alert('x')</script>\"onload="
HOSTILE = {
    "cluster": EVERYWHERE,
    "nodes": [{"instance": EVERYWHERE, "ipv4": EVERYWHERE, "status": EVERYWHERE, "sessions": []}],
    "workbench": EVERYWHERE,
    "image": EVERYWHERE,
    "list_nodes": EVERYWHERE,
    "connection": {"url": EVERYWHERE, "port_forwarding": EVERYWHERE, "ssh_config": EVERYWHERE},
    "verification": {"checks": [{"name": EVERYWHERE, "holds": False, "found": EVERYWHERE, "remedy": EVERYWHERE}]},
    "warnings": [EVERYWHERE],
    "endpoints": {EVERYWHERE: EVERYWHERE},
    "database": {"server_version": EVERYWHERE},
    "clusters": [{"cluster": EVERYWHERE, "status": EVERYWHERE, "message": EVERYWHERE}],
    "message": EVERYWHERE,
    "would": [EVERYWHERE],
    "stays": [
        {"what": EVERYWHERE, "id": EVERYWHERE, "monthly_usd": EVERYWHERE, "until": EVERYWHERE, "note": EVERYWHERE}
    ],
}
HOSTILE_PLAN = {"wanted": {EVERYWHERE: EVERYWHERE}, "sources": {EVERYWHERE: EVERYWHERE}}


OUTPUT = {
    "cluster": "workbench",
    "nodes": [{"instance": "i-1", "ipv4": "10.0.1.5", "status": "Online", "sessions": []}],
    "workbench": "2026.07.1+147.pro6",
    "image": "ami-1",
    "list_nodes": "ID  Host\n1   10.0.1.5",
    "connection": {"url": "http://localhost:8787", "port_forwarding": "aws ssm", "ssh_config": "Host i-*"},
    "verification": {"checks": [{"name": "health", "holds": True, "found": "a" * 64, "remedy": ""}]},
    "warnings": ["license: missing."],
}
PLAN = {
    "wanted": {"r_versions": ["4.5.1", "4.4.3"], "nodes": {"count": 2}, "license": None},
    "sources": {"r_versions": "input", "nodes.count": "parameter", "license": "default"},
}


class Page(HTMLParser):
    """The elements of a page, each with its attributes, and its text as a person reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "path", "rect", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.words.append(data)


def test_a_loop_is_one_row_with_its_calls_and_branches_are_lanes() -> None:
    line = timeline(execution(SUCCEEDED), MACHINE)
    assert line.items == [
        Row("Resolve plan", True, calls=[Stretch(0, 2)], loops=[Stretch(0, 2)]),
        Group(
            "Both",
            True,
            [
                [
                    Row(
                        "Build image",
                        True,
                        calls=[Stretch(2, 3), Stretch(33, 34), Stretch(63, 64)],
                        loops=[Stretch(2, 64)],
                        waits=[(3, "Image Builder: BUILDING")],
                    )
                ],
                [Row("Create database", False, calls=[Stretch(2, 20)], loops=[Stretch(2, 20)])],
            ],
        ),
    ]
    assert (line.seconds, line.tick, line.marks[-1]) == (64.0, 10, 60)


def test_what_was_left_or_failed_is_distinguished() -> None:
    line = timeline(failed(), MACHINE)
    assert [(row.name, row.outcome, row.lasted) for row in line.rows()] == [
        ("Resolve plan", "succeeded", 2),
        ("Build image", "failed", 8),
        ("Create database", "running", 8),
        ("Explain failure", "succeeded", 1),
    ]
    assert page.visited(failed(), MACHINE) == {
        "Resolve plan": "succeeded",
        "Both": "failed",
        "Build image": "failed",
        "Create database": "running",
        "Image failed": "failed",
        "Explain failure": "succeeded",
        "Failed": "failed",
    }


@pytest.mark.parametrize(
    ("evidence", "unproven", "shown"),
    [
        ((), (), "Execution: arn:e"),
        (("- log: https://l",), (), "Evidence:\n- log: https://l\nExecution: arn:e"),
        (
            ("- log: https://l",),
            ("Unproven values:", "- nodes.count: 3"),
            "Evidence:\n- log: https://l\nExecution: arn:e",
        ),
    ],
)
def test_the_reason_of_a_failure_comes_first_then_what_to_do_and_each_once(
    evidence: Sequence[str], unproven: Sequence[str], shown: str
) -> None:
    cause = explanation.explain(
        "Deploy nodes", "StackFailed", "It failed.\n\nTwice.", "arn:e", evidence, unproven=unproven
    )
    reported = page.failure(cause, "StackFailed")
    assert reported.reason == "\n".join(["It failed.", "", "Twice.", *(["", *unproven] if unproven else [])])
    assert reported.evidence == shown
    assert reported.next_action == cause.partition("\nNext: ")[2].partition("\n")[0]
    everything = [reported.reason, reported.next_action, reported.evidence]
    assert [text for text in everything if "Next:" in text or "in step" in text] == []


@pytest.mark.parametrize("cause", [None, "", "Only a sentence."])
def test_a_cause_of_another_form_is_shown_as_it_is(cause: str | None) -> None:
    assert page.failure(cause, None) == page.Failure(cause or "No cause was given.", "", "")


def test_a_step_that_is_taken_up_again_has_one_row_with_a_gap() -> None:
    machine = {"StartAt": "Verify", "States": {name: {"Type": "Task", "End": True} for name in ("Verify", "Lock")}}
    visits = [visit("Verify", "Task", 0, 1), visit("Lock", "Task", 1, 5), visit("Verify", "Task", 5, 8)]
    first, second = timeline(execution(visits), machine).items
    assert isinstance(first, Row)
    assert (first.name, first.loops, first.lasted) == ("Verify", [Stretch(0, 1), Stretch(5, 8)], 4)
    assert isinstance(second, Row)
    assert second.name == "Lock"


def report(ran: dict[str, Any], machine: dict[str, Any] = MACHINE) -> dict[str, Any]:
    """What report.json holds."""
    written = "2026-01-01T00:01:05+00:00"
    return {"benchwright": "0.2.0", "execution_arn": "arn:e", "written": written, "execution": ran, "machine": machine}


@pytest.mark.parametrize(
    "sentence",
    [
        "Benchwright 0.2.0 · deploy · one ✓ SUCCEEDED Cluster workbench Written on 1 January 2026, 00:01 UTC",
        "Started on 1 January 2026, 00:00 UTC; 1:04 from beginning to this report",
        "Warning. license: missing.",
        "What changed nodes.count: 2 (was 1)",
        "Versions Workbench 2026.07.1+147.pro6 R 4.5.1, 4.4.3",
        "Build image 3 calls , on the critical path",
        "0:03 Build image Image Builder: BUILDING",
        "i-1 10.0.1.5 Online ami-1 2026.07.1+147.pro6 0",
        "1 of 1 checks hold health holds: aaaaaaaaaaaa…",
        "nodes.count 2 parameter",
        'The whole input { "nodes": { "count": 2 } }',
        "History events 250 1.0 % of the limit",
        "Lambda invocations 4",
    ],
)
def test_what_a_person_reads(sentence: str) -> None:
    ran = execution(SUCCEEDED, input={"nodes": {"count": 2}}, output=OUTPUT, plan=PLAN)
    ran |= {"changes": ["nodes.count: 2 (was 1)"]}
    ran |= {"versions": {"Workbench": "2026.07.1+147.pro6", "R": "4.5.1, 4.4.3"}}
    read = Page(page.html(report(ran)))
    assert sentence in read.text
    assert "Calls of AWS" not in read.text


def test_each_cluster_that_was_verified_is_listed() -> None:
    clusters = [{"cluster": "blue", "status": "verified", "message": "2 nodes"}]
    read = Page(page.html(report(execution(SUCCEEDED, output={"message": "1 of 1 verified", "clusters": clusters}))))
    assert "✓ SUCCEEDED 1 of 1 verified" in read.text
    assert "The clusters Cluster Status What was found blue verified 2 nodes" in read.text


def test_what_a_dry_run_says_and_what_a_destroy_leaves_is_listed() -> None:
    nodes = {"now": 0, "then": 2, "created": 2}
    previewed = {"cluster": "blue", "would": ["builds an image", "launches 2 nodes"], "nodes": nodes}
    read = Page(page.html(report(execution(SUCCEEDED, output=previewed, changes=["a new cluster"]))))
    assert "What would change a new cluster" in read.text
    assert "What a deployment would do builds an image launches 2 nodes Timeline" in read.text
    assert "as verified" not in read.text
    stays = [{"what": "AWS::KMS::Key", "id": "arn:key", "monthly_usd": 1.5, "until": "", "note": "for the snapshot"}]
    read = Page(page.html(report(execution(SUCCEEDED, output={"cluster": "blue", "stays": stays}))))
    assert "What stays What Id USD a month Note AWS::KMS::Key arn:key 1.50 for the snapshot" in read.text
    stays = [
        {"what": "AWS::KMS::Key", "id": "arn:key", "monthly_usd": 0, "until": "2026-12-30", "note": "can be cancelled"}
    ]
    read = Page(page.html(report(execution(SUCCEEDED, output={"cluster": "blue", "stays": stays}))))
    assert "AWS::KMS::Key arn:key 0.00 until 2026-12-30: can be cancelled" in read.text


def test_a_failure_has_its_cause_and_its_plan() -> None:
    read = Page(page.html(report(failed(plan=PLAN, changes=[]))))
    assert "✕ FAILED ImageBuildFailed Written" in read.text
    assert "ImageBuildFailed in step Build image <script>alert(1)</script> Next: Fix the cause" in read.text
    assert "What changed Nothing, since the cluster was last verified." in read.text
    assert "nodes.count 2 parameter" in read.text


def test_no_text_becomes_markup_nothing_is_loaded_and_nothing_runs() -> None:
    ran = execution(
        [visit(EVERYWHERE, "Task", 0, 1, waiting_for=EVERYWHERE)],
        input={EVERYWHERE: EVERYWHERE},
        output=HOSTILE,
        name=EVERYWHERE,
        plan=HOSTILE_PLAN,
        changes=[EVERYWHERE],
        versions={EVERYWHERE: EVERYWHERE},
        lambda_invocations={EVERYWHERE: 1},
        state_machine=EVERYWHERE,
    )
    machine = {"StartAt": EVERYWHERE, "States": {EVERYWHERE: {"Type": "Task", "End": True, "Comment": EVERYWHERE}}}
    for shown in (ran, ran | {"status": "FAILED", "error": EVERYWHERE, "cause": EVERYWHERE}):
        text = page.html(report(shown, machine))
        read = Page(text)
        assert read.open == []
        assert {tag for tag, _ in read.elements} & {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
        } == set()
        assert [attributes for _, attributes in read.elements if {"onload", "href", "src"} & set(attributes)] == []
        assert [word for word in ("url(", "@import") if word in text] == []
        policy = next(a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"
