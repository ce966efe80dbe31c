"""What is generated in README.md and docs/, and from what. `make docs` writes it, and a test holds it true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from benchwright.report import diagram
from tests.documentation import alarms, costs, files_reference, input_reference, performance, permissions, runbooks
from tests.documentation.pages import ROOT, with_regions
from tests.documentation.recording import FAILURE

DOCS = ROOT / "docs"
MACHINES = ("deploy", "verify", "destroy")

# The generated regions of each page, each between its marks `<!-- begin NAME -->` and `<!-- end NAME -->`.
REGIONS: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    ROOT / "README.md": {
        "input": input_reference.brief_table,
        "failure": lambda: f"```text\n{FAILURE.read_text(encoding='utf-8').strip()}\n```",
        "costs": costs.brief,
    },
    DOCS / "input.md": {"refusal": input_reference.refusal, "keys": input_reference.reference},
    DOCS / "files.md": {"refused": files_reference.refused, "files": files_reference.files},
    DOCS / "deploying.md": {"parameters": input_reference.parameter_table},
    DOCS / "operations.md": {"checks": runbooks.checks, "loops": runbooks.loops, "alarms": alarms.alarm_table},
    DOCS / "security.md": {"roles": permissions.roles, "resources": permissions.resource_policies},
    DOCS / "performance.md": {"numbers": performance.numbers_table, "memory": performance.memory_table},
    DOCS / "costs.md": {"standing": costs.standing_table, "runs": costs.runs_table},
}


def contents() -> dict[Path, str]:
    """What each file with generated parts must hold."""
    pages = {
        path: with_regions(path.read_text(encoding="utf-8"), {name: make() for name, make in regions.items()})
        for path, regions in REGIONS.items()
    }
    pictures = {DOCS / f"{machine}.svg": picture(machine) for machine in MACHINES}
    return {**pictures, DOCS / "input.schema.json": input_reference.schema_text(), **pages}


def picture(machine: str) -> str:
    """The picture of a state machine, without dry runs, beside which its text would be too small."""
    text = (ROOT / "statemachine" / f"{machine}.asl.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, yaml.CSafeLoader)
    for state in definition["States"].values():
        if "Choices" in state:
            state["Choices"] = [rule for rule in state["Choices"] if "dry_run" not in rule["Condition"]]
    return diagram.svg(definition, machine)
