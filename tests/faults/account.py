"""An account with the application installed, at rest in one process; each case goes on in a fork of it."""

import math
import socket
import subprocess
import threading
import time
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import botocore.endpoint
import moto.backends

from tests.faults import databases, environments, nodes, times, transport
from tests.rehearsal import application, launcher
from tests.rehearsal.application import Application
from tests.rehearsal.aws import LocalAws
from tests.rehearsal.clock import Clock
from tests.rehearsal.server import NoFaults
from tests.rehearsal.services import work

PORT: Final = 4566
"""Of the local AWS. Every case has a network of its own, so all of them have this one."""


@dataclass
class Account:
    """The local AWS and what `sam deploy` made in it."""

    aws: Any  # a LocalAws, with what its modules add to it
    application: Application
    directory: Path

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

    def wake(self) -> None:
        """In a fork: go on in a network of its own, and let what is written be its own."""
        launcher.own_network_and_mounts()
        private = self.directory.with_name("case")
        _mount("-t", "tmpfs", "-o", "mode=755", "case", str(private))
        for part in ("upper", "work"):
            (private / part).mkdir()
        layers = f"lowerdir={self.directory},upperdir={private / 'upper'},workdir={private / 'work'}"
        _mount("-t", "overlay", "-o", layers, "case", str(self.directory))
        hosts = self.aws.directory / "functions/hosts"
        hosts.write_text("127.0.0.1 localhost\n")
        _mount("--bind", str(hosts), "/etc/hosts")
        work._threads.clear()
        self.aws.clock._changed = threading.Condition()
        self.aws.functions.traces = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.aws.functions.traces.bind(("127.0.0.1", 0))
        self.aws.recorder.path = private / "calls.jsonl"
        self.aws.recorder.record = lambda *_, **__: None  # who called what is counted by the faults
        self.aws.server.names = lambda _parameters: {}
        transport.install(self.aws)
        vars(botocore.endpoint)["time"] = types.SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})
        modules = list(moto.backends.list_of_moto_modules())
        moto.backends.list_of_moto_modules = lambda: modules  # moto lists its directory at each request
        self.aws.server.listen(("127.0.0.1", PORT))


def install(directory: Path) -> Account:
    """Deploy the application, once, in this process, which has namespaces of its own already."""
    warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)
    (directory / "case").mkdir()
    databases.install(directory)
    hosts = nodes.Hosts(directory / "aws/hosts")
    aws: Any = LocalAws(clock=Clock(math.inf), directory=directory / "aws", port=PORT, faults=NoFaults(), hosts=hosts)
    hosts.aws = aws
    aws.start()
    aws.functions.prepare = lambda _function: None
    account = Account(aws, application.deploy(aws.client, aws.environment("sam"), {}), directory / "aws")
    environments.install(aws, directory)
    times.shorten()
    account.rest()
    return account


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)
