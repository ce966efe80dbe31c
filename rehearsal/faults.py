"""Faults that a person orders with `--fault SPEC`: what the local AWS must let go wrong during an execution."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

KINDS: Final[dict[str, str]] = {
    "image": "a component's step fails in the Image Builder build; step=NAME chooses it",
    "stack": "CloudFormation cannot make a resource; resource=LOGICAL_ID or type=AWS::… chooses, reason=TEXT says why, "
    "during=create or during=update chooses the operation of the stack",
    "change-set": "CloudFormation is slow or fails with a change set: change-set:WORD; stack=NAME chooses the stack",
    "launch": "Auto Scaling cannot launch an instance: launch:WORD; zone=NAME and type=NAME choose",
    "postgres": "PostgreSQL refuses, e.g. postgres:refuse",
    "call": "an AWS call fails: call:service=ssm,operation=SendCommand,code=ThrottlingException; code is needed",
    "node": "a node misbehaves: node:WORD; node=N chooses the N-th by its instance id, instance=ID says it itself",
}
"""The kinds that the services ask for, each with the sentence that `--help` shows."""

NODES: Final[dict[str, str]] = {
    "verify-installation": "rstudio-server verify-installation fails",
    "ssm-offline": "a new node never appears in Systems Manager",
    "hang": "rstudio-server does not end, in verify-installation or asked for the licence",
    "network": "its cable is pulled out, while its script is in the middle of its work",
    "terminated": "someone terminates it, while its script is in the middle of its work",
    "disk": "its root volume is full",
    "clock": "its clock is 5 minutes slow, or seconds=N fast, though its time source answers",
    "time-source": "its clock is 5 minutes slow, or seconds=N fast, and its time source does not answer",
    "key": "someone has put another secure-cookie-key in place, and restarted Workbench",
    "workbench": "someone has installed another version of Workbench, version=V",
    "metadata": "its instance metadata service does not answer for 8 seconds, or seconds=N",
    "mounts": "the file systems do not answer when it boots, or boots again; seconds=N: for so long after",
}
"""The words of a node, each with what happens on it: when it boots, or when the first command of an execution reaches
it."""

CHANGE_SETS: Final[dict[str, str]] = {
    "slow": "the execution begins seconds=N after it was accepted (90); until then the stack stays as it is",
    "fails": "the execution is accepted and ends EXECUTE_FAILED before anything changes, reason=TEXT says why",
    "hooks": "a hook of the account writes events of the stack whenever a change set is made or looked at",
}
"""The words of a change set, each with what happens."""

LAUNCHES: Final[dict[str, str]] = {
    "quota": "the quota of vCPUs of the account is used up",
    "capacity": "EC2 has no capacity in the zone",
    "key": "the account's default key of EBS may not be used by Auto Scaling: the instance ends at once",
    "ami": "the AMI is gone",
    "addresses": "the subnet has no free address",
    "role": "the service-linked role of Auto Scaling does not work yet",
    "type": "the zone does not have the instance type",
    "validation": "AWS still validates the account",
}
"""The words of a launch, each with what happens."""

WORDS: Final = {"change-set": CHANGE_SETS, "launch": LAUNCHES, "node": NODES}
"""The words of each kind that has a closed list of them."""

DEFAULT_WORDS: Final = {"change-set": "slow", "launch": "capacity", "postgres": "refuse", "node": "verify-installation"}

GRAMMAR: Final = "\n".join(
    [
        "faults, for the first execution only unless it says otherwise: --fault KIND[:WORD][:KEY=VALUE[,KEY=VALUE…]]",
        *(
            line
            for kind, meaning in KINDS.items()
            for line in (
                f"  {kind:<10} {meaning}",
                *(f"             {word:<20} {what}" for word, what in WORDS.get(kind, {}).items()),
            )
        ),
        "  times=N lets it happen N times and then no more; a VALUE may hold * and ?.",
        "  execution=N means the N-th execution that is no --schedule's: 2 is that of the first --then.",
        "  e.g. --fault image:step=Download   --fault stack:resource=DatabaseCluster,reason='No capacity'",
        "       --fault node:ssm-offline,times=1   --fault node:hang,node=2",
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
    execution: int = 1
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
            elif key in ("times", "execution"):
                if not value.isdigit() or not int(value):
                    raise FaultGrammarError(f"--fault {spec!r}: {key}={value!r} is not a number from 1")
                setattr(fault, key, int(value))
            elif not key:
                raise FaultGrammarError(f"--fault {spec!r}: {part!r} has no key before its '='")
            else:
                fault.details[key] = value
        if kind in WORDS and fault.word not in WORDS[kind]:
            known = ", ".join(WORDS[kind])
            raise FaultGrammarError(f"--fault {spec!r}: a {kind} has no {fault.word!r}; it has {known}")
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

    Nothing goes wrong outside of an execution: the application itself is deployed in peace.
    """

    def __init__(self, specs: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._ordered = [Fault.parse(spec) for spec in specs]
        self._execution = 0
        self._under_way = False
        self._lifts: list[Callable[[], None]] = []

    def order(self, spec: str) -> None:
        """Have the next execution meet a fault, whichever execution the spec names."""
        with self._lock:
            self._ordered.append(replace(Fault.parse(spec), execution=self._execution + 1))

    def begin(self) -> None:
        """The next execution begins: from now on things fail as ordered for it."""
        with self._lock:
            self._execution += 1
            self._under_way = True

    def take(self, kind: str, **facts: object) -> dict[str, str] | None:
        """The details of a fault that is to happen here and now, or None.

        `kind` is a kind, or `kind:word`; the details hold `word`, and what the person wrote.
        """
        kind, _, word = kind.partition(":")
        with self._lock:
            for fault in self._of_now() if self._under_way else ():
                if fault.matches(kind, word or None, facts):
                    fault.taken += 1
                    return {"word": fault.word or "", **fault.details}
        return None

    def awaits(self, kind: str) -> bool:
        """Whether a fault of this kind is ordered for the execution under way."""
        with self._lock:
            return self._under_way and any(fault.kind == kind for fault in self._of_now())

    def at_end(self, lift: Callable[[], None]) -> None:
        """Have `lift` take back a fault that lasts, such as one planted on a node, when the execution ends."""
        with self._lock:
            self._lifts.append(lift)

    def end(self) -> list[str]:
        """The execution ends: from now on nothing fails on order. Returns those of its faults that never happened."""
        with self._lock:
            never = [":".join(filter(None, (fault.kind, fault.word))) for fault in self._of_now() if not fault.taken]
            self._under_way = False
            lifts, self._lifts = self._lifts, []
        for lift in lifts:
            lift()
        return never

    def _of_now(self) -> list[Fault]:
        return [fault for fault in self._ordered if fault.execution == self._execution]
