"""What a person sees while an execution runs."""

import io
import json
import time
from typing import Any

import pyte
from rich.console import Console

from benchwright.report.history import clock_face
from watch.progress import Progress, Steps


def succeeded(payload: Any) -> dict[str, str]:
    return {"resourceType": "lambda", "resource": "invoke", "output": json.dumps({"Payload": payload})}


EVENTS: list[dict[str, Any]] = [
    {"type": "ExecutionStarted"},
    {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Build image"}},
    {
        "type": "TaskSucceeded",
        "taskSucceededEventDetails": succeeded({"waiting_for": "the build"}),
    },
    {"type": "TaskStateExited", "stateExitedEventDetails": {"name": "Build image"}},
    {"type": "WaitStateEntered", "stateEnteredEventDetails": {"name": "Wait for image"}},
    {"type": "WaitStateExited", "stateExitedEventDetails": {"name": "Wait for image"}},
    {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Build image"}},
    {
        "type": "TaskSucceeded",
        "taskSucceededEventDetails": succeeded({"done": True}),
    },
    {"type": "TaskStateExited", "stateExitedEventDetails": {"name": "Build image"}},
    {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Verify cluster"}},
]
for position, event in enumerate(EVENTS):
    event |= {"id": position + 1, "previousEventId": position, "timestamp": f"2026-01-01T00:{position:02}:00+00:00"}


def test_a_loop_is_one_step_that_waits_and_ends_when_another_begins() -> None:
    steps = Steps()
    assert list(steps.read(EVENTS[:6])) == [(60.0, "Build image"), (120.0, "Build image: waits for the build")]
    assert [(step.name, step.waiting_for) for step in steps.under_way.values()] == [("Build image", "the build")]
    assert list(steps.read(EVENTS[6:])) == [(540.0, "Verify cluster")]
    assert list(steps.under_way) == ["Verify cluster"]


def look(number: int, sentence: str) -> list[dict[str, Any]]:
    """A visit of a step that waits, after others."""
    events: list[dict[str, Any]] = [
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Verify cluster"}},
        {"type": "TaskSucceeded", "taskSucceededEventDetails": succeeded({"waiting_for": sentence})},
    ]
    first = 2 * number + len(EVENTS)
    for position, event in enumerate(events, first):
        event |= {"id": position + 1, "previousEventId": position, "timestamp": f"2026-01-01T01:00:{position}+00:00"}
    return events


def test_a_step_that_tries_again_says_once_what_it_waits_for() -> None:
    sentences = [*["the nodes report", "agent: i-1 stopped"] * 5, "the nodes report", "agent: i-2 stopped"]
    steps = Steps()
    said = list(steps.read([*EVENTS, *(event for each in enumerate(sentences) for event in look(*each))]))
    assert [sentence for _, sentence in said[3:]] == [
        f"Verify cluster: waits for {sentence}" for sentence in (*sentences[:2], sentences[-1])
    ]
    (step,) = steps.under_way.values()
    assert (step.waiting_for, step.calls) == ("agent: i-2 stopped", 13)


def test_without_a_terminal_each_change_is_a_plain_line() -> None:
    text = io.StringIO()
    with Progress(Console(file=text, width=100)).execution("deploy {}", "monthly, by its schedule") as watched:
        watched.read(EVENTS[:6], 0)
        watched.say("starts nightly, by its schedule")
        watched.read(EVENTS[6:], 0)
    assert text.getvalue().splitlines() == [
        "deploy {}  monthly, by its schedule",
        "   1:00  Build image",
        "   2:00  Build image: waits for the build",
        "         starts nightly, by its schedule",
        "   9:00  Verify cluster",
    ]


def test_elapsed_time_reads_as_a_clock() -> None:
    assert [clock_face(seconds) for seconds in (4.9, 754.2, 3725)] == [" 0:04", "12:34", "1:02:05"]


def test_a_plain_line_is_never_folded_nor_filled_with_blanks() -> None:
    text = io.StringIO()
    progress = Progress(Console(file=text, width=20))
    long = "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy:one two"
    with progress.work(long), progress.execution(long) as watched:
        watched.say(long)
    assert text.getvalue().splitlines() == [long, long, f"         {long}"]


def test_on_a_terminal_a_long_wait_leaves_no_traces_of_the_living_lines() -> None:
    """A narrow terminal, emulated: what is left are the steps, each once."""
    text = io.StringIO()
    waits = [dict(event) for event in EVENTS[:3]]
    waits[2] |= {"taskSucceededEventDetails": succeeded({"waiting_for": "a stack " * 12})}
    with Progress(Console(file=text, width=40, force_terminal=True)).execution("deploy {}") as watched:
        watched.read(waits, 0)
        for _ in range(3):
            time.sleep(0.15)  # a frame of the living lines
            watched.say("beside it")
        watched.read(EVENTS[3:], 0)
    screen = pyte.Screen(40, 60)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(text.getvalue())
    assert [line.rstrip() for line in screen.display if line.strip()] == [
        "deploy {}",
        "   1:00  Build image",
        *["         beside it"] * 3,
        "   9:00  Verify cluster",
    ]
