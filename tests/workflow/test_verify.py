"""The machine `verify` on the interpreter, with the report that the real function writes."""

import json
import threading
import time
from typing import Any

import pytest

from benchwright.verification import verdicts
from functions.resolve_plan.app import MOST_CLUSTERS
from rehearsal.aws.services.step_functions.quotas import PAYLOAD_BYTES
from tests.waiting import PATIENCE
from tests.workflow.workflow import REPORTED, WRITTEN, Workflow, cause, definition_of

SUMMARY = {
    "cluster": "workbench",
    "nodes": [],
    "workbench": "2026.07",
    "image": "ami-1",
    "connection": {"url": "https://wb.example.com", "port_forwarding": "aws ssm"},
    "verification": {"license": "Activated", "warnings": [], "checks": []},
}
REVISION = "the record as it was inspected"


class VerificationFailed(Exception):
    pass


def answer(
    workflow: Workflow, proceed: bool = True, lock: bool = True, *, clusters: tuple[str, ...] = (), left_out: int = 0
) -> list[str]:
    """Give ResolvePlan and ExplainFailure of one cluster, or of all these; returns the list of the actions asked of
    ResolvePlan.
    """
    actions: list[str] = []

    def resolve_plan(event: dict[str, Any]) -> Any:
        actions.append(event["action"])
        if event["action"] == "find":
            every = event["input"].get("every_cluster", False)
            return {
                "clusters": list(clusters) if every else ["workbench"],
                "every_cluster": every,
                "sessions": event["input"].get("sessions", 0),
                "left_out": [f"late-{number}" for number in range(left_out)],
            }
        proceeds = lock if event["action"] == "lock" else proceed
        message = "" if proceeds else "deployment in progress"
        return {"cluster": "workbench", "proceed": proceeds, "message": message, "revision": REVISION}

    def explain_failure(event: dict[str, Any]) -> Any:
        if event["action"] == "report":
            found = [verdicts.ClusterVerdict.model_validate(each) for each in event["verdicts"]]
            if event["every_cluster"]:
                report = verdicts.report_every(found, event["left_out"], event["execution"])
            else:
                report = verdicts.report_one(found[0], event["execution"])
            return report.model_dump(mode="json")
        explained = {"error": event["error"], "subject": "failed", "text": event["cause"]}
        return {**explained, "brief": verdicts.reason(event["error"], event["step"], event["cause"])}

    workflow.functions["ResolvePlan"] = resolve_plan
    workflow.functions["ExplainFailure"] = explain_failure
    return actions


def test_a_cluster_as_recorded_is_verified_without_the_lock(workflow: Workflow) -> None:
    actions = answer(workflow)
    rounds = iter(
        [
            {"done": False, "questions": {"q": 1}, "round": 0},
            {"done": True, "round": 0, "summary": SUMMARY, "brief": ""},
        ]
    )
    waits = {"waiting_for": "", "wait_seconds": 5, "needs_lock": False}
    workflow.functions["VerifyCluster"] = lambda _: {**waits, **next(rounds)}
    report = workflow.run("verify", {"cluster": "workbench"})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {**SUMMARY, "license": "Activated", "warnings": [], **WRITTEN},
    )
    assert actions == ["find", "inspect"]
    caller = {"cluster": "workbench", "execution": report.arn, "revision": REVISION, "locked": False, "last": False}
    caller["sessions"] = 0
    assert workflow.invocations[:-2] == [
        ("ResolvePlan", {"action": "find", "execution": report.arn, "input": {"cluster": "workbench"}}),
        ("ResolvePlan", {"action": "inspect", "execution": report.arn, "cluster": "workbench"}),
        ("VerifyCluster", {**caller, "attempt": 0, "waited": 0, "wait_seconds": 0}),
        (
            "VerifyCluster",
            {**caller, **waits, "done": False, "questions": {"q": 1}, "round": 0, "attempt": 1, "waited": 5},
        ),
    ]


