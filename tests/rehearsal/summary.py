"""What a person reads at the end: the cluster and how to connect, or what failed and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tests.rehearsal.progress import clock_face
from tests.rehearsal.report import Execution, Report


def show_execution(console: Console, execution: Execution) -> None:
    """The end of one execution: how it ended, and what it says."""
    good = execution.status == "SUCCEEDED"
    console.print(
        Text.assemble(
            (f"  {execution.status}", "bold green" if good else "bold red"),
            (f" {execution.error}" if execution.error else "", "bold red"),
            f" after {clock_face(execution.makespan_s).strip()} of AWS time, {execution.transitions} transitions",
            (f"  {execution.schedule}, by its schedule" if execution.schedule else "", "dim"),
        )
    )
    body = cluster(execution.output) if good else Text(execution.cause or "No cause was given.")
    console.print(Padding(body, (0, 0, 1, 4)))
    if good:
        for line in connection(execution.output):
            console.print(Text(line), soft_wrap=True)  # to be pasted: never folded


def cluster(output: Any) -> RenderableType:
    """The output of a successful execution: the cluster's facts, and its nodes as Workbench lists them."""
    if not isinstance(output, Mapping) or "nodes" not in output:
        message = output.get("message") if isinstance(output, Mapping) else None
        return Text(str(message or output))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in {
        "cluster": output.get("cluster"),
        "workbench": output.get("workbench"),
        "image": output.get("image"),
        "configuration": str(output.get("configuration", ""))[:12],
        "licence": output.get("license"),
        "checks": _checks(output.get("verification") or {}),
        **(output.get("endpoints") or {}),
    }.items():
        if value:
            facts.add_row(name, str(value))
    for warning in output.get("warnings") or ():
        facts.add_row("warning", Text(str(warning), style="yellow"))
    nodes = Text(str(output.get("list_nodes", "")).strip("\n"), no_wrap=True, overflow="ignore")
    return Group(facts, Text(), nodes)


def connection(output: Any) -> list[str]:
    """How to connect, as lines."""
    told = output.get("connection") if isinstance(output, Mapping) else None
    if not told:
        return []
    return [
        f"    To connect: {told['url']} after",
        f"      {told['port_forwarding']}",
        "    or, with this in ~/.ssh/config, `ssh INSTANCE`:",
        *(f"      {line}" for line in told["ssh_config"].splitlines()),
        "",
    ]


def _checks(verification: Mapping[str, Any]) -> str:
    checks = verification.get("checks") or []
    held = sum(bool(check.get("holds")) for check in checks)
    return f"{held} of {len(checks)} hold" if checks else ""


def show(console: Console, report: Report, directory: Path) -> None:
    """The end of the rehearsal: what does not hold, and where the report is."""
    for check in report.checks:
        console.print(Text(f"  does not hold: {check}", style="red"))
    found = report.secrets
    if found.checked:
        console.print(f"  {found.checked} secrets looked for in {found.places} places, found {found.found}")
    if report.policies.judged:
        denied = len(report.policies.denied)
        console.print(f"  {report.policies.judged} calls judged by the policies of their roles, {denied} denied")
    if report.policies.not_judged:
        console.print(Text(f"  calls were not judged by policies: {report.policies.not_judged}", style="yellow"))
    if report.executions:
        plural = "executions" if len(report.executions) > 1 else "execution"
        console.print(f"  {len(report.executions)} {plural} in {report.wall_s:.1f} s of this machine's time")
    console.print(f"  report: {directory / 'report.html'}")
