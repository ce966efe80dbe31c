"""report.html: what it shows, that it needs nothing from elsewhere, and that no text can become markup."""

import re
from typing import Any

import pytest

from benchwright.failure import explanation
from rehearsal.views import page
from tests.unit.benchwright.report import test_page as of_execution
from tests.unit.benchwright.report.test_page import (
    EVERYWHERE,
    HOSTILE,
    HOSTILE_PLAN,
    MACHINE,
    OUTPUT,
    PLAN,
    SUCCEEDED,
    Page,
    visit,
)

KNOWN = {
    "aws_calls": {"s3:GetObject": 1, "ssm:GetParameter": 2, "ssm:SendCommand": 4},
    "started_by": "rehearsal",
}


def execution(states: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return of_execution.execution(states, **KNOWN | more)


def failed(**more: Any) -> dict[str, Any]:
    return of_execution.failed(**KNOWN | more)


def report(*executions: dict[str, Any], **more: Any) -> dict[str, Any]:
    secrets = {"checked": 3, "found": 0, "where": [], "places": 69}
    known = {"succeeded": True, "wall_s": 4.0, "speed": 120.0, "checks": [], "secrets": secrets}
    return {**known, "executions": list(executions), "machines": {"deploy": MACHINE}, **more}


def test_a_failure_is_reported_with_its_cause_and_the_next_action_and_cannot_become_markup() -> None:
    text = page.html(report(failed(), succeeded=False))
    assert "<script" not in text
    read = Page(text)
    assert (
        "ImageBuildFailed in step Build image <script>alert(1)</script> Next: Fix the cause & start again. Timeline"
        in read.text
    )


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


def test_no_text_becomes_markup_wherever_it_stands() -> None:
    hostile = execution(
        [visit(EVERYWHERE, "Task", 0, 1, waiting_for=EVERYWHERE)],
        input={EVERYWHERE: EVERYWHERE},
        output=HOSTILE,
        plan=HOSTILE_PLAN,
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
    assert sentence in Page(page.html(report(execution(SUCCEEDED, output=OUTPUT, plan=PLAN)))).text


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
