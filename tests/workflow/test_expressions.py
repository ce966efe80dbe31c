"""Every JSONata expression of the machines, evaluated in executions that between them take every branch, has the value
that the reference implementation of JSONata (npm; `make tools`) gives it.

Step Functions evaluates with the reference; the rehearsal with jsonata-python, which could differ from it.
"""

import functools
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal.aws.services.step_functions import expressions as jsonata_python
from tests.workflow.test_deploy import TIMEOUTS, WITH_ACCESS, WITHOUT_ACCESS_ANY_MORE, Cluster, ImageBuildFailed
from tests.workflow.test_destroy import DELETING, KEEPING, LOOPS, Destruction
from tests.workflow.test_graph import MACHINES
from tests.workflow.workflow import REPORT, Workflow, definition_of, workflows

pytestmark = pytest.mark.judge

TOOLS = Path(__file__).parents[2] / ".tools"
PROGRAM = Path(__file__).parent / "evaluate.mjs"
LONGEST = 21_600  # seconds of the longest loop: a loop that has waited so long is over with its next look
STEPS_OF_DEPLOY = (
    *("ResolvePlan validate", "ResolvePlan lock", "ResolvePlan plan", "BuildImage build", "DeployStack foundation"),
    *("CreateDatabase", "ConfigureNodes publish", "DeployStack nodes", "ConfigureNodes apply", "VerifyCluster"),
    *("BuildImage retire", "ResolvePlan release", "ExplainFailure"),
)
STEPS_OF_VERIFY = (
    *("ResolvePlan find", "ResolvePlan inspect", "ResolvePlan lock", "VerifyCluster", "ResolvePlan release"),
    "ExplainFailure report",
)
STEPS_OF_DRY_RUN = (
    *("ResolvePlan preview", "BuildImage preview", "RequestCertificate preview", "DeployStack all"),
    *("ConfigureNodes preview", "ResolvePlan summarize"),
)
STEPS_OF_ACCESS = ("RequestCertificate request", "RequestCertificate retire", "DeployStack access")


@dataclass(frozen=True)
class Evaluation:
    """An expression as it was evaluated: without the declarations of variables, which are `bindings`; and its value."""

    expression: str
    bindings: Mapping[str, Any]
    value: Any


def expressions(node: Any) -> Iterator[str]:
    """Each expression in a definition, without its brackets."""
    if isinstance(node, dict | list):
        for member in node.values() if isinstance(node, dict) else node:
            yield from expressions(member)
    elif isinstance(node, str) and node.startswith("{%"):
        yield node.removeprefix("{%").removesuffix("%}").strip()


def near_its_end(node: Any) -> Any:
    """The same definition, in which every loop begins with its last look but one."""
    if isinstance(node, dict):
        return {
            key: LONGEST - 1 if (key, member) == ("waited", 0) else near_its_end(member) for key, member in node.items()
        }
    return [near_its_end(member) for member in node] if isinstance(node, list) else node


def deploy_every_way(workflow: Workflow) -> None:
    """Deployments that succeed, have nothing to do, fail in each step, and wait for each until the last attempt."""
    definition, notifies = definition_of("deploy"), definition_of("deploy", notify_success="ENABLED")
    payload = {"nodes": {"count": 2}}
    for made in (definition, notifies):
        Cluster(workflow, looks=2)
        workflow.run(made, payload)
    for action in ("validate", "lock"):
        for writes in (True, False):
            Cluster(workflow)
            with_nothing_to_do(workflow, action)
            with_reports(workflow, writes)
            workflow.run(definition, payload)
    for step in ("", "DeployStack nodes"):
        Cluster(workflow, fails={step: ImageBuildFailed("the reason")})
        with_reports(workflow, writes=False)
        workflow.run(definition, payload)
    with_reports(workflow)
    for step in STEPS_OF_DEPLOY:
        fails: dict[str, Exception] = {step: ImageBuildFailed("the reason")}
        if step == "ExplainFailure":
            fails["DeployStack nodes"] = ImageBuildFailed("another reason")
        Cluster(workflow, fails=fails)
        workflow.run(definition, payload)
    Cluster(workflow, fails={"BuildImage retire": TIMEOUTS["Sandbox.Timedout"]()})
    workflow.run(definition, payload)
    Cluster(workflow, looks=2)
    workflow.run(definition, payload | {"dry_run": True})
    with_reports(workflow, writes=False)
    workflow.run(definition, payload | {"dry_run": True})
    with_reports(workflow)
    for step in STEPS_OF_DRY_RUN:
        Cluster(workflow, fails={step: ImageBuildFailed("the reason")})
        workflow.run(definition, payload | {"dry_run": True})
    Cluster(workflow)
    never_done(workflow, "DeployStack all")
    workflow.run(near_its_end(definition), payload | {"dry_run": True})
    for plan in (WITH_ACCESS, WITHOUT_ACCESS_ANY_MORE):
        for is_protected in (True, False):
            cluster = Cluster(workflow, looks=2)
            cluster.plan, cluster.is_protected = plan, is_protected
            workflow.run(definition, payload)
        for step in STEPS_OF_ACCESS:
            Cluster(workflow, fails={step: ImageBuildFailed("the reason")}).plan = plan
            workflow.run(definition, payload)
            Cluster(workflow).plan = plan
            never_done(workflow, step)
            workflow.run(near_its_end(definition), payload)
    for step in (
        "BuildImage build",
        "DeployStack foundation",
        "DeployStack nodes",
        "ConfigureNodes apply",
        "VerifyCluster",
    ):
        Cluster(workflow)
        never_done(workflow, step)
        workflow.run(near_its_end(definition), payload)