def test_sessions_are_asked_for_at_each_look_until_they_have_ended(workflow: Workflow) -> None:
    """The summary and the command of one look are given to the next."""
    answer(workflow)
    opening = {"id": "c", "instances": ["i-1"]}

    def verify(event: dict[str, Any]) -> Any:
        ended = event.get("opening") == opening
        summary = SUMMARY | ({"sessions": {"opened": event["sessions"]}} if ended else {})
        waits = {"waiting_for": "sessions", "wait_seconds": 5, "needs_lock": False, "opening": opening}
        return {**waits, "done": ended, "round": 0, "summary": summary, "brief": ""}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {"sessions": 6})
    assert (report.status, report.output["sessions"]) == ("SUCCEEDED", {"opened": 6})


@pytest.mark.parametrize("looks", [1, 21])
def test_a_remedy_is_applied_under_the_lock_which_is_given_back(workflow: Workflow, looks: int) -> None:
    """Also where only the last look finds that one is needed."""
    actions = answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        waits = {"waiting_for": "", "wait_seconds": 30, "needs_lock": False}
        if event["locked"]:
            return {**waits, "done": True, "round": 1, "summary": SUMMARY, "brief": ""}
        return {**waits, "done": False, "needs_lock": event["attempt"] == looks - 1, "problems": "- stale rows"}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    assert (report.status, actions) == ("SUCCEEDED", ["find", "inspect", "lock", "release"])
    caller = {"cluster": "workbench", "execution": report.arn}
    later = {"revision": REVISION, "locked": True, "last": False, "sessions": 0}
    assert workflow.invocations[looks + 2 : -2] == [
        ("ResolvePlan", {**caller, "action": "lock", "quiet": True}),
        (
            "VerifyCluster",
            {**caller, **later, "attempt": 0, "waited": 0, "wait_seconds": 0, "round": looks},
        ),
        ("ResolvePlan", {**caller, "action": "release"}),
    ]


@pytest.mark.parametrize(("looks", "seconds"), [(1, 0), (2, 5), (3, 20), (4, 55)])
def test_it_waits_as_long_as_each_look_says(workflow: Workflow, looks: int, seconds: int) -> None:
    answer(workflow)
    waits = {"waiting_for": "", "needs_lock": False, "round": 0, "summary": SUMMARY, "brief": ""}
    workflow.functions["VerifyCluster"] = lambda event: {
        **waits,
        "done": event["attempt"] == looks - 1,
        "wait_seconds": 5 + 2 * event["wait_seconds"],
    }
    began = time.monotonic()
    report = workflow.run("verify", {})
    worked = time.monotonic() - began  # real work is AWS time, too
    assert (report.status, workflow.invoked().count("VerifyCluster")) == ("SUCCEEDED", looks)
    assert seconds <= report.seconds < seconds + worked + 0.1


@pytest.mark.parametrize("ends", ["raised", "at its last look"])
def test_a_failure_under_the_lock_gives_it_back(workflow: Workflow, ends: str) -> None:
    actions = answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        if event["locked"] and ends == "raised":
            raise VerificationFailed("rows: node 3 cannot be deleted")
        waits = {"waiting_for": "rows: node 3", "wait_seconds": 30}
        return {**waits, "done": False, "needs_lock": not event["locked"], "round": 1}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    error = {"raised": "VerificationFailed", "at its last look": "DeadlineExceeded"}[ends]
    assert (report.status, report.error) == ("FAILED", error)
    assert "rows: node 3" in cause(report)
    assert actions == ["find", "inspect", "lock", "release"]
    caller = {"cluster": "workbench", "execution": report.arn}
    explained, _ = [event for name, event in workflow.invocations if name == "ExplainFailure"]
    assert (explained["step"], explained["error"]) == ("Verify cluster", error)
    assert workflow.invocations[-3] == ("ResolvePlan", {**caller, "action": "release"})
    assert len(workflow.published) == 1


@pytest.mark.parametrize("looks", [1, 2, 21])
def test_a_deployment_that_has_begun_meanwhile_is_no_failure(workflow: Workflow, looks: int) -> None:
    """Whichever look finds that the cluster can be judged, or fixed, under the lock alone: its holder goes first."""
    actions = answer(workflow, lock=False)
    workflow.functions["VerifyCluster"] = lambda event: {
        "done": False,
        "needs_lock": event["attempt"] == looks - 1,
        "waiting_for": "",
        "wait_seconds": 30,
    }
    report = workflow.run("verify", {})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {"cluster": "workbench", "message": "deployment in progress", **WRITTEN},
    )
    assert (actions, workflow.invoked().count("VerifyCluster")) == (["find", "inspect", "lock"], looks)
    assert workflow.published == []


