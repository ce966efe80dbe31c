"""report.html: what it shows, that it needs nothing from elsewhere, and that no text can become markup."""

import datetime as dt
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from benchwright.failure import explanation
from rehearsal.views import page
from rehearsal.views.page.timeline import Group, Row, Stretch, timeline

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
        "aws_calls": {"s3:GetObject": 1, "ssm:GetParameter": 2, "ssm:SendCommand": 4},
        "max_payload_bytes": 26_215,
        "makespan_s": 64.0,
        "critical_path_s": 64.0,
        "name": "one",
        "started_by": "rehearsal",
        "started": START.isoformat(),
        "history_events": 250,
        **more,
    }


def failed(**more: Any) -> dict[str, Any]:
    ended = {"status": "FAILED", "error": "ImageBuildFailed", "cause": CAUSE, "makespan_s": 11.0}
    return execution(FAILED, **ended, **more)


def report(*executions: dict[str, Any], **more: Any) -> dict[str, Any]:
    secrets = {"checked": 3, "found": 0, "where": [], "places": 69}
    known = {"succeeded": True, "wall_s": 4.0, "speed": 120.0, "checks": [], "secrets": secrets}
    return {**known, "executions": list(executions), "machines": {"deploy": MACHINE}, **more}


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


def test_a_failure_is_reported_with_its_cause_and_the_next_action_and_cannot_become_markup() -> None:
    text = page.html(report(failed(), succeeded=False))
    assert "<script" not in text
    read = Page(text)
    assert (
        "ImageBuildFailed in step Build image <script>alert(1)</script> Next: Fix the cause & start again. Timeline"
        in read.text
    )


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


def test_the_addresses_of_the_evidence_are_links_and_nothing_else_of_it_is() -> None:
    address = (
        "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/arn:a:b$252F"
    )
    execution = failed()
    lines = (f"- the execution: {address}", "- the role of rds.amazonaws.com: <a href=x>")
    execution["cause"] = explanation.explain("Build image", "ImageBuildFailed", "No.", "arn:e", lines)
    text = page.html(report(execution, succeeded=False))
    evidence = re.search(r'<p class="pre evidence">(.*?)</p>', text, re.DOTALL)
    assert evidence
    assert re.findall(r'<a href="([^"]*)"', evidence[1]) == [address]


@pytest.mark.parametrize("cause", [None, "", "Only a sentence."])
def test_a_cause_of_another_form_is_shown_as_it_is(cause: str | None) -> None:
    assert page.failure(cause, None) == page.Failure(cause or "No cause was given.", "", "")


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
    "plan": {"wanted": {EVERYWHERE: EVERYWHERE}, "sources": {EVERYWHERE: EVERYWHERE}},
}


def test_no_text_becomes_markup_wherever_it_stands() -> None:
    hostile = execution(
        [visit(EVERYWHERE, "Task", 0, 1, waiting_for=EVERYWHERE)],
        input={EVERYWHERE: EVERYWHERE},
        output=HOSTILE,
        started_by=EVERYWHERE,
        lambda_invocations={EVERYWHERE: 1},
        aws_calls={f"{EVERYWHERE}:{EVERYWHERE}": 1},
        state_machine=EVERYWHERE,
    )
    machine = {"StartAt": EVERYWHERE, "States": {EVERYWHERE: {"Type": "Task", "End": True, "Comment": EVERYWHERE}}}
    reported = report(hostile, hostile, checks=[EVERYWHERE], machines={EVERYWHERE: machine})
    read = Page(page.html(reported))
    assert "script" not in {tag for tag, _ in read.elements}
    assert [attributes for _, attributes in read.elements if "onload" in attributes] == []


def test_one_file_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    text = page.html(report(execution(SUCCEEDED, output=HOSTILE), failed(), succeeded=False))
    read = Page(text)
    assert read.open == []
    assert {tag for tag, _ in read.elements} & {"script", "link", "img", "iframe", "object", "embed", "base"} == set()
    links = [attributes["href"] for _, attributes in read.elements if attributes.get("href")]
    assert links == ["#execution-1", "#execution-2"]
    assert {link[1:] for link in links if link} <= {attributes.get("id") for _, attributes in read.elements}
    assert [word for word in ("url(", "@import") if word in text] == []
    policy = next(a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_ids_are_unique_so_that_references_hold() -> None:
    read = Page(page.html(report(execution(SUCCEEDED), execution(SUCCEEDED))))
    ids = [attributes["id"] or "" for _, attributes in read.elements if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))
    named = {attributes["aria-labelledby"] for _, attributes in read.elements if "aria-labelledby" in attributes}
    assert named <= set(ids)


