"""What a person reads at the end of a rehearsal: how each execution ended, and what the judges found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from benchwright.report.history import clock_face
from rehearsal.own_failures import LOG
from rehearsal.views.report import Execution, Report
from watch import summary

NOT_OF_THE_ACCOUNT: Final = "The rehearsal itself failed, as shown below: this says nothing about the account."


def show_execution(console: Console, execution: Execution, *, itself: bool = False) -> None:
    """The end of one execution: how it ended, and what it says.

    itself: whether the rehearsal itself failed. Then the cause of a failure is not the account's, and is not shown.
    """
    summary.show_end(
        console,
        execution.status,
        execution.error,
        f" after {clock_face(execution.makespan_s).strip()} of AWS time, {execution.transitions} transitions",
        f"  {execution.schedule}, by its schedule" if execution.schedule else "",
        output=execution.output,
        cause=NOT_OF_THE_ACCOUNT if itself else execution.cause,
    )


def show(console: Console, report: Report, directory: Path) -> None:
    """The end of the rehearsal: what does not hold, and where the report is."""
    for line in _ending(report, directory):
        summary.show(console, line)


def _ending(report: Report, directory: Path) -> Iterator[Text]:
    for cause in report.itself:
        yield Text(f"  the rehearsal itself failed: {cause}", style="bold red")
    if report.itself:
        yield Text(f"  its log: {directory / 'logs' / LOG}")
    for check in report.checks:
        yield Text(f"  does not hold: {check}", style="red")
    found = report.secrets
    if found.checked:
        yield Text(f"  {found.checked} secrets looked for in {found.places} places, found {found.found}")
    elif found.places:
        yield Text("  no secrets were looked for: there were none")
    if report.policies.judged:
        denied = len(report.policies.denied)
        yield Text(f"  {report.policies.judged} calls judged by the policies of their roles, {denied} denied")
    if report.policies.not_judged:
        yield Text("  after `make tools`, once, a rehearsal also says whether IAM would allow each call", style="dim")
    if report.executions:
        plural = "executions" if len(report.executions) > 1 else "execution"
        yield Text(f"  {len(report.executions)} {plural} in {report.wall_s:.1f} s of this machine's time")
    yield Text(f"  report: {directory / 'report.html'}")