def test_nothing_deployed_is_no_failure(workflow: Workflow) -> None:
    answer(workflow, proceed=False)
    report = workflow.run("verify", {})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {"cluster": "workbench", "message": "deployment in progress", **WRITTEN},
    )
    assert workflow.invoked() == ["ResolvePlan", "ResolvePlan", "ExplainFailure", "WriteReport"]


def test_a_cluster_that_is_not_as_recorded_fails_and_shows(workflow: Workflow) -> None:
    answer(workflow)

    def verify(event: dict[str, Any]) -> Any:
        if event["last"]:
            raise VerificationFailed("online: 10.0.1.5: Offline")
        return {"done": False, "needs_lock": False, "round": 1, "waiting_for": "online", "wait_seconds": 30}

    workflow.functions["VerifyCluster"] = verify
    report = workflow.run("verify", {})
    assert (report.status, report.error) == ("FAILED", "VerificationFailed")
    assert "10.0.1.5" in cause(report)
    assert workflow.published


EVERY = {"every_cluster": True}


def judged(event: dict[str, Any], wrong: tuple[str, ...] = ()) -> dict[str, Any]:
    """What VerifyCluster answers at the first look."""
    if event["cluster"] in wrong:
        raise VerificationFailed(f"{event['cluster']} is not what its plan says: - online: 10.0.1.5")
    said = {"waiting_for": "", "needs_lock": False, "round": 0, "done": True, "brief": "2 nodes"}
    return {**said, "summary": {**SUMMARY, "cluster": event["cluster"]}}


def test_every_cluster_is_verified_and_reported_once(workflow: Workflow) -> None:
    answer(workflow, clusters=("blue", "green"))
    workflow.functions["VerifyCluster"] = judged
    report = workflow.run("verify", EVERY)
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {
            "message": "2 of 2 recorded clusters verified",
            "clusters": [
                {"cluster": "blue", "status": "verified", "message": "2 nodes"},
                {"cluster": "green", "status": "verified", "message": "2 nodes"},
            ],
            **WRITTEN,
        },
    )
    assert workflow.published == []


def test_clusters_that_fail_end_no_other_verification_and_are_named_in_one_notification(workflow: Workflow) -> None:
    answer(workflow, clusters=("blue", "green", "red", "white"))
    workflow.functions["VerifyCluster"] = lambda event: judged(event, wrong=("blue", "red"))
    report = workflow.run("verify", EVERY)
    assert (report.status, report.error) == ("FAILED", "VerificationFailed")
    assert cause(report).splitlines()[:2] == ["2 of 4 recorded clusters failed verification: blue, red.", ""]
    assert [name in cause(report) for name in ("blue is not what its plan", "red is not what its plan")] == [True, True]
    assert "- green: 2 nodes\n- white: 2 nodes" in cause(report)
    (message,) = workflow.published
    assert (message["Subject"], message["Message"]) == (
        "Benchwright: 2 of 4 recorded clusters failed verification: blue, red",
        cause(report),
    )


def test_a_cluster_that_is_being_deployed_is_not_verified_and_that_is_no_failure(workflow: Workflow) -> None:
    answer(workflow, clusters=("blue", "green"))
    original = workflow.functions["ResolvePlan"]
    busy = {"proceed": False, "message": "deployment in progress (arn): nothing was verified"}
    workflow.functions["ResolvePlan"] = lambda event: original(event) | (busy if event.get("cluster") == "blue" else {})
    workflow.functions["VerifyCluster"] = judged
    report = workflow.run("verify", EVERY)
    assert report.status == "SUCCEEDED"
    assert report.output == {
        "message": "1 of 2 recorded clusters verified",
        "clusters": [
            {"cluster": "blue", "status": "not verified", "message": busy["message"]},
            {"cluster": "green", "status": "verified", "message": "2 nodes"},
        ],
        **WRITTEN,
    }
    assert workflow.published == []


