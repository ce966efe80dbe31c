"""A dry run with as many people as a cluster takes: what its states pass on stays below the quota of Step Functions."""

from pathlib import Path
from typing import Any

import pytest

from benchwright import observability
from benchwright.dry_run import LONGEST, Change, Step
from benchwright.models import MOST_GROUPS, MOST_USERS, Plan
from benchwright.nodes import preview
from benchwright.nodes.archive import unpacked
from benchwright.nodes.bundle import Endpoint, make_bundle
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.read_input import read_input
from benchwright.record import Known, Record
from benchwright.report.history import PAYLOAD_BYTES
from benchwright.secrets import Secret
from functions.resolve_plan import app
from rehearsal.aws.services.cloudformation.templates import load
from tests.unit.benchwright.planning.test_plan import DEFAULTS
from tests.unit.benchwright.planning.test_read_input import RANDOM, SomeSecret
from tests.unit.benchwright.steps import CONTEXT
from tests.workflow.test_deploy import Cluster
from tests.workflow.workflow import Workflow

WARNINGS = [f"{number}: {'what may fail later ' * 20}" for number in range(20)]
INFRA = Path(__file__).parents[2] / "infra"


def planned(groups_of_each: int, known: Known | None = None, people: int = MOST_USERS) -> tuple[Plan, Known]:
    """A plan with a password for each user, and what is recorded of it."""
    names = [f"group-{number}" for number in range(MOST_GROUPS if people else 0)]
    users: dict[str, Any] = {
        f"given-name.surname-{number}": {
            "password": f"benchwright/users/given-name.surname-{number}",
            "groups": RANDOM.sample(names, groups_of_each),
        }
        for number in range(people)
    }
    raw = {"users": users, "groups": {name: {} for name in names}}
    request, wanted = read_input(raw, {}, DEFAULTS, "benchwright").whole()
    looked = LookupResult(SomeSecret(), "ami-p")
    return make_plan(request, wanted, known or Known(), looked, defaults=DEFAULTS, execution="e")


def contents(plan: Plan) -> dict[str, str]:
    return unpacked(make_bundle(plan, Endpoint("db.example", 5432), Secret("arn", "1"), Secret("arn", "1")).archive)


def every_resource_is_replaced() -> list[Any]:
    changes = [
        Change(action="replace", kind=resource["Type"], name=name, data="kept", because=["Properties", "Tags"])
        for template in ("foundation", "access", "nodes")
        for name, resource in load((INFRA / f"{template}.yaml").read_text(encoding="utf-8"))["Resources"].items()
    ]
    sentence = f"The stack replaces {', '.join(each.name for each in changes)}, and keeps what was there."
    return [Step(step="Deploy nodes", sentences=[sentence], changes=changes).model_dump(mode="json")]


FIRST, KNOWN = planned(3)
CASES = {
    "all of them are new": (None, FIRST, ["Nodes get their configuration: 14 files, 2000 users, 200 groups."]),
    "all of them change": (planned(1)[0], FIRST, ["2,000 users: 2,000 changed.", "200 groups: 200 changed."]),
    "all of them leave": (
        FIRST,
        planned(0, KNOWN, people=0)[0],
        ["2,000 users: 2,000 locked, with their homes kept.", "200 groups: 200 emptied."],
    ),
}


@pytest.mark.parametrize(("before", "plan", "sentences"), CASES.values(), ids=list(CASES))
def test_no_state_passes_on_more_than_the_quota(
    workflow: Workflow,
    monkeypatch: pytest.MonkeyPatch,
    before: Plan | None,
    plan: Plan,
    sentences: list[str],
) -> None:
    Cluster(workflow)
    found = Record(plan=before, verified=before is not None)
    nodes = preview.Nodes(now=2, then=2) if before else preview.Nodes(then=2, created=2)
    monkeypatch.setattr(observability.metrics, "namespace", "Benchwright")
    monkeypatch.setattr("benchwright.record.read", lambda _: found)
    monkeypatch.setattr(app, "_read", lambda *_: None)
    monkeypatch.setattr(app, "_planned", lambda *_: (plan, Known()))
    of_tests = dict(workflow.functions)

    def resolve_plan(event: dict[str, Any]) -> Any:
        if event["action"] == "validate":
            return of_tests["ResolvePlan"](event) | {"warnings": WARNINGS}
        return app.handler(event, CONTEXT)  # type: ignore[arg-type]

    def configure_nodes(_: dict[str, Any]) -> Any:
        steps, _effect = preview.publication(contents(before) if before else None, contents(plan), nodes)
        return {"done": True, "steps": [step.model_dump(mode="json") for step in steps], "sessions": []}

    workflow.functions |= {
        "ResolvePlan": resolve_plan,
        "BuildImage": lambda _: {"done": True, "ami": "", "steps": [], "retires": step("Retire old images")},
        "RequestCertificate": lambda _: {"done": True, "certificate_arn": "", "steps": []},
        "DeployStack": lambda event: (
            of_tests["DeployStack"](event) | {"steps": every_resource_is_replaced(), "nodes": nodes.model_dump()}
        ),
        "ConfigureNodes": configure_nodes,
    }
    report = workflow.run("deploy", {"dry_run": True})
    assert (report.status, report.error) == ("SUCCEEDED", None)
    said = [line.removeprefix("Publish configuration: ") for line in report.output["would"] if "Publish" in line]
    assert said == sentences
    (listed,) = [each for each in report.output["steps"] if each["step"] == "Publish configuration"]
    assert listed["omitted"] == {"user": MOST_USERS, "group": MOST_GROUPS}
    assert {each["kind"] for each in listed["changes"]} <= {"file"}
    (packed,) = {event["packed"] for _, event in workflow.invocations if event.get("packed")}
    # With a plan that is as long as it may be.
    assert report.max_payload + LONGEST - len(packed) < PAYLOAD_BYTES


def step(name: str) -> Any:
    return Step(step=name, sentences=[]).model_dump(mode="json")
