"""An account with the application installed, at rest in one process; each case goes on in a fork of it."""

import gc
import math
import subprocess
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import botocore.endpoint
from moto.awslambda.models import lambda_backends

from rehearsal import application, launcher
from rehearsal.application import Application
from rehearsal.aws import durations
from rehearsal.aws.clock import Clock
from rehearsal.aws.durations import Durations
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.server import NoFaults
from rehearsal.aws.services import work
from tests.faults import databases, nodes, real_nodes, times

PORT: Final = 4566
"""Of the local AWS. Every case has a network of its own, so all of them have this one."""
FULL_SPEED: Final = 300
"""How many times faster AWS time runs beside real nodes, whose daemons no one waits for."""


class Hosts(Protocol):
    """The instances, real or recorded."""

    def wake(self, aws: Any) -> None:
        """In a fork, in a network of its own: be ready for instances."""

    def described(self, cluster: str, configuration: str) -> Iterator[str]:
        """The files on each node of a cluster, listed by whether they are its recorded configuration, and its rows."""


@dataclass
class Account:
    """The local AWS and what `sam deploy` made in it."""

    aws: Any  # a LocalAws, with what its modules add to it
    application: Application
    hosts: Hosts
    usual: Durations
    """How long AWS takes elsewhere, of all that takes next to no time here."""

    @property
    def table(self) -> str:
        """The name of the table of clusters."""
        (name,) = self.aws.client("dynamodb").list_tables()["TableNames"]
        return str(name)

    def rest(self) -> None:
        """Stop every process and thread, so that a fork begins from the state alone."""
        self.aws.server.stop()
        self.aws.recorder.close()
        self.aws._clients.clear()
        self.aws.recorder.record = lambda *_, **__: None  # who called what is counted by the faults
        self.aws.server.names = lambda _parameters: {}

    def wake(self) -> None:
        """In a fork: go on in a network of its own, and let what is written be its own."""
        launcher.own_network_and_mounts()
        private = self.aws.directory.with_name("case")
        _mount("-t", "tmpfs", "-o", "mode=755", "case", str(private))
        for part in ("upper", "work"):
            (private / part).mkdir()
        layers = f"lowerdir={self.aws.directory},upperdir={private / 'upper'},workdir={private / 'work'}"
        _mount("-t", "overlay", "-o", layers, "case", str(self.aws.directory))
        work._threads.clear()
        self.aws.clock._changed = threading.Condition()
        self.aws.server.listen(("127.0.0.1", PORT))
        self.hosts.wake(self.aws)


def install(directory: Path, *, full: bool) -> Account:
    """Deploy the application, once, in this process, which has namespaces of its own already.

    `full` is the rehearsal as it is; else functions are forks, nodes are recorded, and AWS takes next to no time.
    """
    warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)
    (directory / "case").mkdir()
    hosts: Any = (real_nodes if full else nodes).Hosts(directory / "aws/hosts")
    clock = Clock(FULL_SPEED if full else math.inf)
    aws: Any = LocalAws(clock=clock, directory=directory / "aws", port=PORT, faults=NoFaults(), hosts=hosts)
    aws.start()
    aws.functions.prepare = lambda _function: None  # its processes would not survive a fork
    account = Account(aws, application.deploy(aws.client, aws.environment("sam"), {}), hosts, {})
    account.rest()
    for function in lambda_backends[aws.account][aws.region].list_functions():
        aws.functions.fork_server(aws.functions._settings(function).packages, waits=full)  # which all cases share
    if not full:
        account.usual = _quicken(directory)
    gc.collect()
    gc.freeze()  # what is here stays: no fork needs to look at it again, which would copy it
    return account


def alone(live: Callable[[Account], int]) -> int:
    """Install the application in namespaces of its own; return the exit code of what then happens in the account."""
    application.build()

    def work(directory: Path) -> int:
        account = install(directory, full=False)
        account.wake()
        return live(account)

    return launcher.isolated(work)


def _quicken(directory: Path) -> Durations:
    databases.install(directory)
    vars(botocore.endpoint)["time"] = types.SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})
    return durations.change(times.SHORT)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)
