"""Reads what Workbench prints of its cluster: `rstudio-server list-nodes` and `/load-balancer/status`.

Both are text for people (no JSON form is documented), so the readers accept what was recorded from real systems and
refuse the rest: any text gives a value or UnreadableListing, never a wrong "all nodes are Online".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address

from pydantic import BaseModel

STATUS_SEPARATOR = "=== load-balancer status ==="
COLUMNS = ("ID", "Host", "IPv4", "Port", "Status", "Last Seen")


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
    """Read the table of list-nodes by the offsets of its header, since Status and Last Seen contain spaces.

    Lines before it (the protocol, and a line about logging where a terminal is attached) are passed over. Unknown
    further columns are ignored.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if re.match(r"ID\s{2,}Host\s{2,}", line)), None)
    if start is None:
        if re.search(r"^Nodes\s*$", text, re.MULTILINE) and not re.search(r"^\d+\s{2,}", text, re.MULTILINE):
            return []
        raise UnreadableListing(
            f"list-nodes printed no table with the header {'  '.join(COLUMNS)}: {text.strip()[:200]!r}"
        )
    header = lines[start]
    names = [(match.group(), match.start()) for match in re.finditer(r"\S+(?: \S+)*", header)]
    if missing := [name for name in COLUMNS if name not in dict(names)]:
        raise UnreadableListing(f"list-nodes has no column {', '.join(missing)}: {header!r}")
    ends = [*(offset for _, offset in names[1:]), None]
    rows = []
    for line in lines[start + 1 :]:
        if not line.strip():
            break
        cells = {name: line[offset:end].strip() for (name, offset), end in zip(names, ends, strict=True)}
        rows.append(_row(cells, line))
    return rows


def read_load_balancer_status(text: str) -> list[BalancedNode]:
    """Read /load-balancer/status: a line per node, indented lines for its sessions."""
    nodes: list[BalancedNode] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        if node := re.fullmatch(r"(\S+?)(?::\d+)? [-\u2013\u2014] (\S+)\s+Load: ([\d.e+-]+(?:, [\d.e+-]+)*)\s*", line):
            nodes.append(
                BalancedNode(host=node[1], ipv4=_address(node[2], line), load=_numbers(node[3], line), sessions=[])
            )
        elif (session := re.fullmatch(r"\s+\d+ [-\u2013\u2014] (.+?)\s*", line)) and nodes:
            nodes[-1].sessions.append(session[1])
        else:
            raise UnreadableListing(f"/load-balancer/status printed a line of unknown form: {line[:200]!r}")
    return nodes


def split_output(output: str) -> tuple[str, str]:
    """Separate what the node script prints in its mode `cluster`: list-nodes, then /load-balancer/status."""
    listing, separator, status = output.partition(f"{STATUS_SEPARATOR}\n")
    if not separator:
        raise UnreadableListing(f"the node printed no line {STATUS_SEPARATOR!r}: {output.strip()[-200:]!r}")
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


def _row(cells: dict[str, str], line: str) -> ListedNode:
    if not (cells["ID"].isascii() and cells["ID"].isdigit() and cells["Port"].isascii() and cells["Port"].isdigit()):
        raise UnreadableListing(f"list-nodes printed a row of unknown form: {line[:200]!r}")
    return ListedNode(
        id=int(cells["ID"]),
        host=cells["Host"],
        ipv4=_address(cells["IPv4"], line),
        port=int(cells["Port"]),
        status=cells["Status"],
        last_seen=cells["Last Seen"],
    )


def _address(text: str, line: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise UnreadableListing(f"{text!r} is no IPv4 address in the line {line[:200]!r}") from None


def _numbers(text: str, line: str) -> list[float]:
    try:
        return [float(number) for number in text.split(", ")]
    except ValueError:
        raise UnreadableListing(f"{text!r} are no load averages in the line {line[:200]!r}") from None
