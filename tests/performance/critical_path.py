"""What of a deployment's time is AWS's: its operations, which of them need which, and the longest chain of them.

An operation counts for as long as AWS took, whenever the state machine noticed its end. One that begins while another
that it needs goes on, as an instance boots while its stack is still created, counts from that moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rehearsal.aws.operations import Operation


class Step(NamedTuple):
    """Which state of the machine looks at an operation, which branch it belongs to, and what it needs."""

    state: str
    branch: str
    needs: tuple[str, ...] = ()


STEPS: Mapping[str, Step] = {
    "image": Step("Build image", "image"),
    "change set of foundation": Step("Deploy foundation", "foundation", ("CREATE of foundation",)),
    "CREATE of foundation": Step("Deploy foundation", "foundation", ("change set of foundation",)),
    "UPDATE of foundation": Step("Deploy foundation", "foundation", ("change set of foundation",)),
    # The update of a foundation protects it from deletion, for which nodes need not wait.
    "change set of nodes": Step("Deploy nodes", "nodes", ("image", "CREATE of foundation")),
    "CREATE of nodes": Step("Deploy nodes", "nodes", ("change set of nodes",)),
    "boot": Step("Configure nodes", "nodes", ("CREATE of nodes",)),
    "apply": Step("Configure nodes", "nodes", ("boot", "apply")),
    "report": Step("Verify cluster", "nodes", ("apply",)),
    "cluster": Step("Verify cluster", "nodes", ("apply",)),
}
"""By the name of an operation (`named`), in a first deployment without an address."""


def named(operation: Operation, cluster: str) -> str | None:
    """The name of an operation in STEPS; None if it is no step of a cluster, such as the boot of a build's instance."""
    stack = operation.subject.removeprefix(f"benchwright-{cluster}-")
    if operation.kind in ("stack", "change set"):
        name = f"{operation.detail or operation.kind} of {stack}"
    elif operation.kind == "boot":
        name = "boot" if stack == "nodes-group" else ""
    else:
        name = operation.detail or operation.kind
    return name if name in STEPS else None


class Link(NamedTuple):
    """An operation of the longest chain. counted: the seconds that it adds to the chain. overlapped: whether the next
    one began before its end.
    """

    name: str
    operation: Operation
    counted: float
    overlapped: bool


def chain(operations: Iterable[Operation], cluster: str) -> list[Link]:
    """The longest chain of operations each of which needs the one before it."""
    earliest: dict[Operation, tuple[float, Operation | None]] = {}
    names: dict[Operation, str] = {}
    for each in sorted(operations, key=lambda operation: operation.begun):
        name = named(each, cluster)
        if name is None:
            continue
        before = [other for other in earliest if names[other] in STEPS[name].needs and other.begun < each.begun]
        starts = [(earliest[other][0] + _part(other, each), other) for other in before]
        earliest[each] = max(starts, key=lambda start: start[0], default=(0.0, None))
        names[each] = name
    last = max(earliest, key=lambda each: earliest[each][0] + each.ended - each.begun, default=None)
    links: list[Link] = []
    following: Operation | None = None
    while last is not None:
        counted = last.ended - last.begun if following is None else _part(last, following)
        overlapped = following is not None and following.begun < last.ended
        links.append(Link(names[last], last, counted, overlapped))
        last, following = earliest[last][1], last
    return links[::-1]


def _part(operation: Operation, following: Operation) -> float:
    """The seconds of an operation before the next one began, at most all of it."""
    return min(operation.ended, following.begun) - operation.begun


def lost(links: Iterable[Link], states: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds from the end of each operation of a chain to the next look of the state that waits for it, by its name.

    An operation during which the next one began holds no one up.
    """
    found: dict[str, float] = {}
    for link in links:
        if not link.overlapped:
            looks = (seconds(state["entered"]) for state in states if state["name"] == STEPS[link.name].state)
            seen = min((look for look in looks if look >= link.operation.ended), default=link.operation.ended)
            found[link.name] = found.get(link.name, 0.0) + seen - link.operation.ended
    return found


def one_after_another(operations: Iterable[Operation], cluster: str) -> dict[str, float]:
    """Seconds of AWS's work in each branch, if branches ran one after another: what goes on at once counts once."""
    found: dict[str, float] = {}
    until: dict[str, float] = {}
    for each in sorted(operations, key=lambda operation: operation.begun):
        name = named(each, cluster)
        if name is not None:
            branch = STEPS[name].branch
            begin = max(each.begun, until.get(branch, 0.0))
            found[branch] = found.get(branch, 0.0) + max(0.0, each.ended - begin)
            until[branch] = max(each.ended, begin)
    return found


def seconds(moment: str) -> float:
    """A moment in ISO 8601 as seconds since the epoch."""
    return datetime.datetime.fromisoformat(moment).timestamp()
