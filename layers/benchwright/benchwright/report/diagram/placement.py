"""Which column and row of a grid each state of a scope stands in: the main path is column 0, straight down."""

from collections.abc import Iterable, Sequence

from benchwright.report.diagram.graph import Scope

Cell = tuple[int, int]
"""(column, row): columns to the left of the main path are negative."""


def place(scope: Scope) -> dict[str, Cell]:
    """The cells of the normal path of a scope.

    A loop goes back up beside the main path, the shortest on the right; an early end stands on the left, between those
    that lead to it, and states before it beside the last of these. What waits beside such an end stands further out.
    """
    cells: dict[str, Cell] = {name: (0, row) for row, name in enumerate(scope.spine)}
    detours = sorted(_detours(scope), key=len)
    for detour in (detour for detour in detours if _returns(scope, detour)):
        row = _rows(scope, cells, detour[0])[-1]
        rows = [row - step if row >= len(detour) - 1 else row + step for step in range(len(detour))]
        _take(cells, detour, rows, columns=(1, -1, 2, -2))
    for detour in (detour for detour in detours if not _returns(scope, detour)):
        rows = _rows(scope, cells, detour[0])
        first = (rows[0] + rows[-1]) // 2 if len(detour) == 1 else rows[-1]
        _take(cells, detour, range(first, first + len(detour)), columns=(-1, 1, -2, 2))
    for name in (name for name in scope.states if name not in cells):
        source = next(edge.source for edge in scope.edges if edge.target == name and edge.source in cells)
        column, row = cells[source]
        outward = 1 if column > 0 else -1
        _take(cells, [name], [row], columns=(column + outward, column + 2 * outward))
    return cells


def _detours(scope: Scope) -> list[list[str]]:
    """The states beside the main path, as chains that begin at a state of it."""
    taken = set(scope.spine)
    chains: list[list[str]] = []
    for name in scope.spine:
        for first in _targets(scope, name):
            chain: list[str] = []
            following: str | None = first if first not in taken else None
            while following is not None:
                chain.append(following)
                taken.add(following)
                following = next((each for each in _targets(scope, following) if each not in taken), None)
            if chain:
                chains.append(chain)
    return [part for chain in chains for part in _without_end(scope, chain)]


def _without_end(scope: Scope, chain: list[str]) -> Iterable[list[str]]:
    """An end that others lead to as well stands by itself, between all that do."""
    sources = {edge.source for edge in scope.edges if edge.target == chain[-1]}
    if len(chain) > 1 and len(sources) > 1 and not _targets(scope, chain[-1]):
        return [chain[:-1], chain[-1:]]
    return [chain]


def _returns(scope: Scope, detour: Sequence[str]) -> bool:
    return any(target in scope.spine for target in _targets(scope, detour[-1]))


def _targets(scope: Scope, name: str) -> list[str]:
    return [edge.target for edge in scope.edges if edge.source == name]


def _rows(scope: Scope, cells: dict[str, Cell], name: str) -> list[int]:
    """The rows of the states that lead to a state and have their place, from the top."""
    sources = {edge.source for edge in scope.edges if edge.target == name}
    return sorted(cells[source][1] for source in sources if source in cells)


def _take(cells: dict[str, Cell], names: Sequence[str], rows: Iterable[int], columns: Sequence[int]) -> None:
    """Put the states into the first of the columns where all of these rows are free."""
    rows = list(rows)
    column = next(column for column in columns if not {(column, row) for row in rows} & set(cells.values()))
    cells.update(zip(names, ((column, row) for row in rows), strict=True))