OUTPUT = {
    "cluster": "workbench",
    "nodes": [{"instance": "i-1", "ipv4": "10.0.1.5", "status": "Online", "sessions": []}],
    "workbench": "2026.07.1+147.pro6",
    "image": "ami-1",
    "list_nodes": "ID  Host\n1   10.0.1.5",
    "connection": {"url": "http://localhost:8787", "port_forwarding": "aws ssm", "ssh_config": "Host i-*"},
    "verification": {"checks": [{"name": "health", "holds": True, "found": "a" * 64, "remedy": ""}]},
    "warnings": ["license: missing."],
    "plan": {
        "wanted": {"r_versions": ["4.5.1", "4.4.3"], "nodes": {"count": 2}, "license": None},
        "sources": {"r_versions": "input", "nodes.count": "parameter", "license": "default"},
    },
}


@pytest.mark.parametrize(
    "sentence",
    [
        "✓ SUCCEEDED Cluster workbench",
        "AWS time 1:04",
        "Time on this machine 4.0 s",
        "Speed 16 × waiting: up to 120 ×",
        "0 of 3, in 69 places",
        "Started by the rehearsal on 1 January 2026, 00:00 UTC",
        "Warning. license: missing.",
        "Build image 3 calls , on the critical path",
        "Create database began at",
        "0:03 Build image Image Builder: BUILDING",
        "i-1 10.0.1.5 Online ami-1 2026.07.1+147.pro6 0",
        "ID Host 1 10.0.1.5",
        "1 of 1 checks hold health holds: aaaaaaaaaaaa…",
        "r_versions 4.5.1, 4.4.3 input",
        "nodes.count 2 parameter",
        "license none default",
        "State transitions 1,234",
        "History events 250 1.0 % of the limit",
        "Largest payload 26,215 B 10 % of the limit",
        "Lambda invocations 4",
        "ssm 6 SendCommand 4 GetParameter 2 s3 1 GetObject 1",
    ],
)
def test_what_a_person_reads(sentence: str) -> None:
    assert sentence in Page(page.html(report(execution(SUCCEEDED, output=OUTPUT)))).text


def test_a_check_of_which_a_warning_speaks_is_not_marked_as_good() -> None:
    checks = [
        {"name": name, "holds": name != "online", "found": "", "remedy": ""} for name in ("online", "license", "health")
    ]
    output = OUTPUT | {"verification": {"checks": checks}}
    read = Page(page.html(report(execution(SUCCEEDED, output=output))))
    marks = [attributes["class"] for tag, attributes in read.elements if tag == "li" and "class" in attributes]
    assert [mark for mark in marks if mark in ("good", "warn", "bad")] == ["bad", "warn", "good"]


def test_a_secret_in_the_open_is_reported_first() -> None:
    found = {"checked": 3, "found": 1, "where": ["database (plain) in a log"], "places": 69}
    checks = ["a secret stands where it must not: database (plain) in a log"]
    read = Page(page.html(report(execution(SUCCEEDED), succeeded=False, checks=checks, secrets=found)))
    assert "What does not hold a secret stands where it must not: database (plain) in a log" in read.text
    assert read.text.index("FAILED") < read.text.index("What does not hold") < read.text.index("Timeline")


def test_where_no_one_looked_no_secret_was_found_is_not_said() -> None:
    read = Page(page.html(report(secrets={"checked": 0, "found": 0, "where": [], "places": 0}, succeeded=False)))
    assert "Secrets found in the open – not looked for" in read.text
    assert "They were not looked for: the rehearsal ended before." in read.text


def test_where_there_was_no_secret_the_page_says_so() -> None:
    read = Page(page.html(report(secrets={"checked": 0, "found": 0, "where": [], "places": 12}, succeeded=False)))
    assert "Secrets found in the open – there were none" in read.text
    assert "There were none: when the rehearsal ended, the account had no secret." in read.text
    assert "not looked for" not in read.text


def test_a_step_that_is_taken_up_again_has_one_row_with_a_gap() -> None:
    machine = {"StartAt": "Verify", "States": {name: {"Type": "Task", "End": True} for name in ("Verify", "Lock")}}
    visits = [visit("Verify", "Task", 0, 1), visit("Lock", "Task", 1, 5), visit("Verify", "Task", 5, 8)]
    first, second = timeline(execution(visits), machine).items
    assert isinstance(first, Row)
    assert (first.name, first.loops, first.lasted) == ("Verify", [Stretch(0, 1), Stretch(5, 8)], 4)
    assert isinstance(second, Row)
    assert second.name == "Lock"
