"""`make faults`: every fault at every place of a deployment, and what becomes of the account."""

import argparse
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.faults import account, cases, deployment, report
from tests.faults.account import Account
from tests.faults.deployment import Outcome
from tests.faults.injection import Case, Place
from tests.faults.world import World
from tests.rehearsal import application, launcher

PATIENCE: Final = 240
"""Wall seconds that one case may take."""
TRIES: Final = 3
"""How often a case is tried whose place the deployment did not come to: how often a loop looks may differ."""


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make faults", description=__doc__)
    arguments.add_argument(
        "--sample", type=int, metavar="N", help="only so many cases, of every kind and from everywhere"
    )
    arguments.add_argument("--kind", action="append", help="only cases of this kind")
    arguments.add_argument("--place", default="", help="only cases whose place contains this text")
    arguments.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="cases at once")
    arguments.add_argument("--report", type=Path, default=Path("build/faults"), metavar="DIR")
    wanted = arguments.parse_args()
    console = Console(highlight=False)
    with console.status("Building the application"):
        application.build()
    return launcher.isolated(lambda scratch: run(wanted, scratch, console))


def run(wanted: argparse.Namespace, scratch: Path, console: Console) -> int:
    began = time.monotonic()
    with console.status("Installing the application"):
        installed = account.install(scratch)
    (clean,) = forked(installed, [None], 1, None)
    if clean.problems:
        console.print(*clean.problems, sep="\n")
        return 1
    machine = installed.application.machine("deploy").rpartition(":")[2]
    counts = clean.counts
    chosen = cases.all_cases(counts, clean.states, installed.application.functions.values(), machine)
    chosen = [case for case in chosen if wanted.place in str(case) and (not wanted.kind or case.kind in wanted.kind)]
    if wanted.sample:
        chosen = cases.spread(chosen, wanted.sample)
    console.print(f"{len(chosen)} cases, {wanted.workers} at once; the clean deployment took {clean.seconds:.1f} s")
    outcomes = []
    for outcome in forked(installed, chosen, wanted.workers, clean.world):
        outcomes.append(outcome)
        report.show_progress(console, outcome, clean, len(outcomes), len(chosen))
    result = report.Report.of(outcomes, clean, time.monotonic() - began)
    result.write(wanted.report)
    result.show(console, wanted.report)
    return 0 if result.good else 1


def forked(installed: Account, chosen: Sequence[Case | None], workers: int, clean: World | None) -> Iterator[Outcome]:
    """Run each case in a fork of this process, so many at once; outcomes come as they end."""
    waiting = [(case, 1) for case in reversed(chosen)]
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            case, attempt = waiting.pop()
            one = Running.start(installed, case, attempt, clean)
            running[one.output] = one
        ready, _, _ = select.select(list(running), [], [], 1)
        for output in ready:
            if running[output].read():
                continue
            one = running.pop(output)
            outcome = one.outcome()
            again = one.again(outcome)
            if again is None:
                yield outcome
            else:
                waiting.append((again, one.attempt + 1))
        for one in running.values():
            one.end_if_late()


@dataclass
class Running:
    """A case in its own process."""

    case: Case | None
    attempt: int
    process: int
    output: int
    began: float
    received: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls, installed: Account, case: Case | None, attempt: int, clean: World | None) -> "Running":
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _run_case(installed, case, clean, writing)
        os.close(writing)
        return cls(case, attempt, process, reading, time.monotonic())

    def read(self) -> bool:
        """Take what the process wrote; False when it has written all."""
        piece = os.read(self.output, 1 << 20)
        self.received += piece
        return bool(piece)

    def end_if_late(self) -> None:
        if time.monotonic() - self.began > PATIENCE:
            os.kill(self.process, signal.SIGKILL)

    def outcome(self) -> Outcome:
        os.close(self.output)
        _, status = os.waitpid(self.process, 0)
        if self.received:
            outcome: Outcome = pickle.loads(bytes(self.received))
            return outcome
        ended = deployment.Ended("LOST", cause=f"the process of the case ended with {status}")
        return Outcome(self.case, ended, problems=[ended.cause])

    def again(self, outcome: Outcome) -> Case | None:
        """The same case at the last call that this deployment made, where it did not come to the one that was meant."""
        if outcome.happened or self.case is None or self.attempt == TRIES:
            return None
        place = self.case.place
        count = outcome.counts.get((place.caller, place.operation), 0)
        return Case(self.case.kind, Place(place.caller, place.operation, count)) if count else None


def _run_case(installed: Account, case: Case | None, clean: World | None, writing: int) -> None:
    code = 1
    try:
        installed.wake()
        outcome = deployment.run(installed, case, clean)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
