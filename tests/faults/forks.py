"""Cases in forks of the process in which the application is installed: so many at once, each on its own."""

import dataclasses
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.faults import deployment
from tests.faults.account import Account
from tests.faults.deployment import Outcome
from tests.faults.ended import Ended
from tests.faults.injection import Case, Deployment
from tests.faults.world import World

type Worlds = Mapping[Deployment, World]

PATIENCE: Final = 600
"""Wall seconds that one case may take."""
TRIES: Final = 3
"""How often a case is tried whose place the deployment did not come to: how often a loop looks may differ."""


def run(account: Account, cases: Sequence[Case], workers: int, clean: Worlds) -> Iterator[Outcome]:
    """The outcomes, as the cases end; `clean` are the worlds that clean deployments left."""
    waiting = [(case, 1) for case in reversed(cases)]
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            case, attempt = waiting.pop()
            one = Running.start(account, case, attempt, clean)
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

    case: Case
    attempt: int
    process: int
    output: int
    began: float
    received: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls, account: Account, case: Case, attempt: int, clean: Worlds) -> "Running":
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _run(account, case, clean, writing)
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
        code = os.waitstatus_to_exitcode(status)
        ended = Ended("LOST", cause=f"the process of the case ended with {code}")
        return Outcome(self.case, ended, problems=[ended.cause])

    def again(self, outcome: Outcome) -> Case | None:
        """The same case at the last call that this deployment made, where it did not come to the one that was meant."""
        if outcome.happened or self.attempt == TRIES:
            return None
        place = self.case.place
        count = outcome.counts.get((place.caller, place.operation), 0)
        return Case(self.case.kind, dataclasses.replace(place, occurrence=count)) if count else None


def _run(account: Account, case: Case, clean: Worlds, writing: int) -> None:
    """In the fork: the case, and the end of the fork."""
    code = 1
    try:
        account.wake()
        outcome = deployment.run(account, case, clean.get(case.place.deployment))
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