def verify_every_way(workflow: Workflow) -> None:
    """Verifications with and without the lock, of nothing, that fail in each step, and that wait to the end."""
    definition, notifies = definition_of("verify"), definition_of("verify", notify_success="ENABLED")
    for made, payload in ((definition, {}), (definition, {"every_cluster": True}), (notifies, {})):
        Verified(workflow)
        workflow.run(made, payload)
    for fails in ((), ("VerifyCluster",), ("ResolvePlan find",)):
        Verified(workflow, fails=fails)
        with_reports(workflow, writes=False)
        workflow.run(definition, {})
    with_reports(workflow)
    for action in ("inspect", "lock"):
        Verified(workflow, needs_lock=True)
        with_nothing_to_do(workflow, action)
        workflow.run(definition, {})
    for step in STEPS_OF_VERIFY:
        Verified(workflow, needs_lock=True, fails=(step,))
        workflow.run(definition, {})
        Verified(workflow, fails=(step, "ExplainFailure explain"))
        workflow.run(definition, {})
    Verified(workflow, needs_lock=True, fails=("VerifyCluster", "ResolvePlan release"))
    workflow.run(definition, {})
    Verified(workflow)
    never_done(workflow, "VerifyCluster")
    workflow.run(near_its_end(definition), {})


def destroy_every_way(workflow: Workflow) -> None:
    """Destroys that keep and that delete the data, fail in each step, and wait for each until the last attempt."""
    definition, payload = definition_of("destroy"), {"cluster": "workbench"}
    for deletes_data, made in ((False, definition), (True, definition_of("destroy", notify_success="ENABLED"))):
        Destruction(workflow, looks=2, deletes_data=deletes_data)
        workflow.run(made, payload)
    for step in {*DELETING, *KEEPING}:
        Destruction(workflow, fails=step, deletes_data=step in DELETING)
        workflow.run(definition, payload)
    for fails in ("", "DestroyCluster snapshot"):
        Destruction(workflow, fails=fails)
        with_reports(workflow, writes=False)
        workflow.run(definition, payload)
    with_reports(workflow)
    Destruction(workflow, fails="DestroyCluster snapshot", deletes_data=True)
    workflow.functions["ExplainFailure"] = lambda _: fail("another reason")
    workflow.run(definition, payload)
    for step in LOOPS:
        Destruction(workflow, deletes_data=True)
        never_done(workflow, step)
        workflow.run(near_its_end(definition), payload)


def fail(reason: str) -> None:
    raise ImageBuildFailed(reason)


