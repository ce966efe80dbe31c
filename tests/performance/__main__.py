"""`make bench`: how long the things take for which someone waits. Measured, never asserted."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchwright.models import MOST_USERS, User
from benchwright.nodes.bundle import Endpoint, make_bundle
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.read_input import read_input
from benchwright.record import Known
from benchwright.secrets import Secret
from benchwright.verification.list_nodes import read_list_nodes

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".aws-sam" / "build"
RUNS = 7
BUSY_LOOPS = 2
MOST_NODES = 50
DEFAULTS = {
    "workbench": {"version": "2026.07.1+147.pro6"},
    "r_versions": ["4.5.1"],
    "python_versions": [],
    "nodes": {"count": 50, "instance_type": "m6i.xlarge"},
    "database": {"min_capacity": 0.5, "max_capacity": 4},
}


def seconds(work: Callable[[], object]) -> float:
    """The median of RUNS runs."""
    taken = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def import_of(function: Path) -> Callable[[], object]:
    """A cold start without Lambda's own share: a bare interpreter imports the built handler with its layers."""
    layers = [str(path / "python") for path in BUILT.glob("*Layer") if (path / "python").is_dir()]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(function), *layers]),
        "APPLICATION": "benchwright",
        "POWERTOOLS_METRICS_NAMESPACE": "Benchwright",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [os.path.realpath(sys._base_executable), "-S", "-s", "-c", "import app"]  # type: ignore[attr-defined]
    return lambda: subprocess.run(command, env=environment, check=True, timeout=60, cwd=function)


def rehearse(*options: str) -> tuple[dict[str, Any], float]:
    """Run one rehearsal, which must succeed; returns its report and the wall seconds that it took, all included."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "rehearsal", "--report", directory, *options]
        begin = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, timeout=1800, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - begin
        report: dict[str, Any] = json.loads((Path(directory) / "report.json").read_text())
        return report, whole


@contextlib.contextmanager
def busy_loops() -> Iterator[None]:
    """Let something else compute on this machine meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY_LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def rehearsals() -> dict[str, float]:
    """The wall time of the first deployment, of the same input again, and of the largest cluster; and how much longer
    the largest takes in AWS time, in how many more transitions, than one of two nodes.
    """
    first, whole = rehearse()
    _, again = rehearse("--then", "{}")
    with busy_loops():
        largest, largest_whole = rehearse("--input", json.dumps({"nodes": {"count": MOST_NODES}}))
    two, fifty = first["executions"][0], largest["executions"][0]
    name = f"rehearsal of {MOST_NODES} nodes beside {BUSY_LOOPS} busy loops"
    return {
        "rehearsal, first deployment: execution": first["wall_s"],
        "rehearsal, first deployment: all": whole,
        "rehearsal, and the same input again: all": again,
        f"{name}: execution": largest["wall_s"],
        f"{name}: all": largest_whole,
        f"{name}: AWS time, times that of 2 nodes": fifty["makespan_s"] / two["makespan_s"],
        f"{name}: transitions, times those of 2 nodes": fifty["transitions"] / two["transitions"],
    }


def main() -> None:
    request, wanted = read_input({}, {}, DEFAULTS, "benchwright").whole()
    users = wanted.model_copy(update={"users": {f"user{number}": User() for number in range(MOST_USERS)}})
    plan, _ = make_plan(request, users, Known(), LookupResult({}, "ami"), defaults=DEFAULTS, execution="e")
    header = "ID  Host             IPv4         Port  Status  Last Seen\n"
    listing = header + "".join(f"{n:<4}ip-10-0-0-{n:<7}10.0.0.{n:<6}8787  Online  now\n" for n in range(1, 51))
    measured = {
        "read list-nodes of 50 nodes": seconds(lambda: read_list_nodes(listing)),
        f"bundle with {MOST_USERS} users": seconds(
            lambda: make_bundle(plan, Endpoint("db", 5432), Secret("a", "1"), Secret("b", "2"))
        ),
    }
    for function in sorted((ROOT / "functions").iterdir()):
        if (function / "app.py").exists():
            measured[f"cold import of {function.name}"] = seconds(import_of(function))
    if os.geteuid() == 0:
        measured |= rehearsals()
    table = Table("what", "seconds")
    for name, taken in measured.items():
        table.add_row(name, f"{taken:.4f}" if taken < 0.1 else f"{taken:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
