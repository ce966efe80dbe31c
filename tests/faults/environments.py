"""Functions of the local AWS as forks of one process that has imported the layers: 20 ms instead of a cold start.

All of the Lambda service stays as it is (`rehearsal.aws.services.lambdas`): the Runtime API and its client, the
environment, keys of the role, log, time-out and memory. Only how a process comes to be differs.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

from rehearsal.aws.services.lambdas import functions
from rehearsal.aws.services.lambdas.execution_environment import ExecutionEnvironment

FORKER: Final = Path(__file__).with_name("forker.py")
SEARCH: Final = ("/opt/python",)


class Forker:
    """The process that becomes functions. It outlives the cases, which are forks of this process, too."""

    def __init__(self, directory: Path, search: list[str]) -> None:
        self.address = str(directory / "forker")
        self._search = search
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.address)
        listener.listen(64)
        interpreter = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [interpreter, "-S", "-s", str(FORKER), str(listener.fileno())],
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(search),
                "AWS_REGION": "us-east-1",
                "AWS_LAMBDA_FUNCTION_NAME": "forker",
                "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            },
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        listener.close()

    def fork(self, *, environment: dict[str, str], task: Path, handler: str) -> "Child":
        """A new process that is this function, in the namespaces of the caller."""
        output, written = os.pipe()
        network, mounts = (os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt"))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        request = {"environment": environment, "task": str(task), "handler": handler, "search": self._search}
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [written, network, mounts])
        for descriptor in (written, network, mounts):
            os.close(descriptor)
        return Child(connection, output)

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)


class Child:
    """What `subprocess.Popen` is of an ordinary process, as far as functions use it."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self.stdout = os.fdopen(output, "rb")
        self.returncode: int | None = None
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


class Environment(ExecutionEnvironment):
    """An execution environment that begins as a fork."""

    forker: Forker

    def _spawn(self) -> Any:
        environment = {**self._environment(), "LAMBDA_TASK_ROOT": str(self.settings.task)}
        return self.forker.fork(environment=environment, task=self.settings.task, handler=self.settings.handler)


def install(aws: Any, directory: Path) -> Forker:
    """Have every function of this process's local AWS begin as a fork; its layers are mounted at /opt, all together."""
    with_layers = [aws.functions._settings(function) for function in _functions(aws)]
    opts = sorted({str(settings.opt) for settings in with_layers if settings.opt})
    _mount("-t", "overlay", "-o", f"lowerdir={':'.join(opts)}:/opt", "overlay", "/opt")
    for source, path in aws.binds:
        _mount("--bind", str(source), f"/opt/{path}")
    Environment.forker = Forker(directory, ["/opt/python", str(aws.functions.runtime)])
    vars(functions)["ExecutionEnvironment"] = Environment
    return Environment.forker


def _functions(aws: Any) -> list[Any]:
    from moto.awslambda.models import lambda_backends

    return list(lambda_backends[aws.account][aws.region].list_functions())


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)
