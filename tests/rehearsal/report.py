"""report.json: what happened in a rehearsal, in AWS time, and whether every check held."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.rehearsal.secrets import Findings

LARGEST_PAYLOAD: Final = 262_144
"""Bytes of a state's input or output: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""

Event = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """One visit to a state; times as ISO 8601 in AWS time. `exited` is None for a state that failed or was left."""

    name: str
    entered: str
    exited: str | None


@dataclass
class Execution:
    """One execution, as the rehearsal's contract in the design wants it."""

    state_machine: str
    status: str
    input: Any
    output: Any
    error: str | None
    cause: str | None
    states: list[State]
    transitions: int
    lambda_invocations: dict[str, int]
    aws_calls: dict[str, int]
    max_payload_bytes: int
    makespan_s: float
    critical_path_s: float
    name: str = ""
    started_by: str = "rehearsal"

    @property
    def schedule(self) -> str:
        """The name of the schedule that started it, if one did."""
        caller, _, name = self.started_by.partition(" ")
        return name if caller == "schedule" else ""

    @classmethod
    def read(
        cls,
        state_machine: str,
        described: Mapping[str, Any],
        events: Sequence[Event],
        functions: Mapping[str, str],
        aws_calls: Mapping[str, int],
        *,
        started_by: str = "rehearsal",
    ) -> "Execution":
        """From DescribeExecution and GetExecutionHistory. `functions` maps a function's name to its logical id;
        `started_by` is the caller of StartExecution, as calls.jsonl names callers.
        """
        status = described["status"]
        return cls(
            state_machine=state_machine,
            status=status,
            input=_parsed(described.get("input")),
            output=_parsed(described.get("output")),
            error=described.get("error"),
            cause=described.get("cause"),
            states=visits(events),
            transitions=transitions(events),
            lambda_invocations=invocations(events, functions),
            aws_calls=dict(sorted(aws_calls.items())),
            max_payload_bytes=max_payload(events),
            makespan_s=makespan(events),
            critical_path_s=critical_path(events),
            name=described.get("name", ""),
            started_by=started_by,
        )


