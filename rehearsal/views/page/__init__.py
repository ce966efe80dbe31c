"""report.html: the page that a person opens after a rehearsal. One file, made from what report.json holds.

Nothing is loaded from elsewhere and nothing runs: the page's own Content-Security-Policy says so.
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from rehearsal.aws.services.step_functions.quotas import HISTORY_EVENTS, PAYLOAD_BYTES
from rehearsal.views.diagram import Visit, branches_of, svg
from rehearsal.views.page.timeline import timeline
from watch.progress import clock_face

TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.ChainableUndefined,  # what an execution puts out is its own affair
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(report: Mapping[str, Any]) -> str:
    """The page of a report as `Report.data` gives it."""
    template = TEMPLATES.get_template("report.html.j2")
    executions = [_execution(number, execution, report) for number, execution in enumerate(report["executions"], 1)]
    return template.render(
        report=report,
        executions=executions,
        cluster=next((each["cluster"] for each in reversed(executions) if each["cluster"]), None),
        longest_history=HISTORY_EVENTS,
        largest_payload=PAYLOAD_BYTES,
        aws_seconds=sum(execution["makespan_s"] for execution in report["executions"]),
    )


def _execution(number: int, execution: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of one execution, beside what report.json says of it."""
    kind = execution["state_machine"]
    machine = report["machines"][kind]
    output = execution["output"] if isinstance(execution["output"], Mapping) else {}
    given = execution["input"] if isinstance(execution["input"], Mapping) else {}
    deployed = output if "nodes" in output else {}
    return {
        **execution,
        "number": number,
        "cluster": output.get("cluster") or given.get("cluster"),
        "message": output.get("message"),
        "deployed": deployed,
        "warnings": output.get("warnings") or [],
        "warned": {warning.partition(":")[0] for warning in output.get("warnings") or ()},
        "plan": list(_plan(deployed.get("plan") or {})),
        "timeline": timeline(execution, machine),
        "machine": Markup(svg(machine, kind, visited(execution, machine))),
        "services": _services(execution["aws_calls"]),
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


def _services(calls: Mapping[str, int]) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """(service, calls, [(operation, calls)]), the busiest first."""
    services: dict[str, dict[str, int]] = {}
    for call, count in calls.items():
        service, _, operation = call.partition(":")
        services.setdefault(service, {})[operation] = count
    counted = [(service, sum(each.values()), sorted(each.items(), key=_busiest)) for service, each in services.items()]
    return sorted(counted, key=lambda service: (-service[1], service[0]))


def _busiest(operation: tuple[str, int]) -> tuple[int, str]:
    return -operation[1], operation[0]


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


TEMPLATES.filters |= {
    "clock": lambda seconds: clock_face(seconds).strip(),
    "count": lambda number: f"{number:,}",
    "date": _date,
    "duration": _duration,
    "percent_of": _percent,
    "short": _short,
    "value": _value,
}
