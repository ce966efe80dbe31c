"""What the history of an execution says: visits to states, transitions, invocations, sizes and times.

Events are those of GetExecutionHistory: https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
Only Python's own library is imported here, since the terminal of `make watch` reads histories, too.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Event = Mapping[str, Any]

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
HISTORY_EVENTS = 25_000  # of an execution
PAYLOAD_BYTES = 262_144  # of an input or output of an execution or a state


@dataclass
class History:
    """events: without what states carry, which may be 256 KiB for each. Of that, what a report shows: max_payload, the
    largest in bytes of UTF-8; plan and changes, as the step `Resolve plan` answered, or `Summarize preview` of a dry
    run; entered, what the last state that was entered got.
    """

    events: list[Event]
    max_payload: int = 0
    plan: Mapping[str, Any] | None = None
    changes: list[str] | None = None
    entered: str = ""

    def before(self, state: str) -> History | None:
        """Return it as it was before the last state was entered; None if that is another one than `state`."""
        entry = next((number for number in reversed(range(len(self.events))) if _is_entry(self.events[number])), None)
        if entry is None or _detail(self.events[entry], "stateEntered")["name"] != state:
            return None
        return replace(self, events=self.events[:entry])


def read(events: Iterable[Event]) -> History:
    """Read a history page by page, and keep little of each event: a history has up to 25,000."""
    history = History([])
    for event in events:
        history.max_payload = max(history.max_payload, max_payload([event]))
        history.events.append(_light(event))
        if _is_entry(event):
            history.entered = _detail(event, "stateEntered").get("input", "")
        elif event["type"] == "TaskSucceeded" and (answer := _answer(event)).get("plan"):
            history.plan, history.changes = answer["plan"], answer.get("changes")
    return history


def _light(event: Event) -> Event:
    """Keep what the functions below read, where they read it."""
    kept = {key: event[key] for key in ("id", "previousEventId", "type", "timestamp")}
    for key, details in event.items():
        if isinstance(details, Mapping):
            kept[key] = {name: details[name] for name in ("name", "error", "resourceType") if name in details}
    if event["type"] == "TaskSucceeded":
        answer = {"Payload": {"waiting_for": waiting_for(_detail(event, "taskSucceeded").get("output"))}}
        kept["taskSucceededEventDetails"]["output"] = json.dumps(answer)
    elif event["type"] == "TaskScheduled":
        called = parsed(_detail(event, "taskScheduled").get("parameters")) or {}
        kept["taskScheduledEventDetails"]["parameters"] = json.dumps({"FunctionName": called.get("FunctionName")})
    return kept


def _answer(event: Event) -> Mapping[str, Any]:
    """What a function answered, as it stands in the output of its task."""
    output = parsed(_detail(event, "taskSucceeded").get("output"))
    answer = output.get("Payload") if isinstance(output, Mapping) else None
    return answer if isinstance(answer, Mapping) else {}


def waiting_for(output: str | None) -> str:
    """The sentence `waiting_for` of a function's result, as it stands in the output of a Lambda task."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        payload = json.loads(output or "").get("Payload")
        return str(payload.get("waiting_for") or "")
    return ""


