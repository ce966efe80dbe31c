"""A definition, checked as CreateStateMachine checks it."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonata

_JSONPATH_FIELDS = frozenset(
    f"{name}Path" for name in ("Input", "Output", "Result", "Items", "Seconds", "Timestamp", "TimeoutSeconds", "Cause")
) | {"Parameters", "ResultSelector", "Variable", "ErrorPath", "HeartbeatSecondsPath", "MaxConcurrencyPath"}

_INTEGRATIONS = frozenset({"arn:aws:states:::lambda:invoke", "arn:aws:states:::sns:publish"})
_JSONATA_FIELDS = frozenset({"Arguments", "Output", "Items", "Condition"})


def check_definition(definition: Mapping[str, Any]) -> list[str]:
    """What AWS would refuse and moto does not: `CODE: message at /path`, as AWS words it."""
    return list(_machine_problems(definition, definition.get("QueryLanguage", "JSONPath"), "", set()))


def _machine_problems(machine: Mapping[str, Any], language: str, path: str, seen: set[str]) -> Iterator[str]:
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {machine.get('StartAt')} at {path}/StartAt"
    reached = {machine.get("StartAt")}
    for name, state in states.items():
        here = f"{path}/States/{name}"
        if name in seen:
            yield f"DUPLICATE_STATE_NAME: Duplicate State name: {name} at {here}"
        if len(name) > 80:
            yield f"SCHEMA_VALIDATION_FAILED: State name is longer than 80 characters at {here}"
        seen.add(name)
        for field, target in _targets(state):
            reached.add(target)
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {here}/{field}"
        yield from _state_problems(state, state.get("QueryLanguage", language), here)
        for field, inner in _inner_machines(state):
            yield from _machine_problems(inner, inner.get("QueryLanguage", language), f"{here}/{field}", seen)
    for name in states:
        if name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Catch", "Choices"):
        for index, rule in enumerate(state.get(field, [])):
            yield f"{field}[{index}]/Next", rule.get("Next")


def _inner_machines(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, branch in enumerate(state.get("Branches", [])):
        yield f"Branches[{index}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]


def _state_problems(state: Mapping[str, Any], language: str, path: str) -> Iterator[str]:
    kind = state.get("Type")
    if kind in {"Task", "Pass", "Wait", "Parallel", "Map"} and ("Next" in state) == bool(state.get("End")):
        yield f"SCHEMA_VALIDATION_FAILED: A {kind} state must have exactly one of Next and End at {path}"
    if kind == "Task" and state.get("Resource") not in _INTEGRATIONS:
        yield f"The rehearsal does not implement the resource {state.get('Resource')} at {path}/Resource"
    foreign = _JSONPATH_FIELDS if language == "JSONata" else _JSONATA_FIELDS
    for owner, where in ((state, path), *((rule, f"{path}/Choices") for rule in state.get("Choices", []))):
        for field in sorted(foreign & owner.keys()):
            yield f"SCHEMA_VALIDATION_FAILED: Field is not supported with QueryLanguage {language} at {where}/{field}"
    for index, retrier in enumerate(state.get("Retry", [])[:-1]):
        if "States.ALL" in retrier.get("ErrorEquals", []):
            yield f"SCHEMA_VALIDATION_FAILED: States.ALL must be in the last retrier at {path}/Retry[{index}]"
    if language == "JSONata":
        outer = {
            field: value for field, value in state.items() if field not in {"Branches", "ItemProcessor", "Iterator"}
        }
        yield from _expression_problems(outer, path)


def _expression_problems(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key != "Comment":
                yield from _expression_problems(member, f"{path}/{key}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _expression_problems(member, f"{path}[{index}]")
    elif isinstance(value, str) and value.startswith("{%"):
        if not value.endswith("%}"):
            yield f"SCHEMA_VALIDATION_FAILED: The JSONata expression does not end with %}} at {path}"
            return
        try:
            jsonata.Jsonata(value[2:-2])
        except Exception as error:
            yield f"SCHEMA_VALIDATION_FAILED: The JSONata expression is not valid: {error} at {path}"
