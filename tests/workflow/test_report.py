"""The report that each way to the end of a machine writes, by the real function, from the history as it is then."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from benchwright import bucket, observability
from benchwright.report import archive
from benchwright.settings import settings
from functions.write_report import app
from rehearsal.aws.local_aws import ACCOUNT, REGION
from rehearsal.aws.services.step_functions import executions
from tests.unit.benchwright.steps import CONTEXT
from tests.workflow.test_deploy import Cluster, ImageBuildFailed, InvalidInput, refusal
from tests.workflow.test_destroy import Destruction
from tests.workflow.test_verify import EVERY, answer, judged
from tests.workflow.workflow import Workflow, cause, definition_of


class Account:
    """What the function reads of AWS, as the interpreter has it. objects: what the function wrote, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.refuses = False

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        found = executions.backend(ACCOUNT, REGION).describe_execution(executionArn)
        return {"name": found.name, "status": found.status, "input": found.execution_input}

    def describe_state_machine_for_execution(self, executionArn: str) -> dict[str, Any]:
        kind = executionArn.split(":")[6].partition("-")[0]
        return {"definition": json.dumps(definition_of("deploy" if kind == "given" else kind))}

    def get_paginator(self, _operation: str) -> "Account":
        return self

    def paginate(self, executionArn: str, PaginationConfig: dict[str, int]) -> Iterator[dict[str, Any]]:
        found = executions.backend(ACCOUNT, REGION).describe_execution(executionArn)
        events, size = executions.events_of(found), PaginationConfig["PageSize"]
        for begin in range(0, len(events), size):
            yield {"events": events[begin : begin + size]}

    def put_object(self, Key: str, Body: bytes, **_: Any) -> dict[str, str]:
        if self.refuses:
            raise refusal("PutObject", "AccessDenied")
        self.objects[Key] = Body.decode()
        return {}

    def written(self) -> tuple[str, dict[str, Any], str]:
        """Of the only report: its folder without the random parts, its data, its page."""
        keys = sorted(self.objects)
        (folder,) = {key.rpartition("/")[0] for key in keys}
        assert [key.rpartition("/")[2] for key in keys] == ["report.html", "report.json"]
        _, cluster, machine, _ = folder.split("/")
        found = json.loads(self.objects[f"{folder}/report.json"])
        return f"{cluster}/{machine.partition('-')[0]}", found, self.objects[f"{folder}/report.html"]


