"""The machine `verify` on the interpreter."""

from typing import Any

import pytest

from tests.workflow.workflow import Workflow, cause

SUMMARY = {"cluster": "workbench", "verification": {"license": "Activated", "warnings": []}}
REVISION = "the record as it was inspected"


class VerificationFailed(Exception):
    pass


def answer(workflow: Workflow, proceed: bool = True, lock: bool = True) -> list[str]:
    """Give ResolvePlan and ExplainFailure of a cluster; returns the list of the actions asked of ResolvePlan."""
    actions: list[str] = []

    def resolve_plan(event: dict[str, Any]) -> Any:
        actions.append(event["action"])
        proceeds = lock if event["action"] == "lock" else proceed
        message = "" if proceeds else "deployment in progress"
        return {"cluster": "workbench", "proceed": proceeds, "message": message, "revision": REVISION}

    workflow.functions["ResolvePlan"] = resolve_plan
    workflow.functions["ExplainFailure"] = lambda event: {
        "error": event["error"],
        "subject": "failed",
        "text": event["cause"],
    }
    return actions


def test_a_cluster_as_recorded_is_verified_without_the_lock(workflow: Workflow) -> None:
    actions = answer(workflow)
    rounds = iter([{"done": False, "questions": {"q": 1}, "round": 0}, {"done": True, "round": 0, "summary": SUMMARY}])
    waits = {"waiting_for": "", "needs_lock": False}
    workflow.functions["VerifyCluster"] = lambda _: {**waits, **next(rounds)}
    report = workflow.run("verify", {"cluster": "workbench"})
    assert (report.status, report.output) == ("SUCCEEDED", {**SUMMARY, "license": "Activated", "warnings": []})
    assert actions == ["inspect"]
    caller = {"cluster": "workbench", "execution": report.arn, "revision": REVISION, "locked": False, "last": False}
    assert workflow.invocations == [
        ("ResolvePlan", {"action": "inspect", "execution": report.arn, "input": {"cluster": "workbench"}}),
        ("VerifyCluster", {**caller, "attempt": 0}),
        ("VerifyCluster", {**caller, **waits, "done": False, "questions": {"q": 1}, "round": 0, "attempt": 1}),
    ]


@pytest.mark.parametrize("looks", [1, 28])
def test_a_remedy_is_applied_under_the_lock_which_is_given_back(workflow: Workflow, looks: int) -> None:
    """Also where only the last look finds that one is needed."""
    actions = answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        waits = {"waiting_for": "", "needs_lock": False}
        if event["locked"]:
            return {**waits, "done": True, "round": 1, "summary": SUMMARY}
        return {**waits, "done": False, "needs_lock": event["attempt"] == looks - 1, "problems": "- stale rows"}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    assert (report.status, actions) == ("SUCCEEDED", ["inspect", "lock", "release"])
    caller = {"cluster": "workbench", "execution": report.arn}
    assert workflow.invocations[looks + 1 :] == [
        ("ResolvePlan", {**caller, "action": "lock", "quiet": True}),
        (
            "VerifyCluster",
            {**caller, "revision": REVISION, "attempt": 0, "round": looks, "locked": True, "last": False},
        ),
        ("ResolvePlan", {**caller, "action": "release"}),
    ]


@pytest.mark.parametrize(("looks", "seconds"), [(1, 0), (13, 120), (14, 150), (28, 570)])
def test_after_two_minutes_it_looks_less_often(workflow: Workflow, looks: int, seconds: int) -> None:
    answer(workflow)
    waits = {"waiting_for": "", "needs_lock": False, "round": 0, "summary": SUMMARY}
    workflow.functions["VerifyCluster"] = lambda event: {**waits, "done": event["attempt"] == looks - 1}
    report = workflow.run("verify", {})
    assert (report.status, workflow.invoked().count("VerifyCluster")) == ("SUCCEEDED", looks)
    assert seconds <= report.seconds < seconds + 10


@pytest.mark.parametrize("ends", ["raised", "at its last look"])
def test_a_failure_under_the_lock_gives_it_back(workflow: Workflow, ends: str) -> None:
    actions = answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        if event["locked"] and ends == "raised":
            raise VerificationFailed("rows: node 3 cannot be deleted")
        return {"done": False, "needs_lock": not event["locked"], "round": 1, "waiting_for": "rows: node 3"}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    error = {"raised": "VerificationFailed", "at its last look": "DeadlineExceeded"}[ends]
    assert (report.status, report.error) == ("FAILED", error)
    assert "rows: node 3" in cause(report)
    assert actions == ["inspect", "lock", "release"]
    caller = {"cluster": "workbench", "execution": report.arn}
    (explained,) = [event for name, event in workflow.invocations if name == "ExplainFailure"]
    assert (explained["step"], explained["error"]) == ("Verify cluster", error)
    assert workflow.invocations[-1] == ("ResolvePlan", {**caller, "action": "release"})
    assert len(workflow.published) == 1


@pytest.mark.parametrize("looks", [1, 2, 28])
def test_a_deployment_that_has_begun_meanwhile_is_no_failure(workflow: Workflow, looks: int) -> None:
    """Whichever look finds that the cluster can be judged, or fixed, under the lock alone: its holder goes first."""
    actions = answer(workflow, lock=False)
    workflow.functions["VerifyCluster"] = lambda event: {
        "done": False,
        "needs_lock": event["attempt"] == looks - 1,
        "waiting_for": "",
    }
    report = workflow.run("verify", {})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {"cluster": "workbench", "message": "deployment in progress"},
    )
    assert (actions, workflow.invoked().count("VerifyCluster")) == (["inspect", "lock"], looks)
    assert workflow.published == []


def test_nothing_deployed_is_no_failure(workflow: Workflow) -> None:
    answer(workflow, proceed=False)
    report = workflow.run("verify", {})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {"cluster": "workbench", "message": "deployment in progress"},
    )
    assert workflow.invoked() == ["ResolvePlan"]


def test_a_cluster_that_is_not_as_recorded_fails_and_shows(workflow: Workflow) -> None:
    answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        if event["last"]:
            raise VerificationFailed("online: 10.0.1.5: Offline")
        return {"done": False, "needs_lock": False, "round": 1, "waiting_for": "online"}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    assert (report.status, report.error) == ("FAILED", "VerificationFailed")
    assert "10.0.1.5" in cause(report)
    assert workflow.published
