"""One fault at one place of a deployment: who calls what for the how manieth time, and what goes wrong there."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Literal

from rehearsal.aws.calls import Call
from rehearsal.aws.recorder import Identity
from rehearsal.aws.server import NoFaults

type Kind = Literal[
    "throttled",
    "unavailable",
    "denied",
    "answer lost",
    "answers lost",
    "crash before",
    "crash after",
    "outage",
    "aborted",
    "lock lost",
    "two at once",
    "one of two",
    "none",
]

type Deployment = Literal["first", "change", "new address", "failing", "healing", "destroy", "data deletion"]
"""From nothing; of another configuration to a cluster that was changed before, so that an image is retired; of a
cluster that gets an address; from nothing with a call that is denied, so that it fails, explains itself and gives
the lock back; or no deployment, but the replacement of a node whose Workbench does not answer, or the destruction of
a cluster: of one with an address, whose data stays, or of one with its data, beside another cluster.
"""

KINDS: Final[dict[Kind, str]] = {
    "throttled": "a call is throttled until the SDK gives up",
    "unavailable": "a call is answered with 503 until the SDK gives up",
    "denied": "a call is denied",
    "answer lost": "a call takes effect and its answer is lost; the SDK repeats it",
    "answers lost": "a call takes effect and every answer is lost, until the SDK gives up",
    "crash before": "the function's process dies when it makes the call, which takes no effect",
    "crash after": "the function's process dies when the call has taken effect",
    "outage": "the call is answered with 503 from here to the end of the execution",
    "aborted": "the execution is stopped when it enters the state",
    "lock lost": "another execution takes the lock when this one enters the state",
    "two at once": "two clusters are deployed at the same time",
    "one of two": "two are, and one of them is stopped when it enters the state",
}
"""What each kind means, as the table and the report say it."""

OF_FUNCTIONS: Final[tuple[Kind, ...]] = (
    *("throttled", "unavailable", "denied", "answer lost", "answers lost", "crash before", "crash after", "outage"),
)
OF_NODES: Final[tuple[Kind, ...]] = ("throttled", "unavailable", "denied", "answer lost")
OF_MACHINE: Final[tuple[Kind, ...]] = ("throttled", "unavailable", "denied", "answer lost")
# How CloudFormation repeats calls whose answer it lost is its own matter; what becomes of its stacks is ours.
OF_CLOUDFORMATION: Final[tuple[Kind, ...]] = ("unavailable", "denied")

THROTTLING: Final = {
    "autoscaling": "Throttling",
    "cloudformation": "Throttling",
    "dynamodb": "ThrottlingException",
    "ec2": "RequestLimitExceeded",
    "lambda": "TooManyRequestsException",
    "s3": "SlowDown",
}
"""The codes of services that do not say ThrottlingException; and those whose throttling is no 400."""
STATUS: Final = {"s3": 503, "ec2": 503, "lambda": 429}
DENIED: Final = {
    "ec2": "UnauthorizedOperation",
    "cloudformation": "AccessDenied",
    "autoscaling": "AccessDenied",
    "s3": "AccessDenied",
}


REPORTING: Final = "WriteReport"
"""The function that keeps the report of an execution, also of one that lost the lock: no cluster is changed by it."""
READING: Final = ("Get", "Describe", "List", "Head", "Scan", "Query", "BatchGet")
"""How the names of operations begin that change nothing."""


@dataclass(frozen=True)
class Place:
    """The `occurrence`-th call (from 1) of this operation by this caller in an execution; of a state, its name."""

    caller: str
    operation: str
    occurrence: int = 1
    deployment: Deployment = "first"

    def __str__(self) -> str:
        where = "" if self.deployment == "first" else f" of a {self.deployment}"
        return f"{self.caller} {self.operation}{where} #{self.occurrence}"


@dataclass(frozen=True)
class Case:
    """One fault at one place."""

    kind: Kind
    place: Place

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}"


def caller_of(name: str) -> str:
    """Nodes come and go: each of them is `node`."""
    return "node" if name.startswith("i-") else name


class Injection(NoFaults):
    """The faults of a local AWS that counts every call and lets one go wrong.

    `functions` are the callers that are functions; `kill` ends the process of one, by the identity of its calls.
    """

    def __init__(self, case: Case | None, functions: Collection[str], kill: Callable[[Identity], None]) -> None:
        self.case = case
        self.counts: Counter[tuple[str, str]] = Counter()
        self.happened = False
        self.changes: list[str] | None = None
        """What functions changed since the lock was lost; None while it is not."""
        self._kill = kill
        self._writers = frozenset(functions) - {REPORTING}
        self._chosen: str | None = None
        self._under_way = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self._under_way = True

    def end(self) -> None:
        with self._lock:
            self._under_way = False

    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        if kind != "call":
            return None
        call: Call = facts["call"]
        with self._lock:
            return self._take(call) if self._under_way and call.identity.recorded else None

    def _take(self, call: Call) -> dict[str, Any] | None:
        # All tries of the SDK at one call have one id, and are one call here.
        attempt = call.headers.get("Amz-Sdk-Invocation-Id", "")
        place = (caller_of(call.identity.caller), f"{call.service}:{call.operation}")
        repeated = bool(attempt) and attempt == self._chosen
        if not repeated and not _is_repetition(call):
            self.counts[place] += 1
            # Writes of the record say themselves on what condition they hold.
            if self.changes is not None and place[0] in self._writers and _changes(call):
                self.changes.append(" ".join(place))
        if self.case is None or (self.case.place.caller, self.case.place.operation) != place:
            return None
        kind, first = self.case.kind, not self.happened
        if first and self.counts[place] == self.case.place.occurrence and not _is_repetition(call):
            self.happened, self._chosen = True, attempt
        elif not (self.happened and (kind == "outage" or (repeated and kind not in ONCE))):
            return None
        return self._what(kind, call)

    def _what(self, kind: Kind, call: Call) -> dict[str, Any]:
        match kind:
            case "throttled":
                code = THROTTLING.get(call.service, "ThrottlingException")
                return {"code": code, "message": "Rate exceeded", "status": STATUS.get(call.service, 400)}
            case "unavailable" | "outage":
                return {"code": "ServiceUnavailable", "message": "Service is unavailable", "status": 503}
            case "denied":
                code = DENIED.get(call.service, "AccessDeniedException")
                return {
                    "code": code,
                    "message": f"not authorized to perform: {call.service}:{call.operation}",
                    "status": 403,
                }
            case "answer lost" | "answers lost":
                return {"lost": "answer"}
            case _:
                lost = "request" if kind == "crash before" else "answer"
                return {"lost": lost, "with_it": lambda: self._kill(call.identity)}


ONCE: Final[frozenset[Kind]] = frozenset({"answer lost", "crash before", "crash after"})


def _is_repetition(call: Call) -> bool:
    """Whether the SDK tries this call again: `attempt=2; max=5`."""
    return not call.headers.get("Amz-Sdk-Request", "attempt=1").startswith("attempt=1")


def _changes(call: Call) -> bool:
    return not call.operation.startswith(READING) and (call.service, call.operation) != ("dynamodb", "UpdateItem")


def kill_in(functions: Any) -> Callable[[Identity], None]:
    """Ends the process of the function whose keys an identity is, as when it has no memory left."""

    def kill(identity: Identity) -> None:
        for pool in list(functions._pools.values()):
            for process in list(pool._all):
                if functions.aws.identities.get(process._keys.access_key) is identity:
                    process._child.send_signal(signal.SIGKILL)

    return kill


class OnEntering:
    """Does something once, when an execution first enters a state and before the state begins its work. `whose` says
    whether it is the one that is meant, by its history.
    """

    def __init__(self, state: str, act: Callable[[], None], whose: Callable[[Any], bool] = lambda _: True) -> None:
        from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

        self.happened = False
        original = EventManager.add_event

        def add_event(manager: Any, *arguments: Any, **keywords: Any) -> Any:
            added = original(manager, *arguments, **keywords)
            details = keywords.get("event_details") or {}
            entered = details.get("stateEnteredEventDetails", {}).get("name") == state
            if entered and not self.happened and whose(manager):
                self.happened = True
                act()
            return added

        EventManager.add_event = add_event
