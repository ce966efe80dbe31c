"""What a person reads at the end: the cluster and how to connect, or what failed and why."""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rehearsal.own_failures import LOG
from rehearsal.views.progress import clock_face
from rehearsal.views.report import Execution, Report

INDENT: Final = "    "
NOT_OF_THE_ACCOUNT: Final = "The rehearsal itself failed, as shown below: this says nothing about the account."


def show_execution(console: Console, execution: Execution, *, itself: bool = False) -> None:
    """The end of one execution: how it ended, and what it says.

    itself: whether the rehearsal itself failed. Then the cause of a failure is not the account's, and is not shown.
    """
    good = execution.status == "SUCCEEDED"
    _show(
        console,
        Text.assemble(
            (f"  {execution.status}", "bold green" if good else "bold red"),
            (f" {execution.error}" if execution.error else "", "bold red"),
            f" after {clock_face(execution.makespan_s).strip()} of AWS time, {execution.transitions} transitions",
            (f"  {execution.schedule}, by its schedule" if execution.schedule else "", "dim"),
        ),
    )
    reported = NOT_OF_THE_ACCOUNT if itself else execution.cause or "No cause was given."
    cause = (Text(line) for line in reported.splitlines())
    for line in cluster(execution.output, console.width if console.is_terminal else None) if good else cause:
        _show(console, Text.assemble(INDENT if line else "", line))
    _show(console, Text())
    if good:
        for reported in connection(execution.output):
            _show(console, Text(reported))


def cluster(output: Any, width: int | None = None) -> Iterator[Text]:
    """The output of a successful execution as lines: the cluster's facts, and its nodes as Workbench lists them.

    width: columns at which a sentence is folded, none where there is no terminal.
    """
    if not isinstance(output, Mapping) or "nodes" not in output:
        message = output.get("message") if isinstance(output, Mapping) else None
        yield Text(str(message or output))
        return
    facts = [
        ("cluster", output.get("cluster")),
        ("workbench", output.get("workbench")),
        ("image", output.get("image")),
        ("configuration", str(output.get("configuration", ""))[:12]),
        ("licence", output.get("license")),
        ("users", ", ".join(f"{name} ({user['uid']})" for name, user in _users(output.get("plan") or {}).items())),
        ("checks", _checks(output.get("verification") or {})),
        *(output.get("endpoints") or {}).items(),
        *(("warning", warning) for warning in output.get("warnings") or ()),
    ]
    column = max(len(name) for name, value in facts if value) + 2
    for name, value in facts:
        if value:
            reported = _folded(str(value), width and width - column - len(INDENT))
            for number, line in enumerate(reported):
                style = "yellow" if name == "warning" else ""
                yield Text.assemble((f"{'' if number else name:<{column}}", "dim"), (line, style))
    yield Text()
    for listed in str(output.get("list_nodes", "")).strip("\n").splitlines():
        yield Text(listed)


def _folded(text: str, width: int | None) -> list[str]:
    """Lines of a text, folded between words alone: names, addresses and commands stay whole."""
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)


def _show(console: Console, line: Text) -> None:
    """A line that is neither folded nor filled with blanks: it may be pasted, or searched in a file."""
    line.rstrip()
    console.print(line, soft_wrap=True)


def connection(output: Any) -> list[str]:
    """How to connect, as lines."""
    reported = output.get("connection") if isinstance(output, Mapping) else None
    if not reported:
        return []
    tunnel = "http://localhost:8787"
    return [
        *([] if reported["url"] == tunnel else [f"    People connect to {reported['url']}"]),
        f"    To connect through a tunnel: {tunnel} after",
        f"      {reported['port_forwarding']}",
        "    or, with this in ~/.ssh/config, `ssh INSTANCE`:",
        *(f"      {line}" for line in reported["ssh_config"].splitlines()),
        "",
    ]


def _users(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    users: Mapping[str, Any] = (plan.get("wanted") or {}).get("users") or {}
    return users


def _checks(verification: Mapping[str, Any]) -> str:
    checks = verification.get("checks") or []
    held = sum(bool(check.get("holds")) for check in checks)
    return f"{held} of {len(checks)} hold" if checks else ""


def show(console: Console, report: Report, directory: Path) -> None:
    """The end of the rehearsal: what does not hold, and where the report is."""
    for line in _ending(report, directory):
        _show(console, line)


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
