"""report.html: the page that a person opens after a rehearsal. One file, made from what report.json holds.

Each execution has the section that its own report has in an account; around them is what only a rehearsal knows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchwright.report.page import environment, section


def html(report: Mapping[str, Any]) -> str:
    """The page of a report as `Report.data` gives it."""
    executions = [
        {
            **section(number, execution, report["machines"][execution["state_machine"]]),
            "services": _services(execution["aws_calls"]),
        }
        for number, execution in enumerate(report["executions"], 1)
    ]
    template = environment(Path(__file__).parent).get_template("rehearsal.html.j2")
    return template.render(
        report=report,
        executions=executions,
        cluster=next((each["cluster"] for each in reversed(executions) if each["cluster"]), None),
        aws_seconds=sum(execution["makespan_s"] for execution in report["executions"]),
        time="AWS time",
        until="end",
    )


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
