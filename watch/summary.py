"""What a person reads at the end of an execution: the cluster and how to connect, or what failed and why."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

INDENT: Final = "    "
MOST_ADDRESSES: Final = 3


def show_end(
    console: Console, status: str, error: str | None, duration: str, by: str = "", *, output: Any, cause: str | None
) -> None:
    """How an execution ended, and what it says: its output if it SUCCEEDED, else the cause.

    output: parsed. duration, by: what follows the status in its line.
    """
    good = status == "SUCCEEDED"
    show(
        console,
        Text.assemble(
            (f"  {status}", "bold green" if good else "bold red"),
            (f" {error}" if error else "", "bold red"),
            duration,
            (by, "dim"),
        ),
    )
    lines = (Text(line) for line in (cause or "No cause was given.").splitlines())
    for line in cluster(output, console.width if console.is_terminal else None) if good else lines:
        show(console, Text.assemble(INDENT if line else "", line))
    show(console, Text())
    if good:
        for reported in connection(output):
            show(console, Text(reported))


def cluster(output: Any, width: int | None = None) -> Iterator[Text]:
    """The output of a successful execution as lines: the cluster's facts, and its nodes as Workbench lists them.

    width: columns at which a sentence is folded, none where there is no terminal.
    """
    if isinstance(output, Mapping) and output.get("dry_run"):
        yield from would(output, width)
        yield from _link(output)
        return
    if not isinstance(output, Mapping) or "nodes" not in output:
        message = output.get("message") if isinstance(output, Mapping) else None
        yield Text(str(message or output))
        yield from stays(output.get("stays") or () if isinstance(output, Mapping) else ())
        yield from _link(output if isinstance(output, Mapping) else {})
        return
    facts = [
        ("cluster", output.get("cluster")),
        ("workbench", output.get("workbench")),
        ("image", output.get("image")),
        ("configuration", str(output.get("configuration", ""))[:12]),
        ("licence", output.get("license")),
        ("users", ", ".join(f"{name} ({user['uid']})" for name, user in _users(output.get("plan") or {}).items())),
        ("checks", _checks(output.get("verification") or {})),
        ("sessions", _spread(output.get("sessions") or {})),
        *(output.get("endpoints") or {}).items(),
        ("metrics", _first(output.get("metrics") or [])),
        ("report", _report(output.get("report") or {})),
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


def would(output: Mapping[str, Any], width: int | None = None) -> Iterator[Text]:
    """The output of a dry run as lines: for each step what it would do, and what may fail later."""
    yield Text(str(output["message"]))
    said = [line.partition(": ")[::2] for line in output["would"]]
    said += [("warning", warning) for warning in output.get("warnings") or ()]
    column = max(len(name) for name, _ in said) + 2
    before = ""
    for name, sentence in said:
        for number, line in enumerate(_folded(sentence, width and width - column - len(INDENT))):
            style = "yellow" if name == "warning" else ""
            yield Text.assemble((f"{'' if number or name == before else name:<{column}}", "dim"), (line, style))
        before = name


def stays(things: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """What a destroy left, as lines: each thing that costs, goes by itself or has a note, and how many others."""
    listed = [each for each in things if each["monthly_usd"] or each["until"] or each["note"]]
    column = max((len(each["what"]) for each in listed), default=0) + 2
    for each in listed:
        costs = f"{each['monthly_usd']:.2f} USD a month" if each["monthly_usd"] else ""
        until = f"until {each['until']}" if each["until"] else ""
        details = "; ".join(filter(None, (costs, until, each["note"])))
        yield Text.assemble((f"{each['what']:<{column}}", "dim"), f"{each['id']}  ", (details, "dim"))
    if len(things) > len(listed):
        yield Text(
            f"and {len(things) - len(listed)} that cost nothing: `stays` of the output, and the report, have all."
        )


def _folded(text: str, width: int | None) -> list[str]:
    """Lines of a text, folded between words alone: names, addresses and commands stay whole."""
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)


def show(console: Console, line: Text) -> None:
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
        *_acceptance(output.get("acceptance") or {}),
        "",
    ]


def _acceptance(reported: Mapping[str, Any]) -> list[str]:
    return (
        [
            "    To test it with posit-vip, with `acceptance.vip_toml` of the output in the file vip.toml:",
            f"      {reported['command']}",
        ]
        if reported
        else []
    )


def _users(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    users: Mapping[str, Any] = (plan.get("wanted") or {}).get("users") or {}
    return users


def _spread(opened: Mapping[str, Any]) -> str:
    """How many of the sessions that a verification opened ran on each instance."""
    return ", ".join(f"{count} on {instance}" for instance, count in (opened.get("sessions") or {}).items())


def _link(output: Mapping[str, Any]) -> Iterator[Text]:
    """Where the report is, of an execution that ends with little else."""
    if address := _report(output.get("report") or {}):
        yield Text.assemble(("report  ", "dim"), address)


def _report(addresses: Mapping[str, Any]) -> str:
    return str(addresses.get("console") or addresses.get("page") or "")


def _first(addresses: Sequence[str]) -> str:
    """The address of each node, or of the first of many."""
    more = [f"and {len(addresses) - MOST_ADDRESSES} more"] if len(addresses) > MOST_ADDRESSES else []
    return ", ".join([*addresses[:MOST_ADDRESSES], *more])


def _checks(verification: Mapping[str, Any]) -> str:
    checks = verification.get("checks") or []
    held = sum(bool(check.get("holds")) for check in checks)
    return f"{held} of {len(checks)} hold" if checks else ""
