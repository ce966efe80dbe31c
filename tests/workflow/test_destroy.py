"""The machine `destroy` on the interpreter: what it calls in which order, and how it ends."""

from functools import partial
from typing import Any

import pytest

from tests.workflow.workflow import REPORT, WRITTEN, Workflow, cause, definition_of

STAYS = [{"what": "AWS::KMS::Key", "id": "arn:key", "monthly_usd": 1.0, "until": "", "note": ""}]
KEEPING = [
    *("DestroyCluster validate", "ResolvePlan lock", "DeployStack nodes", "DeployStack access"),
    *("RequestCertificate retire", "BuildImage remove", "DestroyCluster configuration", "DestroyCluster finish"),
    "ResolvePlan release",
]
DELETING = [
    *KEEPING[:6],
    *("DestroyCluster snapshot", "DestroyCluster foundation"),
    *KEEPING[6:8],
]
LOOPS = DELETING[2:9]
"""The steps that are repeated until they are done."""


class Destruction:
    """Functions of a destroy that succeeds, each done at its `looks`-th look; a step named in `fails` raises."""

    def __init__(self, workflow: Workflow, looks: int = 1, fails: str = "", deletes_data: bool = False) -> None:
        self.looks, self.fails, self.deletes_data = looks, fails, deletes_data
        self.steps: list[str] = []
        self.events: dict[str, dict[str, Any]] = {}
        for function in ("ResolvePlan", "DeployStack", "RequestCertificate", "BuildImage", "DestroyCluster"):
            workflow.functions[function] = partial(self.call, function)
        workflow.functions["ExplainFailure"] = lambda event: {
            "error": event["error"],
            "subject": "failed",
            "text": f"{event['step']}: {event['cause']}",
        }

    def call(self, function: str, event: dict[str, Any]) -> Any:
        step = f"{function} {event.get('action') or event['stack']}"
        self.steps.append(step)
        self.events[step] = event
        if step == self.fails:
            raise StackFailed("the reason")
        answer: dict[str, Any] = {"done": self.steps.count(step) >= self.looks, "waiting_for": "AWS", "change_set": "c"}
        answer |= {"wait_seconds": 5, "after": "arn:c", "in_use": []}
        if step == "BuildImage remove":
            answer["warnings"] = ["ami-1, which another cluster uses"]
        if step == "DestroyCluster validate":
            known = {
                "database": "db",
                "file_system": "fs",
                "stack": "arn:stack",
                "validation_record": "the CNAME record",
                "deletes_data": self.deletes_data,
                "final_snapshot": False,
            }
            return {"cluster": "workbench", **known}
        if step == "DestroyCluster finish":
            return {
                "done": True,
                "cluster": "workbench",
                "data": "kept",
                "stays": STAYS,
                "monthly_usd": 1,
                "message": "m",
            }
        return answer


class StackFailed(Exception):
    pass


@pytest.mark.parametrize(("deletes_data", "steps"), [(False, KEEPING), (True, DELETING)])
def test_the_order_is_from_what_uses_to_what_is_used(workflow: Workflow, deletes_data: bool, steps: list[str]) -> None:
    destruction = Destruction(workflow, deletes_data=deletes_data)
    report = workflow.run("destroy", {"cluster": "workbench"})
    assert (report.status, destruction.steps) == ("SUCCEEDED", steps)
    assert report.output == {
        "cluster": "workbench",
        "data": "kept",
        "stays": STAYS,
        "monthly_usd": 1,
        "message": "m",
        **WRITTEN,
    }


def test_success_is_reported_where_the_stack_says_so(workflow: Workflow) -> None:
    Destruction(workflow)
    assert (workflow.run("destroy", {"cluster": "workbench"}).status, workflow.published) == ("SUCCEEDED", [])
    report = workflow.run(definition_of("destroy", notify_success="ENABLED"), {"cluster": "workbench"})
    assert report.status == "SUCCEEDED"
    (message,) = workflow.published
    assert message["Subject"] == "Benchwright: the cluster workbench is destroyed"
    assert message["Message"] == f"m{REPORT['text']}"


def test_each_step_is_repeated_until_it_is_done_and_gets_what_it_began(workflow: Workflow) -> None:
    destruction = Destruction(workflow, looks=3, deletes_data=True)
    assert workflow.run("destroy", {"cluster": "workbench"}).status == "SUCCEEDED"
    assert {step: destruction.steps.count(step) for step in LOOPS} == dict.fromkeys(LOOPS, 3)
    assert [destruction.events[step]["change_set"] for step in (LOOPS[0], LOOPS[1], LOOPS[5])] == ["c", "c", "c"]


def test_the_last_step_knows_what_went_and_what_could_not(workflow: Workflow) -> None:
    destruction = Destruction(workflow, deletes_data=True)
    execution = workflow.run("destroy", {"cluster": "workbench"}).arn
    assert destruction.events["DestroyCluster finish"] == {
        "action": "finish",
        "cluster": "workbench",
        "execution": execution,
        "deletes_data": True,
        "database": "db",
        "file_system": "fs",
        "stack": "arn:stack",
        "validation_record": "the CNAME record",
        "left": ["ami-1, which another cluster uses"],
    }
    assert destruction.events["DestroyCluster snapshot"]["final_snapshot"] is False


@pytest.mark.parametrize("step", DELETING[1:])
def test_a_step_that_fails_is_explained_and_gives_the_lock_back(workflow: Workflow, step: str) -> None:
    destruction = Destruction(workflow, fails=step, deletes_data=True)
    report = workflow.run("destroy", {"cluster": "workbench"})
    assert (report.status, report.error) == ("FAILED", "StackFailed")
    assert "the reason" in cause(report)
    assert destruction.steps[-1] == "ResolvePlan release"
    assert len(workflow.published) == 1


def test_an_input_that_is_refused_takes_no_lock(workflow: Workflow) -> None:
    destruction = Destruction(workflow, fails="DestroyCluster validate")
    assert workflow.run("destroy", {"cluster": "workbench"}).status == "FAILED"
    assert destruction.steps == ["DestroyCluster validate"]