def clock_face(seconds: float) -> str:
    """`754.2` as `12:34`, hours only when there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:>2}:{second:02}"


@dataclass(frozen=True)
class State:
    """One visit to a state; times as ISO 8601 in AWS time. `kind` is its Type, `error` the name of what it failed with,
    `waiting_for` the sentence of a step that is not done, `critical` whether it is on the critical path.
    `exited` is None for a Fail state, and for a state whose branch was left because another one failed.
    """

    name: str
    kind: str
    entered: str
    exited: str | None
    error: str | None = None
    waiting_for: str = ""
    critical: bool = False


def visits(events: Iterable[Event]) -> list[State]:
    """Every visit to a state, in the order of entry."""
    ordered = list(events)
    exits, critical = _exits(ordered), set(critical_chain(ordered))
    errors, waits = _ends(ordered)
    return [
        State(
            name=_detail(event, "stateEntered")["name"],
            kind=_kind(event),
            entered=iso(event),
            exited=iso(exits[event["id"]]) if event["id"] in exits else None,
            error=errors.get(event["id"]),
            waiting_for=waits.get(event["id"], ""),
            critical=event["id"] in critical,
        )
        for event in ordered
        if _is_entry(event)
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
            parameters = parsed(details.get("parameters")) or {}
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
    """AWS seconds of the longest chain of states.

    Time that passes between states is left out, so makespan minus critical path is what the machine itself costs.
    """
    return round(_length(events, critical_chain(events)), 3)


def critical_chain(events: Sequence[Event]) -> list[int]:
    """The ids of the entries of the longest chain of states: from the last event to the first, of parallel branches the
    slowest; of those that failed the one that did.
    """
    by_id = {event["id"]: event for event in events}
    entered_by_exit = {exit_event["id"]: by_id[entered] for entered, exit_event in _exits(events).items()}
    children: dict[int, list[Event]] = {}
    for event in events:
        children.setdefault(event["previousEventId"], []).append(event)

    def chain(last: Event | None, stop: int) -> list[int]:
        found: list[int] = []
        event = last
        while event is not None and event["id"] != stop:
            entered = entered_by_exit.get(event["id"])
            if entered is None:
                found += [event["id"]] if _is_entry(event) else []
                event = by_id.get(event["previousEventId"])
                continue
            if _is_container(entered):
                branches = [chain(leaf, entered["id"]) for leaf in leaves(entered, event)]
                found += max(branches, key=lambda branch: _length(events, branch), default=[])
            found.append(entered["id"])
            event = by_id.get(entered["previousEventId"])
        return found

    def leaves(entered: Event, exited: Event) -> list[Event]:
        """Ends of the branches: the exits, and Fail states, inside a Parallel or Map that no other state follows."""
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
            if (event["id"] in entered_by_exit or event["type"] == "FailStateEntered")
            and not any(_is_entry(child) for child in children.get(event["id"], ()))
        ]

    return chain(events[-1], 0) if events else []


def _length(events: Sequence[Event], chain: Iterable[int]) -> float:
    """The seconds in the states of a chain, without those that only hold others."""
    by_id, exits = {event["id"]: event for event in events}, _exits(events)
    return sum(
        _seconds(exits[entered]) - _seconds(by_id[entered])
        for entered in chain
        if entered in exits and not _is_container(by_id[entered])
    )


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
            if _is_entry(before) and before["id"] not in exits and _detail(before, "stateEntered")["name"] == name:
                exits[before["id"]] = event
                break
            before = by_id.get(before["previousEventId"])
    return exits


def _ends(events: Iterable[Event]) -> tuple[dict[int, str], dict[int, str]]:
    """By the id of the entry: the error that a visit ended with, and what a task said that it waits for."""
    visit_of: dict[int, int] = {}
    errors: dict[int, str] = {}
    waits: dict[int, str] = {}
    for event in events:
        visit = event["id"] if _is_entry(event) else visit_of.get(event["previousEventId"], 0)
        visit_of[event["id"]] = visit
        if event["type"] == "TaskSucceeded":
            errors.pop(visit, None)
            waits[visit] = waiting_for(_detail(event, "taskSucceeded").get("output"))
        elif event["type"].endswith(("Failed", "TimedOut")):
            named = next((details["error"] for details in event.values() if _names_error(details)), None)
            errors |= {} if named is None else {visit: named}
    return errors, waits


def _names_error(details: Any) -> bool:
    return isinstance(details, Mapping) and isinstance(details.get("error"), str)


def _is_entry(event: Event) -> bool:
    return str(event["type"]).endswith("StateEntered")


def _is_container(entered: Event) -> bool:
    return _kind(entered) in ("Parallel", "Map")


def _kind(entered: Event) -> str:
    return str(entered["type"]).removesuffix("StateEntered")


def _detail(event: Event, kind: str) -> Mapping[str, Any]:
    details: Mapping[str, Any] = event[f"{kind}EventDetails"]
    return details


def parsed(text: str | None) -> Any:
    """JSON as what it says, anything else as it is."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def iso(event: Event) -> str:
    """The moment of an event in ISO 8601, with milliseconds."""
    return _moment(event).isoformat(timespec="milliseconds")


def _moment(event: Event) -> datetime.datetime:
    moment = event["timestamp"]
    return datetime.datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def _seconds(event: Event) -> float:
    return _moment(event).timestamp()
