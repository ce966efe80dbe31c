"""The machine `deploy` on the interpreter: what it calls in which order, and how it ends."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.failure.explanation import NEXT_ACTIONS, explain
from benchwright.verification import verdicts
from tests.workflow import workflow as workflow_module
from tests.workflow.workflow import REPORTED, WRITTEN, Workflow, cause, definition_of

OUTPUTS = {
    "DatabaseEndpoint": "db.example",
    "DatabasePort": "5432",
    "DatabaseMasterSecretArn": "arn:master",
    "DatabaseSecretArn": "arn:app",
}
STACKS = {
    "foundation": OUTPUTS,
    "access": {"TargetGroupArn": "arn:t"},
    "nodes": {"AutoScalingGroupName": "group", "DocumentName": "document"},
}
WITH_ACCESS = {"wanted": {"access": {"hostname": "wb.example.com"}}, "removes_access": False}
WITHOUT_ACCESS_ANY_MORE = {"wanted": {"access": None}, "removes_access": True}
SUMMARY = {
    "cluster": "workbench",
    "nodes": [],
    "workbench": "2026.07",
    "image": "ami-1",
    "connection": {"url": "https://wb.example.com", "port_forwarding": "aws ssm"},
    "verification": {"license": "missing", "warnings": ["license: missing"], "checks": []},
}


class Cluster:
    """Functions of a deployment that succeeds, each done at its `looks`-th look; a step named in `fails` raises."""

    def __init__(self, workflow: Workflow, looks: int = 1, fails: dict[str, Exception] | None = None) -> None:
        self.looks, self.fails, self.seen = looks, fails or {}, dict[str, int]()
        self.plan: dict[str, Any] = {"image": {}}
        self.is_protected = True
        self.held = False
        workflow.functions |= {
            "ResolvePlan": self.named("ResolvePlan", self.resolve_plan, by="action"),
            "BuildImage": self.named("BuildImage", self.build_image, by="action"),
            "DeployStack": self.named("DeployStack", self.deploy_stack, by="stack"),
            "CreateDatabase": self.named("CreateDatabase", lambda _: {"done": True, "role": "created"}),
            "RequestCertificate": self.named("RequestCertificate", self.request_certificate, by="action"),
            "ConfigureNodes": self.named("ConfigureNodes", self.configure_nodes, by="action"),
            "VerifyCluster": self.named("VerifyCluster", self.verify_cluster),
            "ExplainFailure": self.named("ExplainFailure", self.explain),
        }

    def named(
        self, name: str, function: Callable[[dict[str, Any]], Any], by: str = ""
    ) -> Callable[[dict[str, Any]], Any]:
        def call(event: dict[str, Any]) -> Any:
            step = f"{name} {event[by]}" if by else name
            self.seen[step] = self.seen.get(step, 0) + 1
            if step in self.fails:
                raise self.fails[step]
            return function(event)

        return call

    def done(self, step: str) -> bool:
        return self.seen[step] >= self.looks

    def resolve_plan(self, event: dict[str, Any]) -> Any:
        if event["action"] == "lock":
            self.held = True
        if event["action"] == "release":
            self.held = False
        if event["action"] == "summarize":
            output = {"cluster": "workbench", "dry_run": True, "would": event["steps"]}
            return {"done": True, "output": output, "plan": self.plan, "changes": event["changes"]}
        given = event.get("input", {})
        quiet = given == {"only_if_deployed": True}
        return {
            "cluster": "workbench",
            "proceed": not given.get("dry_run", False),
            "quiet": quiet,
            "message": "",
            **({} if event["action"] == "preview" else {"plan": self.plan}),
            "changes": ["nodes.count: 3 (was 2)"],
            "warnings": ["config: x"],
            "dry_run": given.get("dry_run", False),
            "packed": "a plan",
        }

    def build_image(self, event: dict[str, Any]) -> Any:
        if event["action"] == "preview":
            return {"done": True, "ami": "", "steps": ["builds"], "retires": "goes"}
        if event["action"] == "retire":
            return {"done": True, "retired": ["ami-old"], "warnings": event["warnings"]}
        done = self.done("BuildImage build")
        return {
            "done": done,
            "ami": "ami-1",
            "build_arn": "b",
            "build_state": "s",
            "waiting_for": "a build",
            "wait_seconds": 30,
        }

    def deploy_stack(self, event: dict[str, Any]) -> Any:
        if event["stack"] == "all":
            done = self.done("DeployStack all")
            answer = {"steps": ["deploys"], "nodes": {"now": 2}, "foundation": OUTPUTS, "standing": {"n": "1"}}
            return {"done": done, "waiting_for": "a change set", "wait_seconds": 5} | (
                answer if done else {"steps": [], "nodes": {}}
            )
        done = self.done(f"DeployStack {event['stack']}")
        return {
            "done": done,
            "outputs": STACKS[event["stack"]] if done else {},
            "change_set": "c",
            "refresh": "r",
            "is_protected": event.get("protects", self.is_protected),
            "waiting_for": "a stack",
            "wait_seconds": 20,
        }

    def request_certificate(self, event: dict[str, Any]) -> Any:
        if event["action"] == "preview":
            return {"done": True, "certificate_arn": "arn:c", "steps": []}
        done = self.done(f"RequestCertificate {event['action']}")
        return {
            "done": done,
            "certificate_arn": "arn:c" if done else "",
            "requested": "arn:c",
            "written": "_x.wb",
            "after": "arn:b",
            "in_use": ["arn:a"],
            "waiting_for": "a record",
            "wait_seconds": 15,
        }

    def configure_nodes(self, event: dict[str, Any]) -> Any:
        if event["action"] == "preview":
            return {"done": True, "steps": ["configures"], "sessions": ["end"]}
        if event["action"] == "publish":
            return {"done": True, "configuration": "hash", "node_script": "script"}
        done = self.done("ConfigureNodes apply")
        return {"done": done, "commands": ["command"], "waiting_for": "a node", "wait_seconds": 10}

    def verify_cluster(self, event: dict[str, Any]) -> Any:
        done = self.done("VerifyCluster")
        return {"done": done, "round": 3, "questions": {"q": 1}, "summary": SUMMARY, "wait_seconds": 25}

    def explain(self, event: dict[str, Any]) -> Any:
        if event["action"] == "report":
            verdict = verdicts.ClusterVerdict.model_validate(event["verdicts"][0])
            return verdicts.report_one(verdict, event["execution"], event["changes"]).model_dump(mode="json")
        return {"error": event["error"], "subject": "failed", "text": f"{event['step']}: {event['cause']}"}


class ImageBuildFailed(Exception):
    pass


class InvalidInput(Exception):
    pass


class StackRefused(Exception):
    pass


class TransientError(Exception):
    pass


def test_nothing_to_wait_for_takes_few_transitions_and_answers_with_the_cluster(workflow: Workflow) -> None:
    cluster = Cluster(workflow)
    report = workflow.run("deploy", {"nodes": {"count": 2}})
    assert report.status == "SUCCEEDED"
    assert report.output == {
        **SUMMARY,
        "license": "missing",
        "warnings": ["config: x", "license: missing"],
        "retired_images": ["ami-old"],
        "database": {"done": True, "role": "created"},
        "plan": {"image": {}},
        "attempts": {
            "build_image": 1,
            "deploy_foundation": 1,
            "deploy_nodes": 1,
            "configure_nodes": 1,
            "verify_cluster": 1,
        },
        **WRITTEN,
    }
    assert report.transitions <= 40
    assert not cluster.held


def test_a_dry_run_looks_at_every_step_without_the_lock_and_says_what_they_would_do(workflow: Workflow) -> None:
    cluster = Cluster(workflow, looks=2)
    report = workflow.run("deploy", {"nodes": {"count": 3}, "dry_run": True})
    assert report.status == "SUCCEEDED"
    assert report.output == {
        "cluster": "workbench",
        "dry_run": True,
        "would": ["builds", "goes", "deploys", "configures"],
        "changes": ["nodes.count: 3 (was 2)"],
        "plan": {"image": {}},
        **WRITTEN,
    }
    assert cluster.seen == {
        "ResolvePlan validate": 1,
        "ResolvePlan preview": 1,
        "BuildImage preview": 1,
        "RequestCertificate preview": 1,
        "DeployStack all": 2,
        "ConfigureNodes preview": 1,
        "ResolvePlan summarize": 1,
    }


def test_a_dry_run_fails_with_the_error_of_the_deployment(workflow: Workflow) -> None:
    Cluster(workflow, fails={"DeployStack all": StackRefused("it would lose data")})
    report = workflow.run("deploy", {"dry_run": True})
    assert report.error == "StackRefused"
    assert cause(report).startswith("Preview stacks: ")
    assert "it would lose data" in cause(report)
    assert [event["dry_run"] for name, event in workflow.invocations if name == "ExplainFailure"] == [True]


def test_steps_are_asked_until_they_are_done(workflow: Workflow) -> None:
    cluster = Cluster(workflow, looks=4)
    report = workflow.run("deploy", {})
    assert report.status == "SUCCEEDED"
    assert cluster.seen["BuildImage build"] == cluster.seen["DeployStack nodes"] == cluster.seen["VerifyCluster"] == 4
    assert report.output["attempts"]["configure_nodes"] == 4


def test_each_step_is_reported_all_that_it_asks_for_and_what_its_last_look_left(workflow: Workflow) -> None:
    Cluster(workflow, looks=2)
    report = workflow.run("deploy", {"only_if_deployed": True})
    reported: dict[str, list[dict[str, Any]]] = {}
    for name, event in workflow.invocations:  # of the two branches, either may be first
        reported.setdefault(name, []).append(event)
    execution = {"execution": report.arn}
    caller = execution | {"cluster": "workbench"}
    nodes = {"AutoScalingGroupName": "group", "DocumentName": "document"}
    build = caller | {"action": "build"}
    foundation = caller | {"stack": "foundation"}
    began = reported["DeployStack"][-1]["began"]
    assert datetime.fromisoformat(began).tzinfo is not None
    deploy = caller | {"stack": "nodes", "ami": "ami-1", "foundation": OUTPUTS, "access": {}}
    deploy |= {"node_script": "script", "began": began}
    apply = caller | {"action": "apply", "nodes": nodes, "configuration": "hash", "last": False}
    verify = caller | {"locked": True, "last": False}
    assert reported == {
        "ResolvePlan": [
            execution | {"action": "validate", "input": {"only_if_deployed": True}},
            caller | {"action": "lock", "quiet": True},
            caller | {"action": "plan", "input": {"only_if_deployed": True}},
            caller | {"action": "release"},
        ],
        "WriteReport": [caller | {"state": "Write report"}],
        "BuildImage": [
            build | {"build_arn": "", "build_state": "", "waited": 0, "wait_seconds": 0},
            build | {"build_arn": "b", "build_state": "s", "waited": 30, "wait_seconds": 30},
            caller | {"action": "retire", "ami": "ami-1", "warnings": ["config: x", "license: missing"]},
        ],
        "DeployStack": [
            foundation | {"change_set": "", "wait_seconds": 0},
            foundation | {"change_set": "c", "wait_seconds": 20},
            deploy | {"change_set": "", "refresh": "", "wait_seconds": 0},
            deploy | {"change_set": "c", "refresh": "r", "wait_seconds": 20},
        ],
        "CreateDatabase": [
            caller
            | {
                "database": {
                    "endpoint": "db.example",
                    "port": 5432,
                    "master_secret_arn": "arn:master",
                    "secret_arn": "arn:app",
                }
            }
        ],
        "ConfigureNodes": [
            caller | {"action": "publish", "foundation": OUTPUTS},
            apply | {"commands": [], "wait_seconds": 0, "waited": 0},
            apply | {"commands": ["command"], "wait_seconds": 10, "waited": 10},
        ],
        "VerifyCluster": [
            verify | {"attempt": 0, "waited": 0, "wait_seconds": 0},
            verify
            | {"attempt": 1, "waited": 25, "wait_seconds": 25, "done": False}
            | {"round": 3, "questions": {"q": 1}, "summary": SUMMARY},
        ],
    }


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("ResolvePlan plan", "Resolve plan"),
        ("ConfigureNodes publish", "Publish configuration"),
        ("DeployStack nodes", "Deploy nodes"),
        ("ConfigureNodes apply", "Configure nodes"),
        ("VerifyCluster", "Verify cluster"),
        ("BuildImage retire", "Retire old images"),
    ],
)
def test_a_failing_step_ends_failed_with_its_error_reported_and_the_lock_free(
    workflow: Workflow, step: str, name: str
) -> None:
    cluster = Cluster(workflow, fails={step: ImageBuildFailed("the reason")})
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert cause(report).startswith(f"{name}: ")
    assert "the reason" in cause(report)
    assert workflow.published[0]["Subject"] == "failed"
    assert not cluster.held


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("BuildImage build", "Build image"),
        ("DeployStack foundation", "Deploy foundation"),
        ("CreateDatabase", "Create database"),
    ],
)
def test_a_failing_branch_carries_error_and_step_out_of_the_parallel(workflow: Workflow, step: str, name: str) -> None:
    cluster = Cluster(workflow, fails={step: ImageBuildFailed("the reason")})
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    carried = json.loads(cause(report).removesuffix(REPORTED).split(": ", 1)[1])
    assert carried["step"] == name
    assert "the reason" in carried["cause"]
    assert not cluster.held


def test_the_cause_of_a_failure_is_lines_for_people(workflow: Workflow) -> None:
    Cluster(workflow, fails={"BuildImage build": ImageBuildFailed('InstallR said:\n  no "R" 9.9')})

    def explain_failure(event: dict[str, Any]) -> Any:
        text = explain(event["step"], event["error"], event["cause"], event["execution"])
        return {"error": event["error"], "subject": "failed", "text": text}

    workflow.functions["ExplainFailure"] = explain_failure
    report = workflow.run("deploy", {"Comment": "Insert your JSON here"})
    assert cause(report).splitlines() == [
        "ImageBuildFailed in step 'Build image'",
        "",
        "InstallR said:",
        '  no "R" 9.9',
        "",
        f"Next: {NEXT_ACTIONS['ImageBuildFailed']}",
        f"Execution: {report.arn}",
        "",
        "Report:",
        "- s3://reports/report.html",
    ]
    assert workflow.published[0]["Message"] == cause(report)
    (explained,) = [event for name, event in workflow.invocations if name == "ExplainFailure"]
    assert datetime.fromisoformat(explained["began"]).tzinfo is not None
    assert (explained["warnings"], explained["dry_run"]) == (["config: x"], False)


def test_bad_input_fails_in_the_first_state_and_touches_no_lock(workflow: Workflow) -> None:
    cluster = Cluster(workflow, fails={"ResolvePlan validate": InvalidInput("nodes.count: 0 is refused")})
    report = workflow.run("deploy", [])
    assert (report.status, report.error) == ("FAILED", "InvalidInput")
    assert "nodes.count: 0 is refused" in cause(report)
    assert set(cluster.seen) == {"ResolvePlan validate", "ExplainFailure"}
    explained = [event for name, event in workflow.invocations if name == "ExplainFailure"]
    assert [(event["warnings"], event["dry_run"]) for event in explained] == [([], False)]


def refusal(operation: str, code: str) -> ClientError:
    metadata = {"HTTPStatusCode": 403, "RequestId": "1"}
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}
    return ClientError(answer, operation)  # type: ignore[arg-type]


def refuse(*_: Any, **__: Any) -> None:
    raise refusal("Publish", "AuthorizationError")


@pytest.mark.parametrize("what", ["explain", "notify", "both"])
def test_the_lock_is_released_even_when_explaining_or_notifying_fails(
    workflow: Workflow, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails: dict[str, Exception] = {"DeployStack nodes": ImageBuildFailed("the reason")}
    if what != "notify":
        fails["ExplainFailure"] = RuntimeError("no explanation")
    cluster = Cluster(workflow, fails=fails)
    if what != "explain":
        monkeypatch.setattr("tests.workflow.workflow._Sns.publish", refuse)
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert "the reason" in cause(report)
    assert not cluster.held


def test_success_is_reported_where_the_stack_says_so(workflow: Workflow) -> None:
    Cluster(workflow)
    silent = workflow.run("deploy", {})
    assert workflow.published == []
    cluster = Cluster(workflow)
    report = workflow.run(definition_of("deploy", notify_success="ENABLED"), {})
    assert (report.status, report.output) == ("SUCCEEDED", silent.output)
    (message,) = workflow.published
    assert message["Subject"] == "Benchwright: the cluster workbench is deployed and verified"
    assert message["Message"].splitlines()[2:9] == [
        "0 nodes with Workbench 2026.07 of the image ami-1",
        "Warning: config: x",
        "Warning: license: missing",
        "",
        "Workbench: https://wb.example.com",
        "",
        "Changed since it was last verified:",
    ]
    assert f"Execution: {report.arn}" in message["Message"]
    assert not cluster.held


@pytest.mark.parametrize("what", ["describe", "notify"])
def test_a_deployment_that_succeeded_stays_so_where_no_one_can_be_notified(
    workflow: Workflow, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cluster(workflow, fails={"ExplainFailure": RuntimeError("no description")} if what == "describe" else {})
    if what == "notify":
        monkeypatch.setattr("tests.workflow.workflow._Sns.publish", refuse)
    report = workflow.run(definition_of("deploy", notify_success="ENABLED"), {})
    assert (report.status, workflow.published) == ("SUCCEEDED", [])


def test_a_transient_error_is_tried_again(workflow: Workflow) -> None:
    cluster = Cluster(workflow)
    calls = []

    def once(event: dict[str, Any]) -> Any:
        calls.append(event)
        if len(calls) == 1:
            raise TransientError("throttled")
        return cluster.verify_cluster(event)

    cluster.seen["VerifyCluster"] = 1
    workflow.functions["VerifyCluster"] = once
    assert workflow.run("deploy", {}).status == "SUCCEEDED"
    assert len(calls) == 2


def test_a_cause_too_long_to_explain_still_ends_the_execution_with_its_error(workflow: Workflow) -> None:
    Cluster(workflow, fails={"DeployStack nodes": ImageBuildFailed("x" * 31_000), "ExplainFailure": RuntimeError()})
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert len(cause(report)) == len("Step Deploy nodes: ") + 30_000 + len(REPORTED)


@pytest.mark.parametrize("code", ["ResourceNotReadyException", "ENINotReadyException", "ResourceConflictException"])
def test_a_function_of_the_network_that_was_put_to_rest_is_waited_for(
    workflow: Workflow, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(workflow)
    invoke = workflow_module._Lambda.invoke
    refused: list[str] = []

    def rest(client: Any, FunctionName: str, Payload: bytes) -> Any:
        if FunctionName.endswith(":CreateDatabase") and len(refused) < 9:
            refused.append(code)
            raise refusal("Invoke", code)
        return invoke(client, FunctionName, Payload)

    monkeypatch.setattr(workflow_module._Lambda, "invoke", rest)
    assert workflow.run("deploy", {}).status == "SUCCEEDED"
    assert (len(refused), cluster.seen["CreateDatabase"]) == (9, 1)


@pytest.mark.parametrize(
    "code",
    ["CodeArtifactUserPendingException", "EC2ThrottledException", "SubnetIPAddressLimitReachedException"],
)
@pytest.mark.parametrize("function", ["ResolvePlan", "CreateDatabase", "DeployStack"])
def test_a_function_that_lambda_cannot_start_now_is_called_again(
    workflow: Workflow, code: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cluster(workflow)
    invoke = workflow_module._Lambda.invoke
    refused: list[str] = []

    def refuse_first(client: Any, FunctionName: str, Payload: bytes) -> Any:
        if FunctionName.endswith(f":{function}") and len(refused) < 6:
            refused.append(code)
            raise refusal("Invoke", code)
        return invoke(client, FunctionName, Payload)

    monkeypatch.setattr(workflow_module._Lambda, "invoke", refuse_first)
    assert workflow.run("deploy", {}).status == "SUCCEEDED"
    assert len(refused) == 6


TIMEOUTS = {name: type(name, (Exception,), {}) for name in ("States.Timeout", "Sandbox.Timedout")}


def time_out(workflow: Workflow, function: str, action: str, error: str, times: int) -> list[dict[str, Any]]:
    """Let the first calls of a function end as one that outlasts its time does; returns all of its calls."""
    original, calls = workflow.functions[function], list[dict[str, Any]]()

    def late(event: dict[str, Any]) -> Any:
        if event.get("action") == action:
            calls.append(event)
            if len(calls) <= times:
                raise TIMEOUTS[error]
        return original(event)

    workflow.functions[function] = late
    return calls


@pytest.mark.parametrize("error", TIMEOUTS)
def test_a_step_that_did_not_answer_in_its_time_is_asked_again(workflow: Workflow, error: str) -> None:
    Cluster(workflow)
    calls = time_out(workflow, "ConfigureNodes", "publish", error, times=6)
    assert workflow.run("deploy", {}).status == "SUCCEEDED"
    assert (len(calls), calls[0]) == (7, calls[6])


@pytest.mark.parametrize("error", TIMEOUTS)
def test_old_images_that_are_not_retired_in_time_are_a_warning_of_a_verified_cluster(
    workflow: Workflow, error: str
) -> None:
    cluster = Cluster(workflow)
    calls = time_out(workflow, "BuildImage", "retire", error, times=100)
    report = workflow.run("deploy", {})
    assert (report.status, len(calls)) == ("SUCCEEDED", 7)
    assert report.output["retired_images"] == []
    assert report.output["warnings"] == [
        "config: x",
        "license: missing",
        "Old images were not retired: the step did not end in its time. The next deployment tries again.",
    ]
    assert not cluster.held


@pytest.mark.parametrize(
    ("step", "error_step", "seconds", "limit"),
    [
        ("BuildImage", "Build image", 7200, "2 hours"),
        ("DeployStack", "Deploy foundation", 5400, "90 minutes"),
        ("ConfigureNodes", "Configure nodes", 1800, "30 minutes"),
        ("VerifyCluster", "Verify cluster", 600, "10 minutes"),
    ],
)
def test_a_loop_that_never_ends_fails_with_what_it_waited_for(
    workflow: Workflow, step: str, error_step: str, seconds: int, limit: str
) -> None:
    """Each wait here is longer than the one before it."""
    cluster = Cluster(workflow)
    original, waits = workflow.functions[step], list[int]()

    def never(event: dict[str, Any]) -> Any:
        answer = original(event)
        if event.get("action") == "publish":
            return answer
        waits.append(20 + 10 * len(waits))
        return answer | {"done": False, "waiting_for": "what never comes", "wait_seconds": waits[-1]}

    workflow.functions[step] = never
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "DeadlineExceeded")
    assert error_step in cause(report)
    assert not cluster.held
    asked = [event for name, event in workflow.invocations if name == step and event.get("action") != "publish"]
    assert f"Gave up after {len(asked)} looks in {limit}: still waiting for what never comes" in cause(report)
    assert [event.get("wait_seconds", wait) for event, wait in zip(asked, [0, *waits[:-1]], strict=True)] == [
        0,
        *waits[:-1],
    ]
    assert sum(waits[:-2]) < seconds <= sum(waits[:-1]) <= report.seconds
    # Those that wait for what nodes say know of their last chance to name the one that says nothing.
    reported = step in ("ConfigureNodes", "VerifyCluster")
    assert [event.get("last") for event in asked] == (
        [False] * (len(asked) - 1) + [True] if reported else [None] * len(asked)
    )


def test_an_address_has_its_certificate_and_its_stack_before_there_are_nodes(workflow: Workflow) -> None:
    cluster = Cluster(workflow, looks=2)
    cluster.plan = WITH_ACCESS
    report = workflow.run("deploy", {})
    assert report.status == "SUCCEEDED"
    caller = {"execution": report.arn, "cluster": "workbench"}
    request = caller | {"action": "request", "last": False}
    access = caller | {"stack": "access", "foundation": OUTPUTS, "certificate_arn": "arn:c"}
    asked = [(name, event) for name, event in workflow.invocations if "access" in (event.get("stack"), name)]
    assert asked == [
        ("DeployStack", access | {"change_set": "", "wait_seconds": 0}),
        ("DeployStack", access | {"change_set": "c", "wait_seconds": 20}),
    ]
    assert [event for name, event in workflow.invocations if name == "RequestCertificate"] == [
        request | {"requested": "", "written": "", "wait_seconds": 0},
        request | {"requested": "arn:c", "written": "_x.wb", "wait_seconds": 15},
    ]
    nodes = [event for _, event in workflow.invocations if event.get("stack") == "nodes"]
    assert {event["access"]["TargetGroupArn"] for event in nodes} == {"arn:t"}


@pytest.mark.parametrize(("plan", "stacks"), [({}, ["foundation"]), (WITH_ACCESS, ["foundation", "access"])])
def test_no_node_waits_for_deletion_protection_and_the_end_of_the_deployment_does(
    workflow: Workflow, plan: dict[str, Any], stacks: list[str]
) -> None:
    cluster = Cluster(workflow)
    cluster.is_protected, cluster.plan = False, {"wanted": {"access": None}, "removes_access": False, **plan}
    original, waits = workflow.functions["DeployStack"], dict.fromkeys(stacks, 1)

    def protect(event: dict[str, Any]) -> Any:
        answer = original(event)
        if event.get("protects") and waits[event["stack"]]:
            waits[event["stack"]] -= 1
            return answer | {"done": False}
        return answer

    workflow.functions["DeployStack"] = protect
    report = workflow.run("deploy", {})
    assert report.status == "SUCCEEDED"
    order = [(name, event) for name, event in workflow.invocations if name in ("VerifyCluster", "DeployStack")]
    protects = {"execution": report.arn, "cluster": "workbench", "protects": True, "foundation": OUTPUTS}
    assert order[[name for name, _ in order].index("VerifyCluster") + 1 :] == [
        ("DeployStack", protects | {"stack": stack, "change_set": change_set, "wait_seconds": wait_seconds})
        for stack in stacks
        for change_set, wait_seconds in (("", 0), ("c", 20))
    ]


def test_a_stack_that_is_not_protected_in_the_end_fails_the_deployment(workflow: Workflow) -> None:
    cluster = Cluster(workflow)
    cluster.is_protected, cluster.plan = False, {"wanted": {"access": None}, "removes_access": False}
    original = workflow.functions["DeployStack"]
    workflow.functions["DeployStack"] = lambda event: original(event) | {"done": not event.get("protects")}
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "DeadlineExceeded")
    assert "Protect stacks" in cause(report)
    assert not cluster.held


def test_an_address_goes_when_no_node_is_registered_with_it_any_more(workflow: Workflow) -> None:
    cluster = Cluster(workflow, looks=2)
    cluster.plan = WITHOUT_ACCESS_ANY_MORE
    report = workflow.run("deploy", {})
    assert report.status == "SUCCEEDED"
    order = [f"{name} {event.get('stack', '')}".strip() for name, event in workflow.invocations]
    after = order[order.index("DeployStack nodes") :]
    assert after == [
        *["DeployStack nodes"] * 2,
        *["ConfigureNodes"] * 2,
        *["DeployStack access"] * 2,
        *["RequestCertificate"] * 2,
        *["VerifyCluster"] * 2,
        *("BuildImage", "ResolvePlan", "WriteReport"),
    ]
    caller = {"execution": report.arn, "cluster": "workbench"}
    removals: list[dict[str, Any]] = [
        caller | {"stack": "access", "removes": True, "change_set": change_set, "wait_seconds": seconds}
        for change_set, seconds in (("", 0), ("c", 20))
    ]
    assert [event for _, event in workflow.invocations if event.get("stack") == "access"] == removals
    retire = caller | {"action": "retire", "last": False}
    assert [event for name, event in workflow.invocations if name == "RequestCertificate"] == [
        retire | {"after": "", "in_use": [], "wait_seconds": 0},
        retire | {"after": "arn:b", "in_use": ["arn:a"], "wait_seconds": 15},
    ]


@pytest.mark.parametrize(
    ("plan", "step", "name"),
    [
        (WITH_ACCESS, "RequestCertificate request", "Request certificate"),
        (WITH_ACCESS, "DeployStack access", "Deploy access"),
        (WITHOUT_ACCESS_ANY_MORE, "DeployStack access", "Remove access"),
        (WITHOUT_ACCESS_ANY_MORE, "RequestCertificate retire", "Retire certificate"),
    ],
)
def test_a_failing_step_of_the_address_is_named(workflow: Workflow, plan: dict[str, Any], step: str, name: str) -> None:
    cluster = Cluster(workflow, fails={step: ImageBuildFailed("the reason")})
    cluster.plan = plan
    report = workflow.run("deploy", {})
    assert (report.status, report.error) == ("FAILED", "ImageBuildFailed")
    assert name in cause(report)
    assert "the reason" in cause(report)
    assert not cluster.held


@pytest.mark.parametrize("action", ["validate", "lock"])
def test_a_schedule_with_nothing_to_do_succeeds_and_says_so(workflow: Workflow, action: str) -> None:
    cluster = Cluster(workflow)
    original = workflow.functions["ResolvePlan"]
    message = {"proceed": False, "message": "deployment in progress"}
    workflow.functions["ResolvePlan"] = lambda event: original(event) | (message if event["action"] == action else {})
    report = workflow.run("deploy", {"only_if_deployed": True})
    assert (report.status, report.output) == (
        "SUCCEEDED",
        {"cluster": "workbench", "message": "deployment in progress", **WRITTEN},
    )
    assert "BuildImage build" not in cluster.seen