@pytest.fixture
def account(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    made = Account()
    for name, value in {"APPLICATION": "benchwright", "BUCKET_NAME": "files", "VERSION": "1.2.3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(observability.metrics, "namespace", "Benchwright")
    for module in (archive, bucket):
        monkeypatch.setattr(module, "client", lambda _: made)
    settings.cache_clear()
    workflow.functions["WriteReport"] = lambda event: app.handler(event, CONTEXT)  # type: ignore[arg-type]
    yield made
    settings.cache_clear()


def test_a_deployment_that_succeeds(workflow: Workflow, account: Account) -> None:
    Cluster(workflow, looks=2)
    report = workflow.run(definition_of("deploy", notify_success="ENABLED"), {"nodes": {"count": 3}})
    folder, written, page = account.written()
    execution = written["execution"]
    output = report.output
    assert (report.status, folder) == ("SUCCEEDED", "workbench/given")
    assert execution["output"] == {key: value for key, value in output.items() if key != "report"}
    assert (execution["input"], execution["changes"]) == ({"nodes": {"count": 3}}, ["nodes.count: 3 (was 2)"])
    assert (execution["plan"], written["benchwright"]) == ({"image": {}}, "1.2.3")
    assert [state["name"] for state in execution["states"]][-1] == "Release the lock"
    assert [state["name"] for state in execution["states"] if not state["exited"]] == []
    assert output["report"]["page"].startswith("s3://files/reports/workbench/")
    assert output["report"]["page"].removeprefix("s3://files/") in account.objects
    assert workflow.published[0]["Message"].endswith(f"\n- {output['report']['page']}")
    assert "✓ SUCCEEDED" in page


@pytest.mark.parametrize(
    ("fails", "error", "folder"),
    [
        ({"DeployStack nodes": ImageBuildFailed("the reason")}, "ImageBuildFailed", "workbench/deploy"),
        ({"ResolvePlan validate": InvalidInput("the reason")}, "InvalidInput", "no_cluster/deploy"),
    ],
)
def test_a_deployment_that_fails(
    workflow: Workflow, account: Account, fails: dict[str, Exception], error: str, folder: str
) -> None:
    Cluster(workflow, fails=fails)
    report = workflow.run("deploy", {})
    where, written, page = account.written()
    execution = written["execution"]
    assert (where, report.error, execution["status"], execution["error"]) == (folder, error, "FAILED", error)
    assert [state["name"] for state in execution["states"]][-1] == "Explain failure"
    assert "the reason" in page
    assert cause(report) == workflow.published[0]["Message"]
    assert cause(report).startswith(execution["cause"])
    assert cause(report).endswith("/report.html")


def test_a_dry_run(workflow: Workflow, account: Account) -> None:
    Cluster(workflow)
    report = workflow.run("deploy", {"dry_run": True})
    folder, written, _ = account.written()
    assert (report.status, folder) == ("SUCCEEDED", "workbench/deploy")
    execution = written["execution"]
    assert execution["output"] == {key: value for key, value in report.output.items() if key != "report"}
    assert (execution["plan"], execution["changes"]) == ({"image": {}}, ["nodes.count: 3 (was 2)"])


def test_a_deployment_that_has_nothing_to_do(workflow: Workflow, account: Account) -> None:
    Cluster(workflow)
    original = workflow.functions["ResolvePlan"]
    workflow.functions["ResolvePlan"] = lambda event: original(event) | {"proceed": False, "message": "no record"}
    report = workflow.run("deploy", {"only_if_deployed": True})
    folder, written, page = account.written()
    assert (report.status, set(report.output)) == ("SUCCEEDED", {"cluster", "message", "report"})
    assert (folder, written["execution"]["output"]["message"]) == ("workbench/deploy", "no record")
    assert "no record" in page


@pytest.mark.parametrize(("payload", "folder"), [({}, "workbench/verify"), (EVERY, "every_cluster/verify")])
@pytest.mark.parametrize("wrong", [(), ("workbench", "blue")], ids=["right", "wrong"])
def test_a_verification(
    workflow: Workflow, account: Account, payload: dict[str, Any], folder: str, wrong: tuple[str, ...]
) -> None:
    answer(workflow, clusters=("blue", "green"))
    workflow.functions["VerifyCluster"] = lambda event: judged(event, wrong)
    report = workflow.run("verify", payload)
    where, written, page = account.written()
    execution = written["execution"]
    assert (where, execution["status"]) == (folder, report.status)
    assert report.status == ("FAILED" if wrong else "SUCCEEDED")
    if wrong:
        assert cause(report).startswith(execution["cause"])
        assert workflow.published[0]["Message"] == cause(report)
        assert "is not what its plan says" in page
    else:
        assert execution["output"] == {key: value for key, value in report.output.items() if key != "report"}


def test_a_destroy(workflow: Workflow, account: Account) -> None:
    Destruction(workflow)
    report = workflow.run("destroy", {"cluster": "workbench"})
    folder, written, _ = account.written()
    assert (report.status, folder) == ("SUCCEEDED", "workbench/destroy")
    assert written["execution"]["output"] == {key: value for key, value in report.output.items() if key != "report"}


def test_where_no_report_can_be_written_the_execution_ends_as_it_would_have_and_says_so(
    workflow: Workflow, account: Account
) -> None:
    account.refuses = True
    Cluster(workflow)
    report = workflow.run("deploy", {})
    sentence = "Report: it could not be written: AwsCallFailed. The log of the function write-report says more."
    assert (report.status, report.output["report"]) == ("SUCCEEDED", None)
    assert report.output["warnings"][-1] == sentence
    Cluster(workflow, fails={"DeployStack nodes": ImageBuildFailed("the reason")})
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert cause(report).endswith(f"\n\n{sentence}")
    assert account.objects == {}
