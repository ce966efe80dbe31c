"""What a definition in Amazon States Language says of the order of its states, without its arguments and retries.

A scope is the machine, one branch of a Parallel state, or what a Map state does with each item. Its states are divided
into the normal path and the failure path: what only a Catch, or a Choice that gives up, leads to. The edges into the
failure path are not kept one by one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PLAIN_CONDITION: Final = re.compile(r"\{%\s*\$(?:states\.input\.)?(\w+)\s*%\}")
ABSENT: Final = re.compile(r"= ''\s*%\}$")


@dataclass(frozen=True)
class Edge:
    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class State:
    """`branches` are those of a Parallel state; a Map state has one."""

    name: str
    kind: str
    comment: str
    branches: tuple["Scope", ...]


@dataclass(frozen=True)
class Scope:
    """`spine` is the main path from the first state to an end; `failure` is the failure path, if there is one."""

    states: Mapping[str, State]
    edges: tuple[Edge, ...]
    spine: tuple[str, ...]
    failure: "Scope | None" = None


def outline(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition without arguments, outputs and retries: as much as makes its picture."""
    states = {}
    for name, state in definition["States"].items():
        kept = {key: state[key] for key in ("Type", "Comment", "Next", "Default") if key in state}
        for key, inner in (("Catch", ("Next",)), ("Choices", ("Condition", "Next"))):
            if key in state:
                kept[key] = [{word: rule[word] for word in inner} for rule in state[key]]
        if "Branches" in state:
            kept["Branches"] = [outline(branch) for branch in state["Branches"]]
        if "ItemProcessor" in state:
            kept["ItemProcessor"] = outline(state["ItemProcessor"])
        states[name] = kept
    return {"StartAt": definition["StartAt"], "States": states}


def branches_of(state: Mapping[str, Any]) -> list[Any]:
    """The definitions within a state: the branches of a Parallel, or what a Map does with each item."""
    return [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def scope(definition: Mapping[str, Any]) -> Scope:
    """The scope of a machine's definition, or of a branch: what has `StartAt` and `States`."""
    states: Mapping[str, Mapping[str, Any]] = definition["States"]
    caught = {target for state in states.values() for target in _failures(state) if not _may_succeed(states, target)}
    failing = {name for target in caught for name in _reachable(states, target, without=set())}
    normal = _reachable(states, definition["StartAt"], without=failing)
    path = _part(states, definition["StartAt"], normal)
    entries = [name for name in states if name in caught]
    if not entries:
        return path
    failure = _part(states, entries[0], _reachable(states, entries[0], without=set(normal)))
    return Scope(path.states, path.edges, path.spine, failure)


def _part(states: Mapping[str, Mapping[str, Any]], start: str, names: Sequence[str]) -> Scope:
    edges = tuple(edge for name in names for edge in _edges(name, states[name]) if edge.target in names)
    return Scope(
        states={name: _state(name, states[name]) for name in names},
        edges=edges,
        spine=_spine(start, edges),
    )


def _state(name: str, state: Mapping[str, Any]) -> State:
    branches = tuple(scope(branch) for branch in branches_of(state))
    return State(name, state["Type"], " ".join(state.get("Comment", "").split()), branches)


def _failures(state: Mapping[str, Any]) -> Iterator[str]:
    """Where a Catch leads that does more than to go on."""
    yield from (catch["Next"] for catch in state.get("Catch", ()) if catch["Next"] != state.get("Next"))


def _may_succeed(states: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether a state leads to a success: a Catch that does is no failure."""
    return any(states[each]["Type"] == "Succeed" for each in _reachable(states, name, without=set()))


def _edges(name: str, state: Mapping[str, Any]) -> list[Edge]:
    """What leads out of a state unless it fails; of a Choice with its answers."""
    if "Next" in state:
        return [Edge(name, state["Next"])]
    rules = state.get("Choices", ())
    edges = [Edge(name, rule["Next"], label) for rule, label in zip(rules, answers(rules), strict=True)]
    if "Default" in state:
        said = {edge.label for edge in edges}
        edges.append(Edge(name, state["Default"], "yes" if "no" in said else "no"))
    return edges


def answers(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each rule answers to the question that is the name of the Choice.

    Questions are asked so that the first bare variable means yes; further ones are named; `… = ''` means no.
    """
    said: list[str] = []
    for rule in rules:
        plain = PLAIN_CONDITION.fullmatch(rule["Condition"])
        if plain and "yes" not in said:
            said.append("yes")
        elif plain:
            said.append(plain[1].replace("_", " "))
        else:
            said.append("no" if ABSENT.search(rule["Condition"]) else "")
    return said


def _reachable(states: Mapping[str, Mapping[str, Any]], start: str, without: set[str]) -> list[str]:
    """The names that `start` leads to, in the order of the definition."""
    seen, stack = {start}, [start]
    while stack:
        name = stack.pop()
        targets = [edge.target for edge in _edges(name, states[name])] + list(_failures(states[name]))
        for target in targets:
            if target not in seen and target not in without:
                seen.add(target)
                stack.append(target)
    return [name for name in states if name in seen]


def _spine(start: str, edges: Sequence[Edge]) -> tuple[str, ...]:
    """The main path: of several ways the first that no other way comes back to, so that a detour is walked."""
    spine = [start]
    while True:
        ways = [edge.target for edge in edges if edge.source == spine[-1] and edge.target not in spine]
        main = next((way for way in ways if not any(_leads(edges, other, way, spine) for other in ways)), None)
        if main is None:
            return tuple(spine)
        spine.append(main)


def _leads(edges: Sequence[Edge], start: str, end: str, without: Sequence[str]) -> bool:
    """Whether another state leads to `end` by states that are not `without`."""
    seen = {start, *without}
    stack = [start] if start != end else []
    while stack:
        source = stack.pop()
        for edge in edges:
            if edge.source == source and edge.target not in seen:
                if edge.target == end:
                    return True
                seen.add(edge.target)
                stack.append(edge.target)
    return False
