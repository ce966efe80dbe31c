"""Dependencies between resources, and walking them with everything at once that can be."""

import threading
from collections.abc import Callable, Iterable, Mapping

from rehearsal.aws.clock import Clock

from .errors import ValidationError
from .intrinsics import Scope, mentioned

Dependencies = Mapping[str, frozenset[str]]


def dependencies(scope: Scope) -> dict[str, frozenset[str]]:
    """The resources of a template that exist, each with the ones that it needs first, in an order that works."""
    every = scope.template["Resources"]
    existing = {name: definition for name, definition in every.items() if scope.exists(definition)}
    needed: dict[str, frozenset[str]] = {}
    for name, definition in existing.items():
        explicit = definition.get("DependsOn", [])
        explicit = [explicit] if isinstance(explicit, str) else explicit
        written = [*explicit, *mentioned(definition.get("Properties") or {}, scope.parameters)]
        unknown = [other for other in written if other not in every]
        if unknown:
            raise ValidationError(
                "Template format error: Unresolved resource dependencies "
                f"[{', '.join(dict.fromkeys(unknown))}] in the Resources block of the template"
            )
        needed[name] = frozenset(other for other in written if other in existing)
    return {name: needed[name] for name in order(needed)}


def order(needed: Dependencies) -> list[str]:
    """The names so that each comes after what it needs."""
    ordered: list[str] = []
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = path[path.index(name) :]
            raise ValidationError(f"Circular dependency between resources: [{', '.join(circle)}]")
        if name in done:
            return
        for other in sorted(needed.get(name, ())):
            visit(other, (*path, name))
        done.add(name)
        ordered.append(name)

    for name in needed:
        visit(name, ())
    return ordered


def reverse(needed: Dependencies) -> dict[str, frozenset[str]]:
    """Who must go first when everything is deleted: the dependents."""
    return {name: frozenset(other for other, its in needed.items() if name in its) for name in reversed(order(needed))}


def walk(
    names: Iterable[str], needed: Mapping[str, Iterable[str]], work: Callable[[str], bool], clock: Clock
) -> list[str]:
    """Run `work` for every name as soon as what it needs is done, each in a thread; return the failed names.

    `work` fails by answering False. After a failure nothing new begins, and what runs is waited for. Who calls is a
    worker of the clock, and so is each `work`: time only runs fast while all of them sleep.
    """
    left = list(names)
    waiting = {name: set(needed.get(name, ())) & set(left) for name in left}
    changed = threading.Condition()
    running: set[str] = set()
    failed: list[str] = []

    def begin_what_can() -> None:
        for name in [name for name in left if not waiting[name] and not failed]:
            left.remove(name)
            running.add(name)
            clock.hold()
            threading.Thread(target=run, args=(name,), daemon=True, name=f"cloudformation {name}").start()

    def run(name: str) -> None:
        succeeded = False
        try:
            succeeded = work(name)
        finally:
            with changed:
                running.discard(name)
                if succeeded:
                    for others in waiting.values():
                        others.discard(name)
                else:
                    failed.append(name)
                begin_what_can()
                if running:
                    clock.release()
                changed.notify_all()  # the last one's place among the workers goes back to the one who waits

    with changed:
        begin_what_can()
        if running:
            clock.release()
            while running:
                changed.wait()
    return failed