def test_an_empty_record_is_a_success_that_says_so(workflow: Workflow) -> None:
    answer(workflow)
    report = workflow.run("verify", EVERY)
    message = "no cluster is recorded, so there was nothing to verify"
    assert (report.status, report.output) == ("SUCCEEDED", {"message": message, "clusters": [], **WRITTEN})


def test_ten_clusters_are_verified_in_parallel_each_with_its_own_lock(workflow: Workflow) -> None:
    """What an item remembers of its cluster is its own: the lock of one is released by its item."""
    clusters = tuple(f"c{number}" for number in range(10))
    answer(workflow, clusters=clusters)
    all_wait = threading.Barrier(10, timeout=PATIENCE)

    def verify(event: dict[str, Any]) -> Any:
        if not event["locked"]:
            all_wait.wait()
        even = int(event["cluster"][1:]) % 2 == 0
        return judged(event) | ({"done": False, "needs_lock": True} if even and not event["locked"] else {})

    workflow.functions["VerifyCluster"] = verify
    assert workflow.run("verify", EVERY).status == "SUCCEEDED"
    of_lock = [(each["action"], each["cluster"]) for name, each in workflow.invocations[1:] if name == "ResolvePlan"]
    held = [cluster for cluster in clusters if int(cluster[1:]) % 2 == 0]
    for action in ("lock", "release"):
        assert sorted(cluster for asked, cluster in of_lock if asked == action) == held


def test_forty_clusters_that_all_fail_fit_into_a_state_and_those_beyond_are_named(workflow: Workflow) -> None:
    clusters = tuple(f"c{number:02}" for number in range(MOST_CLUSTERS))
    answer(workflow, clusters=clusters, left_out=2)

    def fail(_: dict[str, Any]) -> Any:
        raise VerificationFailed("ä" * 8000)

    workflow.functions["VerifyCluster"] = fail
    report = workflow.run("verify", EVERY)
    assert (report.status, report.error) == ("FAILED", "VerificationFailed")
    assert [name for name in (*clusters, "late-0", "late-1") if f"\n{name}: " not in cause(report)] == []
    assert len(cause(report)) <= 30_000 + len(REPORTED)
    _, reported = workflow.invocations[-2]
    assert len(reported["verdicts"]) == MOST_CLUSTERS
    assert len(json.dumps(reported, ensure_ascii=False).encode()) < PAYLOAD_BYTES


def test_what_keeps_the_clusters_from_being_found_is_explained(workflow: Workflow) -> None:
    answer(workflow)

    def find(_: dict[str, Any]) -> Any:
        raise VerificationFailed("the table is away")

    workflow.functions["ResolvePlan"] = find
    report = workflow.run("verify", EVERY)
    assert (report.status, "the table is away" in cause(report), len(workflow.published)) == ("FAILED", True, 1)


@pytest.mark.parametrize("payload", [{}, EVERY], ids=["one cluster", "every cluster"])
def test_success_is_reported_where_the_stack_says_so(workflow: Workflow, payload: dict[str, Any]) -> None:
    answer(workflow, clusters=("blue", "green"))
    workflow.functions["VerifyCluster"] = judged
    silent = workflow.run("verify", payload)
    assert workflow.published == []
    report = workflow.run(definition_of("verify", notify_success="ENABLED"), payload)
    assert (report.status, report.output) == ("SUCCEEDED", silent.output)
    (message,) = workflow.published
    about = "2 of 2 recorded clusters verified" if payload else "the cluster workbench is what its record says"
    assert (message["Subject"], message["Message"].count("Execution: ")) == (f"Benchwright: {about}", 1)


def test_a_failure_is_reported_once_also_where_success_is(workflow: Workflow) -> None:
    answer(workflow, clusters=("blue", "green"))
    workflow.functions["VerifyCluster"] = lambda event: judged(event, wrong=("blue",))
    assert workflow.run(definition_of("verify", notify_success="ENABLED"), EVERY).status == "FAILED"
    assert [message["Subject"] for message in workflow.published] == [
        "Benchwright: 1 of 2 recorded clusters failed verification: blue"
    ]
