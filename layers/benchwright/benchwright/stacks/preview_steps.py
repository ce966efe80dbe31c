"""What a deployment would do to stacks and nodes, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchwright.dry_run import Change, Step, counted
from benchwright.nodes.preview import Nodes, replacement
from benchwright.stacks.preview import Target, changes_of

STEPS: Mapping[str, str] = {"foundation": "Deploy foundation", "access": "Deploy access", "nodes": "Deploy nodes"}
# Minutes: to create a stack, to change it in place, and for a node to come, or to take the place of another one. As
# long as rehearsals take, which have the times of AWS from public logs.
CREATION: Mapping[str, int] = {"foundation": 15, "access": 4, "nodes": 2}
CHANGE: Mapping[str, int] = {"foundation": 2, "access": 1, "nodes": 1}
NODE_MINUTES, REPLACEMENT_MINUTES = 3, 5
PHRASES = {
    ("create", ""): "gets {}",
    ("change", ""): "changes {} in place",
    ("replace", "kept"): "replaces {}, and keeps what was there",
    ("replace", "lost"): "replaces {}",
    ("remove", "kept"): "no longer has {}, which stays",
    ("remove", "lost"): "removes {}",
}


def steps(
    targets: Mapping[str, Target],
    changes: Mapping[str, Iterable[Mapping[str, Any]]],
    nodes: Nodes,
    removed: Sequence[Change],
) -> list[Step]:
    """Return what each stack would go through, in the order of the workflow. removed: resources of an address."""
    listed = []
    for which, target in targets.items():
        its = changes_of(changes.get(which, ()))
        sentences = list(_sentences(target, its))
        minutes = (CREATION if target.creates else CHANGE)[which] if its else 0
        if which == "nodes":
            sentences += replacement(nodes)
            minutes += 2 * NODE_MINUTES if nodes.all_at_once else REPLACEMENT_MINUTES * nodes.turns
            minutes += NODE_MINUTES if nodes.created and not target.creates else 0
        listed.append(Step(step=STEPS[which], sentences=sentences, changes=its, minutes=minutes))
        if which == "foundation":
            listed.append(database(target))
    if removed:
        sentence = f"The stack of the address is deleted, with {counted(len(removed), 'resource')}."
        listed.append(Step(step="Remove access", sentences=[sentence], changes=list(removed), minutes=5))
    return listed


def database(foundation: Target) -> Step:
    """Say what becomes of the role and the database of Workbench."""
    if not foundation.creates:
        left = "PostgreSQL's role and database of Workbench are looked at, and stay as they are unless one is missing."
        return Step(step="Create database", sentences=[left])
    change = Change(action="create", kind="database", name="rstudio")
    return Step(
        step="Create database",
        sentences=["PostgreSQL gets the role and the database of Workbench."],
        changes=[change],
        minutes=1,
    )


def _sentences(target: Target, changes: Sequence[Change]) -> Iterator[str]:
    name, stack = target.desired.name, target.stack
    if stack and target.action == "wait":
        yield f"The stack {name} is {stack.status}: what would change in it can be said when that has ended."
    elif stack and target.action == "delete stack":
        resources = counted(len(changes), "resource")
        yield f"The stack {name} is {stack.status}: it is deleted, and created with {resources}."
    elif target.creates:
        yield f"The stack {name} is created, with {counted(len(changes), 'resource')}."
    elif not changes:
        yield f"The stack {name} stays as it is."
    else:
        parts = [
            phrase.format(", ".join(each.name for each in changes if (each.action, each.data) == kind))
            for kind, phrase in PHRASES.items()
            if any((each.action, each.data) == kind for each in changes)
        ]
        yield f"The stack {name} {'; '.join(parts)}."
        if uncertain := [each.name for each in changes if each.may_replace]:
            yield f"CloudFormation replaces {', '.join(uncertain)} only if a value demands it that is not known yet."
