"""The step of the state machine on one server: who calls it with what, and how often."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import yaml

from benchwright.database.creation import Credentials, Outcome, Server, ensure
from benchwright.errors import TransientError
from rehearsal.aws.postgres import Postgres
from tests.workflow.workflow import STATEMACHINE

NEWEST = pytest.mark.parametrize("version", ["17"], indirect=True, ids=["postgresql-17"])
"""For what no version of PostgreSQL does otherwise: Aurora's as infra/foundation.yaml asks for it."""

Master = Callable[[], Credentials]
"""Reads the master's credentials, as they are at the moment."""

Said = Callable[[], list[str]]
"""The fixture `said`: statements that were sent since it was last called."""


def _pauses() -> list[float]:
    states = yaml.load((STATEMACHINE / "deploy.asl.yaml").read_text(), yaml.CSafeLoader)["States"]
    [create] = [
        branch["States"]["Create database"]
        for branch in states["Prepare image and foundation"]["Branches"]
        if "Create database" in branch["States"]
    ]
    [retry] = [retry for retry in create["Retry"] if "TransientError" in retry["ErrorEquals"]]
    growing = (retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt for attempt in range(retry["MaxAttempts"]))
    return [min(seconds, retry["MaxDelaySeconds"]) for seconds in growing]


PAUSES = [seconds / 100 for seconds in _pauses()]
"""Seconds between two tries: a hundredth of the longest that the state machine waits, and as many."""


class Done(NamedTuple):
    """The last outcome, and what the tries before it ended with."""

    outcome: Outcome
    patience: list[str]


@dataclass(frozen=True)
class Step:
    """The step with its secrets: `application`, and what `read_master` returns.

    `calm` waits until what befalls the server is over; the state machine's last try comes minutes after the first.
    """

    postgres: Postgres
    server: Server
    application: Credentials
    read_master: Master
    calm: Callable[[], None] = lambda: None

    def call(self) -> Outcome:
        """Once."""
        return ensure(self.server, self.application, self.read_master)

    def until_done(self) -> Done:
        """As the state machine does: again after a TransientError, a few times, and after nothing else."""
        patience: list[str] = []
        for pause in PAUSES:
            try:
                return Done(self.call(), patience)
            except TransientError as error:
                patience.append(str(error))
                time.sleep(pause)
        self.calm()
        return Done(self.call(), patience)

    def log_in(self) -> None:
        """As Workbench does."""
        self.postgres.connect(*self.application, "rstudio").close()
