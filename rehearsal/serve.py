"""`make serve`: the local AWS of a rehearsal stays up with the application deployed, for people and their own tools.

The AWS CLI, psql and whatever else speaks with AWS reach it from any other terminal of this machine, through sockets
that were opened before the namespaces were entered. build/serve.env says where, as long as someone answers there.
"""

import argparse
import contextlib
import errno
import fcntl
import logging
import os
import select
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from rehearsal import application, containers, launcher, local_invoke, machine, run
from rehearsal.__main__ import json_object, positive
from rehearsal.application import Application, CommandFailedError
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import FORWARDED, PINNED
from rehearsal.aws.refusal import Refusal
from rehearsal.containers import Containers
from rehearsal.faults import Faults
from rehearsal.forwarder import Forwarder
from rehearsal.hosts import identity_provider
from rehearsal.views import invitation
from rehearsal.views.executions import Executions
from watch.progress import Progress

BUILD: Final = application.ROOT / "build"
ENVIRONMENT: Final = BUILD / "serve.env"
LOCK: Final = BUILD / "serve.lock"
"""Stays when all has ended: were it removed, two could each hold one of this name."""

KEPT: Final = BUILD / "serve"
"""What is kept at the end: calls.jsonl, policies.json, and what went wrong inside. Each start begins with nothing."""
AUTHORITY: Final = KEPT / "rds-ca.pem"

TOOLS: Final = application.ROOT / ".venv" / "bin"
"""Where sam and aws are, if the machine has none."""

HOST: Final = "localhost"
LOOK_SECONDS: Final = 0.5
"""Wall seconds between two looks at the executions."""

ENDING_SECONDS: Final = 60
"""Wall seconds that the kernel may take to end what a killed predecessor has left."""

NO_DOCKER: Final = "# needs Docker: start its engine, then this again"
NO_DATABASE: Final = "no cluster has a database yet: start an execution of the state machine that deploys one"


class NotServedError(Exception):
    """This machine cannot serve now; the message is one sentence with the reason."""


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make serve ARGS='…'", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--parameters", metavar="JSON|FILE", type=json_object, default={}, help="parameters of the stack ({})"
    )
    parser.add_argument("--speed", metavar="N", type=positive, default=120.0, help="AWS time per wall time (120)")
    parser.add_argument("--port", metavar="N", type=port, default=0, help="of the local AWS (any that is free)")
    return parser.parse_args(arguments)


def port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 65535")
    return number


def main(arguments: list[str]) -> int:
    wanted = options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        machine.require("serve")
        with only_instance():
            return serve(wanted)
    except (machine.NotAbleError, NotServedError) as error:
        print(error, file=sys.stderr)
        return machine.EXIT_MISUSE
    except KeyboardInterrupt:
        print("Stopped before it was ready.")
        return 0


def serve(wanted: argparse.Namespace) -> int:
    """Build, isolate and serve until someone ends it; whatever ends it, serve.env goes."""
    sockets = Sockets.open(wanted.port)
    progress = Progress(Console(highlight=False))
    starter = os.pidfd_open(os.getppid()) if "MAKELEVEL" in os.environ else None
    try:
        with progress.work("Building the application (sam build)"):
            application.build()
        serving = Serving(wanted, progress, sockets, starter)
        code = launcher.isolated(serving.run, session=True)
        if code == launcher.INTERRUPTED:
            raise KeyboardInterrupt
        if code > 128:
            print(f"The local AWS was ended by {signal.Signals(code - 128).name}.", file=sys.stderr)
        return code
    except CommandFailedError as error:
        progress.console.print(Text(str(error)), soft_wrap=True)
        return 1
    finally:
        ENVIRONMENT.unlink(missing_ok=True)


