"""Faults that a person orders with `--fault SPEC`: what the local AWS shall let go wrong during the first execution."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

KINDS: Final[dict[str, str]] = {
    "image": "a component's step fails in the Image Builder build; step=NAME chooses it",
    "stack": "CloudFormation cannot make a resource; resource=LOGICAL_ID or type=AWS::… chooses, reason=TEXT says why",
    "postgres": "PostgreSQL refuses, e.g. postgres:refuse",
    "call": "an AWS call fails: call:service=ssm,operation=SendCommand,code=ThrottlingException; code is needed",
    "node": "a node fails: node:verify-installation, or node:ssm-offline (it never appears in Systems Manager)",
}
"""The kinds that the services ask for, each with the sentence that `--help` shows."""

DEFAULT_WORDS: Final = {"postgres": "refuse", "node": "verify-installation"}

GRAMMAR: Final = "\n".join(
    [
        "faults, for the first execution only: --fault KIND[:WORD][:KEY=VALUE[,KEY=VALUE…]]",
        *(f"  {kind:<9} {meaning}" for kind, meaning in KINDS.items()),
        "  times=N lets it happen N times and then no more; a VALUE may hold * and ?.",
        "  e.g. --fault image:step=Download   --fault stack:resource=DatabaseCluster,reason='No capacity'",
        "       --fault node:ssm-offline,times=1",
    ]
)


class FaultGrammarError(ValueError):
    """A `--fault` cannot be understood."""


@dataclass
class Fault:
    """One ordered fault.

    `word` narrows the kind (`node:ssm-offline`). A detail whose key the asking service also names is a condition;
    every other detail (a reason) is handed over.
    """

    kind: str
    word: str | None = None
    details: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    taken: int = 0

    @classmethod
    def parse(cls, spec: str) -> "Fault":
        """Read `kind[:word][:key=value,…]`; raises FaultGrammarError with what would have been right."""
        kind, *rest = spec.split(":", 1)
        if kind not in KINDS:
            raise FaultGrammarError(f"--fault {spec!r}: there is no kind {kind!r}; there are {', '.join(KINDS)}")
        fault = cls(kind, DEFAULT_WORDS.get(kind))
        for part in (piece for text in rest for piece in _parts(text)):
            key, equals, value = part.partition("=")
            if not equals:
                fault.word = key
            elif key == "times":
                if not value.isdigit() or not int(value):
                    raise FaultGrammarError(f"--fault {spec!r}: times={value!r} is not a number from 1")
                fault.times = int(value)
            elif not key:
                raise FaultGrammarError(f"--fault {spec!r}: {part!r} has no key before its '='")
            else:
                fault.details[key] = value
        if kind == "call" and "code" not in fault.details:
            raise FaultGrammarError(f"--fault {spec!r}: a call fails with a code, such as code=ThrottlingException")
        return fault

    def matches(self, kind: str, word: str | None, facts: dict[str, object]) -> bool:
        if kind != self.kind or (self.times is not None and self.taken >= self.times):
            return False
        if word is not None and word != self.word:
            return False
        return all(fnmatchcase(str(facts[key]), wanted) for key, wanted in self.details.items() if key in facts)


def _parts(text: str) -> Iterable[str]:
    """Split at `,` or at the `:` after a word; a comma inside a sentence (`, ` before a space) stays."""
    word, colon, rest = text.partition(":")
    if colon and "=" not in word:
        yield word
        text = rest
    part = ""
    for piece in text.split(","):
        if part and (piece.startswith(" ") or ("=" not in piece and "=" in part)):
            part += "," + piece
        else:
            if part:
                yield part
            part = piece
    if part:
        yield part


class Faults:
    """The faults of one rehearsal. Services ask `take(kind, **facts)` at the point where something can go wrong.

    Nothing goes wrong before `begin()`: the application itself is deployed in peace.
    """

    def __init__(self, specs: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._ordered = [Fault.parse(spec) for spec in specs]
        self._under_way = False

    def begin(self) -> None:
        """The first execution begins: from now on things fail as ordered."""
        self._under_way = True

    def take(self, kind: str, **facts: object) -> dict[str, str] | None:
        """The details of a fault that is to happen here and now, or None.

        `kind` is a kind, or `kind:word`; the details hold `word`, and what the person wrote.
        """
        kind, _, word = kind.partition(":")
        with self._lock:
            for fault in self._ordered if self._under_way else ():
                if fault.matches(kind, word or None, facts):
                    fault.taken += 1
                    return {"word": fault.word or "", **fault.details}
        return None

    def end(self) -> list[str]:
        """End the first execution: from now on nothing fails on order. Returns the faults that never happened."""
        with self._lock:
            never = [":".join(filter(None, (fault.kind, fault.word))) for fault in self._ordered if not fault.taken]
            self._under_way = False
        return never
