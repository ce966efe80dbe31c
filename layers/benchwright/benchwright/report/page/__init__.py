"""The page of an execution, which a person opens in a browser: one file, made from what report.json holds.

Nothing is loaded from elsewhere and nothing runs: the page's own Content-Security-Policy says so. The rehearsal's page
(rehearsal/views/page) has a section of the same template for each of its executions.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchwright.report.diagram import Visit, branches_of, svg
from benchwright.report.history import HISTORY_EVENTS, PAYLOAD_BYTES, clock_face
from benchwright.report.page.timeline import timeline


def html(report: Mapping[str, Any]) -> str:
    """Return the page of a report as `report_of` makes it."""
    found = section(1, report["execution"], report["machine"])
    template = environment().get_template("report.html.j2")
    return template.render(report=report, each=found, executions=[found], time="Time", until="this report")


@cache  # a function that is warm need not compile them again
def environment(*folders: Path) -> jinja2.Environment:
    """Return what renders the templates of this folder, and of others before it."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # what an execution puts out is its own affair
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "clock": lambda seconds: clock_face(seconds).strip(),
        "count": lambda number: f"{number:,}",
        "date": _date,
        "duration": _duration,
        "percent_of": _percent,
        "short": _short,
        "value": _value,
    }
    templates.globals |= {"longest_history": HISTORY_EVENTS, "largest_payload": PAYLOAD_BYTES}
    return templates


def section(number: int, execution: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of one execution, beside what report.json says of it.

    machine: the definition of its state machine.
    """
    kind = execution["state_machine"]
    output = execution["output"] if isinstance(execution["output"], Mapping) else {}
    given = execution["input"] if isinstance(execution["input"], Mapping) else {}
    return {
        **execution,
        "number": number,
        "cluster": output.get("cluster") or given.get("cluster"),
        "message": output.get("message"),
        "clusters": output.get("clusters"),
        "would": output.get("would"),
        "stays": output.get("stays"),
        "deployed": output if "nodes" in output and "would" not in output else {},
        "warnings": output.get("warnings") or [],
        "warned": {warning.partition(":")[0] for warning in output.get("warnings") or ()},
        "plan": list(_plan(execution["plan"] or {})),
        "timeline": timeline(execution, machine),
        "machine": Markup(svg(machine, kind, visited(execution, machine))),
        "failure": failure(execution["cause"], execution["error"]),
        "failed_step": next((state["name"] for state in execution["states"] if state["error"]), None),
    }


def visited(execution: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, Visit]:
    """How the last visit to each state ended; a Parallel state failed if one of its branches ended in a Fail state."""
    ends: dict[str, Visit] = {}
    for state in execution["states"]:
        if state["error"] or state["kind"] == "Fail":
            ends[state["name"]] = "failed"
        else:
            ends[state["name"]] = "succeeded" if state["exited"] else "running"
    for name, definition in machine["States"].items():
        for branch in branches_of(definition):
            fails = [inner for inner, state in branch["States"].items() if state["Type"] == "Fail"]
            if name in ends and any(inner in ends for inner in fails):
                ends[name] = "failed"
    return ends


@dataclass(frozen=True)
class Failure:
    """The cause of a failed execution, in the order in which a person needs it."""

    reason: str
    next_action: str
    evidence: str


def failure(cause: str | None, error: str | None) -> Failure:
    """Take a cause apart (benchwright/failure/explanation.py) without its title, which the heading has."""
    title, _, rest = (cause or "").partition("\n")
    text = rest if error and title.startswith(f"{error} in step ") else (cause or "")
    found = re.search(r"^Next: (.+)$", text, re.MULTILINE)
    text = text.replace(found[0], "", 1) if found else text
    reason, _, evidence = text.partition("\n\nEvidence:\n")
    if not evidence and found:
        reason, _, evidence = text.partition("\n\n\nExecution: ")
        evidence = evidence and f"Execution: {evidence}"
    elif evidence:
        evidence = "Evidence:\n" + re.sub(r"\n{2,}", "\n", evidence)
    return Failure(reason.strip() or "No cause was given.", found[1] if found else "", evidence.strip())


def _plan(plan: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """(key, value, where it came from) of each effective value of the plan."""
    sources: Mapping[str, str] = plan.get("sources") or {}

    def values(path: str, value: Any) -> Iterator[tuple[str, Any, str]]:
        if path not in sources and isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from values(f"{path}.{key}" if path else key, inner)
        elif path:
            yield path, value, sources.get(path, "")

    return values("", plan.get("wanted") or {})


def _percent(count: float, most: float) -> str:
    share = 100 * count / most
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %"


def _date(text: str) -> str:
    moment = datetime.datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _duration(seconds: float) -> str:
    """`24:54`, or `0.7 s` for what a clock does not show."""
    if seconds < 0.05:
        return "< 0.1 s"
    return clock_face(seconds).strip() if seconds >= 10 else f"{seconds:.1f} s"


def _value(value: Any) -> str:
    """A value of the plan in words."""
    if value is None or value in ({}, []):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(text: Any) -> str:
    """With each hash cut to what identifies it."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1…", str(text))
