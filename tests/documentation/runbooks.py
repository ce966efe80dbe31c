"""The generated parts of docs/operations.md: the checks of a verification, and how long each loop waits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from benchwright import errors
from benchwright.verification.checks import REMEDIES
from benchwright.waits import BUILD_SECONDS, CREATION, CREATION_BESIDE_BUILD, WAITS, WHILE_BUILDING, WHILE_DISTRIBUTING
from tests.documentation.input_reference import escaped
from tests.documentation.pages import ROOT, table

State = Mapping[str, Any]
LIMIT = re.compile(r"\$states\.input\.waited >= (\d+)")


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
    """Each loop of `deploy` and those of `destroy` alone: what it repeats, how long it waits, and when it gives up."""
    rows: dict[str, list[str]] = {}
    for machine in ("deploy", "destroy"):
        definition = yaml.load((ROOT / "statemachine" / f"{machine}.asl.yaml").read_text("utf-8"), yaml.CSafeLoader)
        for states in _scopes(definition):
            for state in states.values():
                for choice in state.get("Choices", []):
                    if limit := LIMIT.search(choice["Condition"]):
                        step = states[state["Default"]]["Next"]
                        rows.setdefault(step, [f"`{step}`", _every(step), _duration(int(limit[1]))])
    return table(["step", "looks every", "gives up after"], [*rows.values()])


def _every(step: str) -> str:
    if step == "Build image":
        first, last = WHILE_DISTRIBUTING.first, WHILE_DISTRIBUTING.longest
        hundredth = "then a hundredth of what was waited"
        built = f"{WHILE_BUILDING} s for {BUILD_SECONDS // 60} minutes, {hundredth}"
        return f"{built}; while it is distributed {first} s, later {last} s"
    waits = f"{WAITS[step].first} s, later {WAITS[step].longest} s"
    if step == "Deploy foundation":
        beside, alone = CREATION_BESIDE_BUILD.longest, CREATION.longest
        return f"{waits}; while it is created {beside} s, and {alone} s once there is an image"
    return waits


def _scopes(machine: Mapping[str, Any]) -> Iterator[Mapping[str, State]]:
    """The states of each branch in a machine, then its own."""
    for state in machine["States"].values():
        for branch in state.get("Branches", []):
            yield from _scopes(branch)
    yield machine["States"]


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"
