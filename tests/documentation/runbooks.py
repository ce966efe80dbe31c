"""The generated parts of docs/operations.md: the checks of a verification, and how long each loop waits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from jsonata import Jsonata

from benchwright import errors
from benchwright.verification.checks import REMEDIES
from tests.documentation.input_reference import escaped
from tests.documentation.pages import ROOT, table

State = Mapping[str, Any]
ATTEMPTS = re.compile(r"\$states\.input\.attempt >= (\d+)")


def named_errors() -> set[str]:
    """The names with which an execution can fail."""
    return {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, errors.BenchwrightError)
        and value is not errors.BenchwrightError
    }


def checks() -> str:
    return table(["check", "remedy"], [[name, escaped(remedy)] for name, remedy in REMEDIES.items()])


def loops() -> str:
    """Each loop of `deploy`: what it repeats, how often it looks, and after how much waiting it gives up."""
    definition = yaml.load((ROOT / "statemachine" / "deploy.asl.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    rows = []
    for states in _scopes(definition):
        for state in states.values():
            looks = next((int(found[1]) for choice in state.get("Choices", []) if (found := _attempts(choice))), 0)
            if looks:
                wait = states[state["Default"]]
                pauses = [_seconds(wait["Seconds"], look) for look in range(1, looks + 1)]
                every = ", later ".join(f"{seconds} s" for seconds in dict.fromkeys(pauses))
                rows.append([f"`{wait['Next']}`", str(looks), every, _duration(sum(pauses))])
    return table(["step", "looks", "every", "gives up after"], rows)


def _seconds(wanted: int | str, look: int) -> int:
    """The pause after a look, where it may be an expression."""
    if isinstance(wanted, int):
        return wanted
    states = {"input": {"attempt": look}}
    return int(Jsonata(f"($states := {json.dumps(states)}; {wanted.strip('{%}')})").evaluate({}))


def _attempts(choice: Mapping[str, Any]) -> re.Match[str] | None:
    return ATTEMPTS.search(choice["Condition"])


def _scopes(machine: Mapping[str, Any]) -> Iterator[Mapping[str, State]]:
    """The states of each branch in a machine, then its own."""
    for state in machine["States"].values():
        for branch in state.get("Branches", []):
            yield from _scopes(branch)
    yield machine["States"]


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"