class Verified:
    """Functions of a verification that succeeds at its second look; a step named in `fails` raises."""

    def __init__(self, workflow: Workflow, needs_lock: bool = False, fails: tuple[str, ...] = ()) -> None:
        self.needs_lock, self.fails = needs_lock, fails
        for function in (self.resolve_plan, self.verify_cluster, self.explain_failure):
            name = "".join(word.capitalize() for word in function.__name__.split("_"))
            workflow.functions[name] = functools.partial(self.call, name, function)

    def call(self, name: str, function: Callable[[dict[str, Any]], Any], event: dict[str, Any]) -> Any:
        if f"{name} {event.get('action', '')}".strip() in self.fails:
            raise ImageBuildFailed("the reason")
        return function(event)

    def resolve_plan(self, event: dict[str, Any]) -> Any:
        if event["action"] == "find":
            every = event["input"].get("every_cluster", False)
            return {
                "clusters": ["workbench", "blue"] if every else ["workbench"],
                "every_cluster": every,
                "sessions": 0,
                "left_out": [],
            }
        return {"cluster": "workbench", "proceed": True, "message": "", "revision": "r", "quiet": True}

    def verify_cluster(self, event: dict[str, Any]) -> Any:
        asks = self.needs_lock and not event["locked"]
        summary = {"cluster": "workbench", "verification": {"license": "Activated", "warnings": []}}
        done = not asks and event["attempt"] == 1
        return {
            "waiting_for": "rows",
            "wait_seconds": 5,
            "needs_lock": asks,
            "round": 1,
            "done": done,
            "summary": summary,
            "brief": "2",
        }

    def explain_failure(self, event: dict[str, Any]) -> Any:
        if event["action"] == "report":
            failed = any(verdict["status"] == "failed" for verdict in event["verdicts"])
            return {"failed": failed, "error": "VerificationFailed", "subject": "s", "text": "t", "output": {}}
        return {"error": event["error"], "subject": "failed", "text": event["cause"], "brief": event["cause"]}


def with_nothing_to_do(workflow: Workflow, action: str) -> None:
    original = workflow.functions["ResolvePlan"]
    answer = {"proceed": False, "message": "nothing to do"}
    workflow.functions["ResolvePlan"] = lambda event: original(event) | (answer if event["action"] == action else {})


def with_reports(workflow: Workflow, writes: bool = True) -> None:
    def refuse(_: dict[str, Any]) -> Any:
        raise ImageBuildFailed("no room")

    workflow.functions["WriteReport"] = (lambda _: REPORT) if writes else refuse


def never_done(workflow: Workflow, step: str) -> None:
    function, _, which = step.partition(" ")
    original = workflow.functions[function]

    def wait(event: dict[str, Any]) -> Any:
        waits = which in ("", event.get("action"), event.get("stack"))
        return original(event) | ({"done": False} if waits else {})

    workflow.functions[function] = wait


@pytest.fixture(scope="module")
def evaluated() -> dict[str, list[Evaluation]]:
    """What each machine evaluated."""
    found: dict[str, list[Evaluation]] = {}
    original = jsonata_python.evaluate
    with pytest.MonkeyPatch.context() as patch, workflows() as workflow:
        ways = {"deploy": deploy_every_way, "verify": verify_every_way, "destroy": destroy_every_way}
        for machine, run_every_way in ways.items():
            noted = found.setdefault(machine, [])

            def evaluate(expression: str, noted: list[Evaluation] = noted) -> Any:
                value = original(expression)
                bindings, own = jsonata_python.split_expression(expression)
                noted.append(Evaluation(own, json.loads(json.dumps(bindings, default=lambda _: None)), value))
                return value

            patch.setattr(jsonata_python, "evaluate", evaluate)
            run_every_way(workflow)
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_every_expression_is_evaluated(machine: str, evaluated: dict[str, list[Evaluation]]) -> None:
    seen = {each.expression.removeprefix("(").removesuffix(")").strip() for each in evaluated[machine]}
    written = set(expressions(definition_of(machine)))
    assert len(written) > 20
    assert written - seen == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_every_expression_has_the_value_of_the_reference(machine: str, evaluated: dict[str, list[Evaluation]]) -> None:
    different = {json.dumps([each.expression, each.bindings]): each for each in evaluated[machine]}.values()
    asked = [{"expression": each.expression, "bindings": each.bindings} for each in different]
    node = TOOLS / "bin" / "node"
    assert node.exists(), "node and jsonata are not installed: make tools"
    run = subprocess.run(
        [node, PROGRAM, TOOLS], input=json.dumps(asked), capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    values = [answer.get("value") for answer in json.loads(run.stdout)]
    assert [(each.expression, each.value) for each in different] == [
        (each.expression, value) for each, value in zip(different, values, strict=True)
    ]
