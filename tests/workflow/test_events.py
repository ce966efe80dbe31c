"""The events of events/: one for each function, as a state machine passes it, and an input for each state machine."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import jsonata
import pytest
from pydantic import BaseModel

from benchwright.planning.read_input import read_input, read_verify_input
from rehearsal.application import ROOT, stack_name
from rehearsal.aws.services.cloudformation.templates import load
from rehearsal.initial_account import ZONE_ID
from rehearsal.local_invoke import COMMAND, EVENTS, event_of
from tests.templates.templates import folder_of
from tests.workflow.test_graph import MACHINES, states

RESOURCES = load((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]
FUNCTIONS = sorted(name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function")
STATE_MACHINES = sorted(
    name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::StateMachine"
)
DEFAULTS: dict[str, Any] = {
    "workbench": {"version": "2026.07.1+147.pro6"},
    "r_versions": ["4.5.1"],
    "python_versions": ["3.13.1"],
    "nodes": {"count": 2, "instance_type": "m7i.xlarge"},
    "database": {"min_capacity": 0.5, "max_capacity": 8},
}


PRODUCTION, ADMINISTRATOR = "production", "administrator"
"""Inputs of `deploy`: a cluster that people work on, in the hosted zone of the rehearsal, and files of /etc/rstudio."""


BY_SCHEDULE = "HealNodes"
"""The function that no state calls."""


def payloads(function: str) -> Iterator[dict[str, Any]]:
    """What the states of both machines pass to a function at their first attempt, with expressions as texts; what its
    schedule passes, if it has one.
    """
    for event in RESOURCES[function]["Properties"].get("Events", {}).values():
        yield json.loads(event["Properties"]["Input"])
    for machine in MACHINES:
        for _, state in states(machine):
            arguments = state.get("Arguments", {})
            if state["Type"] == "Task" and str(arguments.get("FunctionName", "")).endswith(f":{function}"):
                payload = arguments["Payload"]
                yield payload if isinstance(payload, dict) else evaluated(payload)


def evaluated(expression: str) -> Any:
    """The value of a payload that is one expression."""
    states = "{'input': {'attempt': 0, 'waited': 0, 'wait_seconds': 0}, 'context': {'Execution': {'Id': 'arn'}}}"
    known = f"$states := {states}; $cluster := ''; $locked := true;"
    return jsonata.Jsonata(f"({known} {expression.strip().removeprefix('{%').removesuffix('%}')})").evaluate(None)


def model_of(function: str) -> type[BaseModel]:
    """The class Event of the function's handler."""
    module = importlib.import_module(f"functions.{folder_of(function)}.app")
    event: type[BaseModel] = module.Event
    return event


def test_each_function_and_each_state_machine_has_its_event() -> None:
    assert sorted(path.stem for path in EVENTS.glob("*.json")) == sorted(
        [*FUNCTIONS, *STATE_MACHINES, PRODUCTION, ADMINISTRATOR]
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_event_is_what_a_state_passes(function: str) -> None:
    event = event_of(function)
    model_of(function).model_validate(event)
    chosen = {key: event[key] for key in ("action", "stack", "locked", "last") if key in event}
    passed = [
        set(payload)
        for payload in payloads(function)
        if all(payload.get(key) == value or str(payload.get(key)).startswith("{%") for key, value in chosen.items())
    ]
    assert set(event) in passed


def test_all_events_are_of_one_cluster_and_one_execution() -> None:
    events = [event_of(function) for function in FUNCTIONS if function != BY_SCHEDULE]
    spoken_of = {(event["cluster"], event["execution"]) for event in events}
    assert spoken_of == {
        ("local", f"arn:aws:states:us-east-1:123456789012:execution:{stack_name()}-deploy:sam-local-invoke")
    }


def test_the_configuration_gets_all_outputs_of_the_foundation() -> None:
    outputs = load((ROOT / "infra/foundation.yaml").read_text(encoding="utf-8"))["Outputs"]
    assert set(event_of("ConfigureNodes")["foundation"]) == set(outputs)


def test_the_inputs_of_the_state_machines_are_accepted() -> None:
    request, wanted = read_input(event_of("DeployStateMachine"), {}, DEFAULTS, stack_name()).whole()
    assert (request.cluster, wanted.nodes.count) == ("workbench", 2)
    assert read_verify_input(event_of("VerifyStateMachine")).cluster == request.cluster
    _, wanted = read_input(event_of(PRODUCTION), {}, DEFAULTS, stack_name()).whole()
    assert wanted.access
    assert wanted.access.hosted_zone_id == ZONE_ID
    _, wanted = read_input(event_of(ADMINISTRATOR), {}, DEFAULTS, stack_name()).whole()
    assert wanted.files.keys() == event_of(ADMINISTRATOR)["files"].keys()


def test_the_plan_of_the_events_is_a_change() -> None:
    _, wanted = read_input(event_of("ResolvePlan")["input"], {}, DEFAULTS, stack_name()).whole()
    assert wanted.database.max_capacity != DEFAULTS["database"]["max_capacity"]


def test_the_readme_says_what_each_event_does_and_how_it_is_given() -> None:
    text = (EVENTS / "README.md").read_text(encoding="utf-8")
    assert COMMAND in text.splitlines()
    assert [name for name in FUNCTIONS if f"| `{name}.json` |" not in text] == []