@dataclass
class Report:
    """The whole of report.json. `checks` are sentences of what does not hold; empty when all is well."""

    executions: list[Execution] = field(default_factory=list)
    wall_s: float = 0.0
    secrets: Findings = field(default_factory=Findings)
    checks: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Fill `checks` with what does not hold, beside the status of the last execution."""
        if self.secrets.found:
            self.checks.extend(f"a secret stands where it must not: {where}" for where in self.secrets.where)
        for execution in self.executions:
            if execution.max_payload_bytes > LARGEST_PAYLOAD:
                self.checks.append(
                    f"a payload of {execution.state_machine} has {execution.max_payload_bytes} bytes;"
                    f" Step Functions carries {LARGEST_PAYLOAD}"
                )

    @property
    def succeeded(self) -> bool:
        """The last execution that a person started, and what schedules started since, SUCCEEDED; every check held."""
        persons = [number for number, execution in enumerate(self.executions) if not execution.schedule]
        last = self.executions[persons[-1] if persons else -1 :]
        return bool(last) and all(execution.status == "SUCCEEDED" for execution in last) and not self.checks

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, default=str)
        (directory / "report.json").write_text(text + "\n", encoding="utf-8")


def visits(events: Iterable[Event]) -> list[State]:
    """Every visit to a state, in the order of entry."""
    ordered = list(events)
    exits = _exits(ordered)
    return [
        State(
            _detail(event, "stateEntered")["name"],
            _iso(event),
            _iso(exits[event["id"]]) if event["id"] in exits else None,
        )
        for event in ordered
        if event["type"].endswith("StateEntered")
    ]


def transitions(events: Iterable[Event]) -> int:
    """State transitions as AWS bills them: each entry into a state, and each retry of a task."""
    kinds = Counter(event["type"] for event in events)
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    return entered + max(0, kinds["TaskScheduled"] - kinds["TaskStateEntered"])


def invocations(events: Iterable[Event], functions: Mapping[str, str]) -> dict[str, int]:
    """How often the execution invoked each function, retries included, by logical id."""
    counted: Counter[str] = Counter()
    for event in events:
        details = event.get("taskScheduledEventDetails")
        if details and details.get("resourceType") == "lambda":
            parameters = _parsed(details.get("parameters")) or {}
            name = str(parameters.get("FunctionName", "?")).partition(":function:")[2] or str(
                parameters["FunctionName"]
            )
            name = name.partition(":")[0]
            counted[functions.get(name, name)] += 1
    return dict(sorted(counted.items()))


def max_payload(events: Iterable[Event]) -> int:
    """The largest input or output of a state, task or execution, in bytes of UTF-8."""
    return max(
        (
            len(text.encode())
            for event in events
            for details in event.values()
            if isinstance(details, Mapping)
            for key in ("input", "output", "parameters")
            if isinstance(text := details.get(key), str)
        ),
        default=0,
    )


def makespan(events: Sequence[Event]) -> float:
    """AWS seconds from the first event to the last."""
    return round(_seconds(events[-1]) - _seconds(events[0]), 3) if events else 0.0


def critical_path(events: Sequence[Event]) -> float:
    """AWS seconds of the longest chain of states: from the last event to the first, of parallel branches the slowest.

    Time that passes between states is left out, so makespan minus critical path is what the machine itself costs.
    """
    by_id = {event["id"]: event for event in events}
    exits = _exits(events)
    entered_by_exit = {exit_event["id"]: by_id[entered] for entered, exit_event in exits.items()}
    children: dict[int, list[Event]] = {}
    for event in events:
        children.setdefault(event["previousEventId"], []).append(event)

    def chain(last: Event | None, stop: int) -> float:
        total, event = 0.0, last
        while event is not None and event["id"] != stop:
            entered = entered_by_exit.get(event["id"])
            if entered is None:
                event = by_id.get(event["previousEventId"])
            elif entered["type"] in ("ParallelStateEntered", "MapStateEntered"):
                total += max((chain(leaf, entered["id"]) for leaf in leaves(entered, event)), default=0.0)
                event = by_id.get(entered["previousEventId"])
            else:
                total += _seconds(event) - _seconds(entered)
                event = by_id.get(entered["previousEventId"])
        return total

    def leaves(entered: Event, exited: Event) -> list[Event]:
        """Ends of the branches: the exits inside a Parallel or Map that no other state follows."""
        inside: list[Event] = []
        stack = [entered]
        while stack:
            for child in children.get(stack.pop()["id"], ()):
                if child["id"] < exited["id"]:
                    inside.append(child)
                    stack.append(child)
        return [
            event
            for event in inside
            if event["id"] in entered_by_exit
            and not any(child["type"].endswith("StateEntered") for child in children.get(event["id"], ()))
        ]

    return round(chain(events[-1], 0), 3) if events else 0.0


def _exits(events: Iterable[Event]) -> dict[int, Event]:
    """The exit of each entry (by the entry's id): the nearest exit of its name down the chain of previous events."""
    by_id = {event["id"]: event for event in events}
    exits: dict[int, Event] = {}
    for event in by_id.values():
        if not event["type"].endswith("StateExited"):
            continue
        name = _detail(event, "stateExited")["name"]
        before = by_id.get(event["previousEventId"])
        while before is not None:
            if (
                before["type"].endswith("StateEntered")
                and before["id"] not in exits
                and _detail(before, "stateEntered")["name"] == name
            ):
                exits[before["id"]] = event
                break
            before = by_id.get(before["previousEventId"])
    return exits


def _detail(event: Event, kind: str) -> Mapping[str, Any]:
    details: Mapping[str, Any] = event[f"{kind}EventDetails"]
    return details


def _parsed(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _moment(event: Event) -> datetime.datetime:
    moment = event["timestamp"]
    return datetime.datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def _iso(event: Event) -> str:
    return _moment(event).isoformat(timespec="milliseconds")


def _seconds(event: Event) -> float:
    return _moment(event).timestamp()
