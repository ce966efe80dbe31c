"""Functions as forks of one process for each set of Python packages: a third of what a start from nothing takes.

What it imports and reads beforehand are packages of the layers that are not ours, as the layers have them. Our own code
reads its environment when it is imported, and the runtime client the address of the Runtime API: no fork shares these.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rehearsal.launcher import MS_BIND, MS_PRIVATE, MS_REC

# include/uapi/linux/mount.h
MS_RDONLY, MS_REMOUNT = 1 << 0, 1 << 5

PROGRAM: Final = Path(__file__).with_name("fork_server.py")
MODULES: Final = (
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.utilities.typing",
    "psycopg2",
    "pydantic.dataclasses",
    "pydantic.plugin._loader",
    "simplejson",
    "snapshot_restore_py",
    "yaml",
)
SERVICES: Final = (
    "acm",
    "autoscaling",
    "cloudformation",
    "dynamodb",
    "ec2",
    "elbv2",
    "imagebuilder",
    "logs",
    "route53",
    "s3",
    "secretsmanager",
    "ssm",
    "stepfunctions",
)
"""Those whose models functions need again and again."""


class Mount(NamedTuple):
    """What mount(2) takes; a directory that is not there is made."""

    source: str
    target: str
    kind: str = ""
    flags: int = 0
    options: str = ""


def bind(source: Path, target: str) -> Mount:
    return Mount(str(source), target, flags=MS_BIND)


def read_only(target: str) -> Mount:
    """A bind mount that is there."""
    return Mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


def tmpfs(target: str, options: str) -> Mount:
    return Mount("tmpfs", target, "tmpfs", options=options)


PRIVATE: Final = Mount("", "/", flags=MS_REC | MS_PRIVATE)
"""Nothing that is mounted from then on is seen elsewhere."""


def interpreter() -> str:
    """The bare one, without a virtualenv's packages."""
    return os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]


class ForkServer:
    """The process that becomes functions. search: where their modules are, beside their own code, with these mounts.

    waits: whether their clients wait between their tries.
    """

    def __init__(self, search: Sequence[str], mounts: Sequence[Mount], region: str, *, waits: bool = True) -> None:
        self.search = list(search)
        self._requests, served = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        beforehand = {"mounts": mounts, "modules": MODULES, "services": SERVICES, "waits": waits}
        with served, PROGRAM.open("rb") as program:  # its folder may be one that something is mounted over
            self._process = subprocess.Popen(
                [interpreter(), "-S", "-s", "-", str(served.fileno()), json.dumps(beforehand)],
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "PYTHONPATH": os.pathsep.join(search),
                    "AWS_REGION": region,
                    "AWS_LAMBDA_FUNCTION_NAME": "forks",
                    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
                },
                cwd="/",
                stdin=program,
                pass_fds=[served.fileno()],
                start_new_session=True,
            )

    def fork(self, *, environment: Mapping[str, str], task: str, handler: str, mounts: Sequence[Mount]) -> "Child":
        """A new process that is this function: in the caller's network, and with these mounts over the caller's."""
        answers, asked = socket.socketpair()
        output, written = os.pipe()
        network, place = (os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt"))
        request = {
            "environment": dict(environment),
            "task": task,
            "handler": handler,
            "search": self.search,
            "mounts": mounts,
        }
        with asked:
            socket.send_fds(self._requests, [json.dumps(request).encode()], [asked.fileno(), written, network, place])
        for descriptor in (written, network, place):
            os.close(descriptor)
        return Child(answers, output)

    def stop(self) -> None:
        self._requests.close()
        self._process.wait(60)


class Child:
    """What `subprocess.Popen` is of an ordinary process, as far as functions use it."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self.stdout = os.fdopen(output, "rb")
        self.returncode: int | Any = None
        self._answers = connection.makefile("rb")
        self._connection = connection
        self.pid = int(self._answers.readline())
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, daemon=True).start()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int | None:
        self._ended.wait(60)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def _await_end(self) -> None:
        line = self._answers.readline()
        self.returncode = int(line or -signal.SIGKILL)
        self._connection.close()
        self._ended.set()
