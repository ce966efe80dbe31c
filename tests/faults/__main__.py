"""`make faults`: every fault at every place of a deployment, and what becomes of the account."""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from rehearsal import application, launcher
from tests.faults import account, cases, forks, report
from tests.faults.deployment import BEFORE, Outcome
from tests.faults.injection import KINDS, Case, Place

FULL_SAMPLE: Final = 20
WIDTH: Final = 160
"""Columns where there is no terminal to ask."""

type Results = tuple[report.Clean, list[Outcome]]
"""The deployments without a fault, and the cases."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only so many cases, of every kind and from everywhere")
    parser.add_argument("--kind", action="append", choices=KINDS, metavar="KIND", help="only such cases; repeatable")
    parser.add_argument(
        "--place", action="append", metavar="TEXT", help="only cases whose place contains this; repeatable"
    )
    parser.add_argument(
        "--full", type=int, default=FULL_SAMPLE, metavar="N", help="so many again on the full rehearsal"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="cases at once")
    parser.add_argument("--report", type=Path, default=Path("build/faults"), metavar="DIR")
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)  # what this very program starts
    wanted = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if wanted.part:
        return launcher.isolated(lambda scratch: run_part(wanted, scratch, console))
    with console.status("Building the application"):
        application.build()
    began = time.monotonic()
    clean, outcomes = in_namespaces(None)
    result = report.Report.of(outcomes, clean)
    result.wall_s = round(time.monotonic() - began, 1)
    chosen = cases.spread([outcome.case for outcome in outcomes], wanted.full)
    if chosen:
        console.print(f"{len(chosen)} of them again, on the full rehearsal")
        clean, outcomes = in_namespaces(chosen)
        result.compare_with(report.Report.of(outcomes, clean))
    result.write(wanted.report)
    result.show(console, wanted.report)
    return 0 if result.good else 1


def in_namespaces(chosen: Sequence[Case] | None) -> Results:
    """This program again, in a process whose namespaces vanish with it: the quick cases, or these in full."""
    with tempfile.TemporaryDirectory() as directory:
        part = Path(directory) / "part"
        part.write_bytes(pickle.dumps(chosen))
        done = subprocess.run([sys.executable, "-m", "tests.faults", *sys.argv[1:], "--part", str(part)], check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
        results: Results = pickle.loads(part.read_bytes())
        return results


def run_part(wanted: argparse.Namespace, scratch: Path, console: Console) -> int:
    """Read which cases, run them, and leave the results in the place of the question."""
    given: list[Case] | None = pickle.loads(wanted.part.read_bytes())
    with console.status("Installing the application"):
        installed = account.install(scratch, full=given is not None)
    deployments = [case.place.deployment for case in given] if given else list(BEFORE)
    unharmed = [Case("none", Place("", "", deployment=deployment)) for deployment in dict.fromkeys(deployments)]
    clean = {outcome.case.place.deployment: outcome for outcome in forks.run(installed, unharmed, 1, {})}
    for deployment, outcome in clean.items():
        console.print(f"{deployment}, without a fault: {outcome.seconds:.1f} s", *outcome.problems)
    if any(outcome.problems for outcome in clean.values()):
        return 1
    worlds = {deployment: outcome.world for deployment, outcome in clean.items() if outcome.world}
    if given:
        chosen, workers = [cases.at_its_last(case, clean[case.place.deployment].counts) for case in given], 1
    else:
        chosen, workers = wanted_cases(wanted, installed, clean), wanted.workers
        if not chosen:
            console.print("No case is of such a kind and at such a place.")
            return 2
    outcomes: list[Outcome] = []
    for outcome in forks.run(installed, chosen, workers, worlds):
        outcomes.append(outcome)
        report.show_progress(console, outcome, clean, len(outcomes), len(chosen))
    results: Results = clean, outcomes
    wanted.part.write_bytes(pickle.dumps(results))
    return 0


def wanted_cases(wanted: argparse.Namespace, installed: account.Account, clean: report.Clean) -> list[Case]:
    machine = installed.application.machine("deploy").rpartition(":")[2]
    chosen = cases.all_cases(clean, installed.application.functions.values(), machine)
    chosen = [case for case in chosen if not wanted.kind or case.kind in wanted.kind]
    chosen = [case for case in chosen if not wanted.place or any(place in str(case) for place in wanted.place)]
    return cases.spread(chosen, wanted.sample) if wanted.sample else chosen


if __name__ == "__main__":
    sys.exit(main())
