"""The text that an execution ends with."""

import json
import re

import pytest

from benchwright import errors
from benchwright.failure.explanation import LONGEST, NEXT_ACTIONS, explain, named
from tests.unit.benchwright.steps import ROOT

OURS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.BenchwrightError) and value is not errors.BenchwrightError
}


def test_every_error_has_a_next_action() -> None:
    assert set(NEXT_ACTIONS) == OURS


def test_a_failure_is_reported_with_step_reason_and_next_action() -> None:
    cause = json.dumps({"errorType": "StackFailed", "errorMessage": "The stack s ended ROLLBACK_COMPLETE: no quota"})
    assert explain("Deploy nodes", "StackFailed", cause, "arn:execution").splitlines() == [
        "StackFailed in step 'Deploy nodes'",
        "",
        "The stack s ended ROLLBACK_COMPLETE: no quota",
        "",
        f"Next: {NEXT_ACTIONS['StackFailed']}",
        "Execution: arn:execution",
    ]


def test_the_step_inside_a_parallel_is_named() -> None:
    inner = json.dumps({"errorType": "ImageBuildFailed", "errorMessage": "no R"})
    cause = json.dumps({"step": "Build image", "cause": inner})
    text = explain("Prepare image and foundation", "ImageBuildFailed", cause, "arn:execution")
    assert text.splitlines()[:3] == ["ImageBuildFailed in step 'Build image'", "", "no R"]


def test_a_cause_that_is_no_json_is_reported_as_it_is() -> None:
    assert "task timed out" in explain("Verify cluster", "States.Timeout", "task timed out", "arn")
    assert "No cause was given." in explain("Verify cluster", "States.Timeout", "", "arn")


def test_evidence_stands_before_the_next_action() -> None:
    assert explain(
        "Deploy nodes", "StackFailed", "no quota", "arn", ["- the stack: https://s", "- log: https://l"]
    ) == (
        "StackFailed in step 'Deploy nodes'\n\nno quota\n\nEvidence:\n- the stack: https://s\n- log: https://l\n\n"
        f"Next: {NEXT_ACTIONS['StackFailed']}\nExecution: arn"
    )


def test_a_long_cause_fits_in_the_cause_of_an_execution_and_still_says_what_to_do() -> None:
    text = explain("s", "StackFailed", "x" * 100_000, "arn", ["- log: https://l"])
    assert len(text) == LONGEST
    assert text.endswith(
        f"xxx\n… (shortened)\n\nEvidence:\n- log: https://l\n\nNext: {NEXT_ACTIONS['StackFailed']}\nExecution: arn"
    )


@pytest.mark.parametrize("machine", ["deploy", "verify"])
def test_what_lambda_says_of_a_call_has_one_of_our_names(machine: str) -> None:
    definition = (ROOT / "statemachine" / f"{machine}.asl.yaml").read_text(encoding="utf-8")
    repeated = set(re.findall(r"\bLambda\.\w+", definition))
    assert {named(name) for name in repeated} == {"TransientError"}
    assert named("Lambda.AccessDeniedException") == named("Lambda.ResourceNotFoundException") == "AwsCallFailed"
    assert [named(name) for name in ("StackFailed", "States.Timeout", "Runtime.ExitError")] == [
        *("StackFailed", "States.Timeout", "Runtime.ExitError")
    ]


def test_long_warnings_leave_room_for_the_cause() -> None:
    text = explain("s", "StackFailed", "x" * 20_000, "arn", warnings=["y" * 50_000])
    assert len(text) <= LONGEST
    assert text.count("x" * 20_000) == 1
