"""`make bench`: the numbers that this project promises, measured, with their goals. docs/performance.md explains them.

It fails for no number. It writes build/bench/report.json; with --release also the numbers that the next ones are
compared with.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rehearsal.aws.services.step_functions.quotas import HISTORY_EVENTS
from tests.performance import cold_starts, deployments
from tests.performance.deployments import Rehearsed
from tests.performance.numbers import RELEASE, Number, change, document, last_release, shown, verdict
from tests.templates.templates import APPLICATION
from tests.workflow.test_graph import EVENTS_OF_A_LOOK, limits, most_looks
from tests.workflow.test_replacement import MOST_EVENTS, longest_looks

ROOT = Path(__file__).parents[2]
MOST_NODES = 50
REPORT = ROOT / "build" / "bench" / "report.json"
SECONDS_TO_REHEARSE = 3600


def rehearse(*options: str) -> Rehearsed:
    """A rehearsal, which must succeed."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "rehearsal", "--report", directory, *options]
        begun = time.monotonic()
        subprocess.run(command, cwd=ROOT, check=True, timeout=SECONDS_TO_REHEARSE, stdout=sys.stderr)
        took = time.monotonic() - begun
        report, calls = ((Path(directory) / name).read_text("utf-8") for name in ("report.json", "calls.jsonl"))
        return Rehearsed(json.loads(report), [json.loads(line) for line in calls.splitlines()], took)


def of_rehearsals() -> Iterator[Number]:
    """A first cluster; one with a second beside it, and then new nodes; larger first clusters."""
    first = rehearse()
    two = first.report["executions"][0]
    yield from deployments.of_first(first)
    yield from deployments.of_scale(2, first.report, None)
    clusters = rehearse("--then", '{"cluster": "second"}', "--then", '{"image": {"rebuild": true}}')
    yield from deployments.of_clusters(clusters.report)
    yield from deployments.of_refresh(clusters)
    for nodes in (10, MOST_NODES):
        more = rehearse("--input", json.dumps({"nodes": {"count": nodes}}))
        yield from deployments.of_scale(nodes, more.report, two)


def of_history() -> Iterator[Number]:
    """An execution in which every loop looks as often as it may."""
    looks = sum(most_looks(step, seconds) for step, seconds in limits("deploy").items())
    computed = "computed from waits.py and the limits of statemachine/"
    yield Number("a deployment: most looks", looks, "", computed)
    yield Number("a deployment: most events of its history", looks * EVENTS_OF_A_LOOK, "", computed, HISTORY_EVENTS)
    slowest = sum(longest_looks().values()) * EVENTS_OF_A_LOOK
    yield Number("a replacement, every step at its slowest: events", slowest, "", computed, MOST_EVENTS)


PARTS: Mapping[str, Callable[[], Iterator[Number]]] = {
    "imports": cold_starts.of_imports,
    "layers": cold_starts.of_layers,
    "history": of_history,
    "rehearsals": of_rehearsals,
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="|".join(PARTS), help="only these")
    parser.add_argument("--release", action="store_true", help=f"write {RELEASE.relative_to(ROOT)}, too")
    wanted = parser.parse_args(arguments)
    parts = wanted.parts or [*PARTS]
    if wanted.release and len(parts) < len(PARTS):
        parser.error("a release has all numbers: give no part")
    if "rehearsals" in parts and os.geteuid():
        parser.error(f"rehearsals need root; without it: make bench ARGS='{' '.join([*PARTS][:-1])}'")
    last = last_release()
    before = {name: number["value"] for name, number in last["numbers"].items()}
    numbers: list[Number] = []
    table = Table("what", "is", "goal", "", f"since {last['release']}", "from")
    for part in parts:
        print(f"measuring {part}", file=sys.stderr)
        for number in PARTS[part]():
            numbers.append(number)
            value = f"{shown(number.value)} {number.unit}".strip()
            table.add_row(number.name, value, number.shown_goal, verdict(number), change(number, before), number.source)
    Console(width=160).print(table)
    measured = document(numbers, APPLICATION["Mappings"]["Benchwright"]["Release"]["Version"])
    for path in (REPORT, *([RELEASE] if wanted.release else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")
    missed = [each.name for each in numbers if each.is_met is False]
    print(f"{len(missed)} of {sum(each.goal is not None for each in numbers)} goals are missed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