@contextlib.contextmanager
def only_instance() -> Iterator[None]:
    """Hold the lock of this working copy, and clear away what a killed predecessor has left.

    Processes that are forked off hold it too: it is free when the last of them has ended. Raises NotServedError.
    """
    BUILD.mkdir(exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + ENDING_SECONDS
    while not _taken(lock):
        holder = os.pread(lock, 20, 0).decode()
        if Path(f"/proc/{holder or 'nobody'}").exists() or time.monotonic() > deadline:
            raise NotServedError(f"`make serve` already runs here, as process {holder}: `kill {holder}` ends it.")
        time.sleep(0.05)
    ENVIRONMENT.unlink(missing_ok=True)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    try:
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class Sockets:
    """The ways in from the network of this machine: `aws` for every AWS API, `database` for psql, `browser` for people,
    `provider` for the pages of their identity provider.

    `containers` are the first two at the address that Docker's containers know, for `sam local invoke`.
    """

    aws: socket.socket
    database: socket.socket
    browser: socket.socket
    provider: socket.socket
    containers: tuple[socket.socket, socket.socket] | None = None

    @classmethod
    def open(cls, wanted: int) -> "Sockets":
        """Raises NotServedError where a port is another's."""
        aws = listening("127.0.0.1", wanted)
        database = listening("127.0.0.1", 0)
        browser, provider = (_for_browsers(address) for address in ("127.0.0.1", "127.0.0.2"))
        address = containers.bridge_address()
        if address is None:
            return cls(aws, database, browser, provider)
        return cls(
            aws,
            database,
            browser,
            provider,
            (listening(address, aws.getsockname()[1]), listening(address, local_invoke.database_port())),
        )


def _for_browsers(address: str) -> socket.socket:
    """The port of HTTPS, so that an address without a port leads here; any other where that is taken."""
    try:
        return launcher.listening(address, invitation.HTTPS)
    except OSError:
        return launcher.listening(address)


def listening(address: str, wanted: int) -> socket.socket:
    try:
        return launcher.listening(address, wanted)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise NotServedError(f"Port {wanted} of {address} is in use by another program.") from error


@dataclass
class Serving:
    """The part that runs inside the namespaces."""

    wanted: argparse.Namespace
    progress: Progress
    sockets: Sockets
    starter: int | None
    """A pidfd of the make that waits for this: when it is gone, no one else would end it."""
    _containers: Containers | None = None

    def run(self, scratch: Path) -> int:
        KEPT.mkdir(parents=True, exist_ok=True)
        # What a person types wrong is answered to them, and is no news here.
        logging.basicConfig(filename=KEPT / "serve.log", filemode="w")
        began = time.monotonic()
        with self.progress.work("Starting the local AWS"):
            aws = run.local_aws(scratch, Clock(self.wanted.speed), Faults(), self.sockets.aws)
        try:
            with self.progress.work("Installing the application (sam deploy)"):
                installed = application.deploy(aws.client, aws.environment("sam"), self.wanted.parameters)
            if self.sockets.containers:
                self._containers = Containers(aws, installed, *self.sockets.containers, self._say)
            self._open_database(aws)
            Forwarder(self.sockets.browser, lambda: door.place if (door := aws.balancing.door()) else None)
            provider = (aws.hosts.network.names[identity_provider.HOST], identity_provider.PORT)
            Forwarder(self.sockets.provider, lambda: provider)
            write_environment(self._environment(aws, installed), TOOLS, PINNED)
            chapters = invitation.chapters(installed.name, shlex.quote(str(ENVIRONMENT)))
            chapters["One function in a container"] = [local_invoke.COMMAND if self.sockets.containers else NO_DOCKER]
            invitation.show(self.progress.console, aws, chapters, time.monotonic() - began)
            self._watch(aws)
        except KeyboardInterrupt:
            self._ignore_signals()
        except CommandFailedError as error:
            self.progress.console.print(Text(str(error)), soft_wrap=True)
            return 1
        finally:
            self._stop(aws)
        with contextlib.suppress(OSError):  # the terminal may be gone
            self.progress.console.print(f"Stopped. Every call is in {KEPT.relative_to(application.ROOT)}/calls.jsonl.")
        return 0

    def _say(self, sentence: str) -> None:
        self.progress.console.print(Text(sentence), soft_wrap=True)

    def _open_database(self, aws: LocalAws) -> None:
        """Let psql reach the cluster that was made last, and say so to who comes too early."""
        refusal = Refusal(aws.hosts.mirror.authority, FORWARDED, NO_DATABASE)

        def find() -> tuple[str, int] | None:
            servers = [(server.addresses[0], server.port) for server in list(aws.postgres.values()) if server.running]
            if self._containers and self._containers.database in servers:
                servers.remove(self._containers.database)
            return servers[-1] if servers else None

        Forwarder(self.sockets.database, find, refusal.answer)
        aws.hosts.mirror.authority.cert_pem.write_to_path(str(AUTHORITY))

    def _environment(self, aws: LocalAws, installed: Application) -> dict[str, str]:
        machines = {f"{kind.upper()}_STATE_MACHINE_ARN": installed.machine(kind) for kind in application.KINDS}
        return {
            **aws.environment("cli"),
            **machines,
            "PGHOST": HOST,
            "PGPORT": str(self.sockets.database.getsockname()[1]),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(AUTHORITY),
        }

    def _watch(self, aws: LocalAws) -> None:
        """Report executions until the starter has gone, or someone interrupts."""
        executions = Executions(aws)
        shown = None
        while not select.select([self.starter] if self.starter else [], [], [], LOOK_SECONDS)[0]:
            for line in executions.news():
                self.progress.console.print(line, soft_wrap=True)
            door = aws.balancing.door()
            if door and door != shown:
                places = {door.names[0]: self.sockets.browser, identity_provider.HOST: self.sockets.provider}
                listening = {name: place.getsockname() for name, place in places.items()}
                people = identity_provider.ADMITTED
                invitation.show_address(self.progress.console, listening, AUTHORITY, people)
            shown = door

    def _ignore_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, aws: LocalAws) -> None:
        for path in (ENVIRONMENT, AUTHORITY):
            path.unlink(missing_ok=True)
        aws.stop()
        aws.hosts.stop()
        for name in ("calls.jsonl", "policies.json"):
            if (aws.directory / name).exists():
                shutil.copyfile(aws.directory / name, KEPT / name)


def write_environment(values: dict[str, str], *folders: Path) -> None:
    """Make build/serve.env appear at once, as lines that a shell sources in any folder.

    The `folders` of sam, aws and psql come last in PATH: what the machine has itself is found before.
    """
    unfinished = ENVIRONMENT.with_suffix(".unfinished")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    lines.append(f'export PATH="$PATH":{shlex.quote(":".join(map(str, folders)))}')
    unfinished.write_text("\n".join(lines) + "\n")
    unfinished.rename(ENVIRONMENT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
