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

type Counts = Mapping[tuple[str, str], int]


def all_cases(clean: Mapping[Deployment, Outcome], functions: Iterable[str], machine: str) -> list[Case]:
    """From deployments without a fault, which show how often who called what and which states were entered: every kind
    for the callers of a first deployment; of a change that comes after it what a first one never calls; of one that
    fails the states that others never enter. Raises ValueError for a caller that is met with no fault.
    """
    counts, change, entered = clean["first"].counts, clean["change"].counts, dict(clean["first"].states)
    failing = [state for state, _ in clean["failing"].states if state not in entered]
    kinds = {"cloudformation": OF_CLOUDFORMATION, "node": OF_NODES, machine: OF_MACHINE}
    kinds |= dict.fromkeys(functions, OF_FUNCTIONS)
    if strangers := {caller for caller, _ in {*counts, *change}} - kinds.keys():
        raise ValueError(f"no fault is known of calls by {', '.join(sorted(strangers))}")
    calls: list[tuple[Deployment, tuple[str, str], int]] = [
        *(("first", call, count) for call, count in sorted(counts.items())),
        *(("change", call, count) for call, count in sorted(change.items()) if call not in counts),
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
    cases += [Case("aborted", Place(machine, state, deployment="failing")) for state in dict.fromkeys(failing)]
    cases += [Case("lock lost", Place(machine, state)) for state in locked]
    cases += [Case("one of two", Place(machine, state)) for state in locked]
    return [*cases, Case("two at once", Place(machine, "start"))]


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
