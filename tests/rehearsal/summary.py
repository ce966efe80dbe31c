"""What a person reads at the end: the cluster, how to connect, or what failed and why."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from tests.rehearsal.progress import clock_face
from tests.rehearsal.report import Execution, Report


def show_execution(console: Console, execution: Execution) -> None:
    """The end of one execution: one line, and what it says."""
    good = execution.status == "SUCCEEDED"
    line = Text.assemble(
        (f"  {execution.status}", "bold green" if good else "bold red"),
        f" after {clock_face(execution.makespan_s).strip()} of AWS time, {execution.transitions} transitions",
    )
    console.print(line)
    if good:
        console.print(Panel(outcome(execution.output), title="the cluster", title_align="left", expand=False))
    elif execution.error or execution.cause:
        text = Text(execution.cause or "", overflow="fold")
        console.print(Panel(text, title=execution.error, title_align="left", border_style="red", expand=False))


def show(console: Console, report: Report, directory: Path) -> None:
    """The end of the rehearsal: its checks, and where the report is."""
    for check in report.checks:
        console.print(Text(f"  does not hold: {check}", style="red"))
    if report.secrets.checked:
        found = report.secrets
        console.print(f"  {found.checked} secrets looked for in {found.places} places, found {found.found}")
    console.print(f"  executions took {report.wall_s:.1f} s here; report: {directory / 'report.json'}")


def outcome(output: Any) -> Text:
    """The output of a successful execution as lines of text."""
    lines = Text()
    for key, value in (output if isinstance(output, dict) else {"output": output}).items():
        lines.append(f"{key}: ", "bold")
        lines.append(f"{value}\n")
    lines.rstrip()
    return lines
