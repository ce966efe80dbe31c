"""Reads what Workbench prints of its cluster: `rstudio-server list-nodes` and `/load-balancer/status`.

Both are text for people (no JSON form is documented), so the readers accept what was recorded from real systems and
refuse the rest: any text gives a value or UnreadableListing, never a wrong "all nodes are Online".
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from itertools import takewhile

from pydantic import BaseModel

STATUS_SEPARATOR = "=== load-balancer status ==="
ADDRESS_SEPARATOR, SIGN_IN_SEPARATOR = "=== address ===", "=== sign-in ==="
COLUMNS = ("ID", "Host", "IPv4", "Port", "Status", "Last Seen")
CELL = re.compile(r"\S+(?: \S+)*")
FIRST_CELL = re.compile(r" *[0-9]+ ")
ADDRESS_CELL = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
NODE_LINE = re.compile(r"(\S+?)(?::[0-9]+)? [-\u2013\u2014] (\S+) +Load: ([0-9.e+-]+(?:, [0-9.e+-]+)*) *")
SESSION_LINE = re.compile(r" +[0-9]+ [-\u2013\u2014] (.*\S) *")


class UnreadableListing(ValueError):
    """The output is not in a form that Workbench is known to print; the message quotes the line."""


class ListedNode(BaseModel):
    """A row of list-nodes."""

    id: int
    host: str
    ipv4: str
    port: int
    status: str
    last_seen: str


class BalancedNode(BaseModel):
    """A node in /load-balancer/status: its address, its load averages, and the sessions on it as `user program`."""

    host: str
    ipv4: str
    load: list[float]
    sessions: list[str]


def read_list_nodes(text: str) -> list[ListedNode]:
    """Read the table of list-nodes by the names and offsets in its header, in any order: Status and Last Seen contain
    spaces.

    Lines before it (the protocol, and a line about logging where a terminal is attached) are ignored unless they look
    like a row, and unknown further columns too. Nothing is known to follow the table: what does may be a row. Without a
    header, only a table that has no line at all is one without nodes.
    """
    lines = text.splitlines()
    headers = [number for number, line in enumerate(lines) if {"ID", "Host"} <= set(CELL.findall(line))]
    if not headers:
        titles = [number for number, line in enumerate(lines) if line.rstrip() == "Nodes"]
        if titles and not any(line.strip(" -") for line in lines[titles[0] + 1 :]):
            return []
        raise UnreadableListing(
            f"list-nodes printed no table with the header {'  '.join(COLUMNS)}: {text.strip()[:200]!r}"
        )
    header = lines[headers[0]]
    columns = [(match.group(), match.start()) for match in CELL.finditer(header)]
    names = [name for name, _ in columns]
    if missing := [name for name in COLUMNS if names.count(name) != 1]:
        raise UnreadableListing(f"list-nodes has no column {', '.join(missing)}, or has it twice: {header[:200]!r}")
    rows = list(takewhile(str.strip, lines[headers[0] + 1 :]))
    outside = [line for line in lines[: headers[0]] if _looks_like_a_row(line)]
    outside += filter(str.strip, lines[headers[0] + 1 + len(rows) :])
    if outside:
        raise UnreadableListing(f"list-nodes printed a row outside of its table: {outside[0][:200]!r}")
    nodes = [_row(_cells(line, columns), line) for line in rows]
    if len({node.id for node in nodes}) < len(nodes):
        raise UnreadableListing(f"list-nodes printed an id twice: {rows!r:.200}")
    return nodes


def read_load_balancer_status(text: str) -> tuple[list[BalancedNode], list[str]]:
    """Read /load-balancer/status: a line per node, indented lines for its sessions. Return what could be read, and the
    lines of another form; what is indented below such a line is of no node.
    """
    nodes: list[BalancedNode] = []
    unreadable: list[str] = []
    above: BalancedNode | None = None
    for line in filter(str.strip, text.splitlines()):
        if node := _balanced(line):
            nodes.append(node)
            above = node
        elif above and (session := SESSION_LINE.fullmatch(line)):
            above.sessions.append(session[1])
        else:
            unreadable.append(line[:200])
            above = above if line[0].isspace() else None
    return nodes, unreadable


def split_output(output: str) -> tuple[str, str]:
    """Separate what the node script prints in its mode `cluster`: list-nodes, then /load-balancer/status.

    What follows of the address and of the identity provider, where there are any, is left out.
    """
    listing, separator, status = output.partition(f"{STATUS_SEPARATOR}\n")
    if not separator:
        raise UnreadableListing(f"the node printed no line {STATUS_SEPARATOR!r}: {output.strip()[-200:]!r}")
    for following in (ADDRESS_SEPARATOR, SIGN_IN_SEPARATOR):
        status = status.partition(f"{following}\n")[0]
    return listing, status


def table(nodes: Sequence[ListedNode]) -> str:
    """Print the nodes as list-nodes does, for a summary."""
    rows = [
        COLUMNS,
        *((str(node.id), node.host, node.ipv4, str(node.port), node.status, node.last_seen) for node in nodes),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _looks_like_a_row(line: str) -> bool:
    return bool(FIRST_CELL.match(line)) or any(map(ADDRESS_CELL.fullmatch, CELL.findall(line)))


def _cells(line: str, columns: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Cut a row where its header's columns begin.

    A row that does not stand below its header is refused, or part of one cell could be taken for another.
    """
    ends = [*(offset for _, offset in columns[1:]), None]
    cells = {name: line[offset:end].strip() for (name, offset), end in zip(columns, ends, strict=True)}
    straddles = any(line[offset - 2 : offset].strip() for _, offset in columns[1:])
    if straddles or any("  " in cell for cell in cells.values()):
        raise UnreadableListing(f"list-nodes printed a row that does not fit its header: {line[:200]!r}")
    return cells


def _row(cells: Mapping[str, str], line: str) -> ListedNode:
    return ListedNode(
        id=_number(cells["ID"], line),
        host=cells["Host"],
        ipv4=_address(cells["IPv4"], line),
        port=_number(cells["Port"], line),
        status=cells["Status"],
        last_seen=cells["Last Seen"],
    )


def _number(text: str, line: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise UnreadableListing(f"list-nodes printed a row of unknown form: {line[:200]!r}")
    return int(text)


def _address(text: str, line: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise UnreadableListing(f"{text[:50]!r} is no IPv4 address in the line {line[:200]!r}") from None


def _balanced(line: str) -> BalancedNode | None:
    if not (node := NODE_LINE.fullmatch(line)):
        return None
    try:
        load = [float(number) for number in node[3].split(", ")]
        return BalancedNode(host=node[1], ipv4=str(IPv4Address(node[2])), load=load, sessions=[])
    except ValueError:
        return None
