"""One execution as its report has it: what it got, planned, changed, verified and answered, and how long all took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from benchwright.report import history
from benchwright.report.history import History, State


@dataclass(kw_only=True)
class Execution:
    """Times are in seconds; `started` is in ISO 8601. plan, changes: None where the execution did not get that far."""

    state_machine: str
    name: str = ""
    status: str
    input: Any
    output: Any
    error: str | None = None
    cause: str | None = None
    plan: Any = None
    changes: list[str] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    started: str = ""
    makespan_s: float = 0.0
    critical_path_s: float = 0.0
    states: list[State] = field(default_factory=list)
    transitions: int = 0
    lambda_invocations: dict[str, int] = field(default_factory=dict)
    max_payload_bytes: int = 0
    history_events: int = 0

    @classmethod
    def read(
        cls,
        state_machine: str,
        described: Mapping[str, Any],
        read: History,
        functions: Mapping[str, str],
        **more: Any,
    ) -> Self:
        """Take what DescribeExecution and GetExecutionHistory answer.

        functions: the logical id of each function by its name. more: what a report has beside that.
        """
        output = history.parsed(described.get("output"))
        return cls(
            state_machine=state_machine,
            name=described.get("name", ""),
            status=described["status"],
            input=history.parsed(described.get("input")),
            output=output,
            error=described.get("error"),
            cause=described.get("cause"),
            plan=read.plan,
            changes=read.changes,
            versions=versions(read.plan, output),
            started=history.iso(read.events[0]),
            makespan_s=history.makespan(read.events),
            critical_path_s=history.critical_path(read.events),
            states=history.visits(read.events),
            transitions=history.transitions(read.events),
            lambda_invocations=history.invocations(read.events, functions),
            max_payload_bytes=read.max_payload,
            history_events=len(read.events),
            **more,
        )


def versions(plan: Mapping[str, Any] | None, output: Any) -> dict[str, str]:
    """Return the versions that the execution planned or found, by what they are of."""
    wanted = (plan or {}).get("wanted") or {}
    found = output if isinstance(output, Mapping) else {}
    named = {
        "Workbench": found.get("workbench") or (wanted.get("workbench") or {}).get("version"),
        "R": ", ".join(wanted.get("r_versions") or ()),
        "Python": ", ".join(wanted.get("python_versions") or ()),
        "PostgreSQL": (found.get("database") or {}).get("server_version"),
        "Image": found.get("image"),
        "Configuration": found.get("configuration"),
    }
    return {name: str(version) for name, version in named.items() if version}
