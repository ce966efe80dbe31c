"""Which faults there are: every kind at the first and the last call of everyone, and a stop in every state."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.faults.deployment import LOCKED, Outcome
from tests.faults.injection import (
    OF_CLOUDFORMATION,
    OF_FUNCTIONS,
    OF_MACHINE,
    OF_NODES,
    Case,
    Deployment,
    Kind,
    Place,
)

LATER: tuple[Deployment, ...] = ("change", "new address", "failing", "healing", "destroy", "data deletion")
DESTROYING: tuple[Deployment, ...] = ("destroy", "data deletion")

type Counts = Mapping[tuple[str, str], int]


def all_cases(clean: Mapping[Deployment, Outcome], functions: Iterable[str], machine: str) -> list[Case]:
    """From deployments without a fault, which show how often who called what and which states were entered: every kind
    for the callers of a first deployment; of those that come after it, or fail, the calls and states that none before
    them has. Raises ValueError for a caller that is met with no fault.
    """
    entered = dict(clean["first"].states)
    later_calls, later_states = _only_later(clean)
    kinds = {"cloudformation": OF_CLOUDFORMATION, "node": OF_NODES, machine: OF_MACHINE}
    kinds[machine.replace("-deploy", "-destroy")] = OF_MACHINE
    kinds |= dict.fromkeys(functions, OF_FUNCTIONS)
    counts = clean["first"].counts
    if strangers := {caller for caller, _ in {*counts, *(call for _, call, _ in later_calls)}} - kinds.keys():
        raise ValueError(f"no fault is known of calls by {', '.join(sorted(strangers))}")
    calls: list[tuple[Deployment, tuple[str, str], int]] = [
        *(("first", call, count) for call, count in sorted(counts.items())),
        *later_calls,
    ]
    cases = [
        Case(kind, Place(caller, operation, occurrence, deployment))
        for deployment, (caller, operation), count in calls
        for kind in kinds[caller]
        for occurrence in _first_and_last(caller, count, kind)
    ]
    tasks = [state for state, is_task in entered.items() if is_task]
    locked = tasks[tasks.index(LOCKED) :]
    cases += [Case("aborted", Place(machine, state)) for state in entered]
    cases += [Case("aborted", Place(machine, state, deployment=deployment)) for deployment, state in later_states]
    cases += [Case("lock lost", Place(machine, state)) for state in locked]
    for deployment, state in later_states:
        if deployment in DESTROYING and dict(clean[deployment].states)[state] and state != "Check input":
            cases.append(Case("lock lost", Place(machine, state, deployment=deployment)))
    cases += [Case("one of two", Place(machine, state)) for state in locked]
    return [*cases, Case("two at once", Place(machine, "start"))]


def _only_later(
    clean: Mapping[Deployment, Outcome],
) -> tuple[list[tuple[Deployment, tuple[str, str], int]], list[tuple[Deployment, str]]]:
    """The calls, with how often each is made, and the states that a deployment has and none before it."""
    calls: list[tuple[Deployment, tuple[str, str], int]] = []
    states: list[tuple[Deployment, str]] = []
    called, entered = set(clean["first"].counts), {state for state, _ in clean["first"].states}
    for deployment in LATER:
        outcome = clean[deployment]
        # The deployment that fails does so by a fault of its own: no other can befall its calls.
        counts = {} if deployment == "failing" else outcome.counts
        calls += [(deployment, call, count) for call, count in sorted(counts.items()) if call not in called]
        states += [(deployment, state) for state in dict(outcome.states) if state not in entered]
        called |= counts.keys()
        entered |= dict(outcome.states).keys()
    return calls, states


def _first_and_last(caller: str, count: int, kind: Kind) -> Iterator[int]:
    yield 1
    # What CloudFormation asks many times it asks of many resources: one of them is as good as another.
    if count > 1 and kind != "outage" and caller != "cloudformation":
        yield count


def at_its_last(case: Case, counts: Counts) -> Case:
    """The same case where loops look more, or less, often: a last call stays the last one."""
    place = case.place
    last = counts.get((place.caller, place.operation), place.occurrence)
    return case if place.occurrence == 1 else Case(case.kind, dataclasses.replace(place, occurrence=last))


def kind_of(case: Case) -> Kind:
    return case.kind


def spread(cases: Sequence[Case], number: int) -> list[Case]:
    """So many of the cases, the same each time: at least one of every kind, and of each kind from everywhere."""
    kinds = [list(group) for _, group in itertools.groupby(sorted(cases, key=kind_of), kind_of)]
    if not number:
        return []
    shares = [1] * len(kinds)
    while sum(shares) < min(number, len(cases)):  # one more of the kind of which the smallest part is chosen
        parts = [share / len(kind) for share, kind in zip(shares, kinds, strict=True)]
        shares[parts.index(min(parts))] += 1
    return [
        kind[int((index + (rank + 0.5) / len(kinds)) * len(kind) / share)]  # each kind begins elsewhere
        for rank, (kind, share) in enumerate(zip(kinds, shares, strict=True))
        for index in range(share)
    ]
