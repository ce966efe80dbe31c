"""An execution environment: a process in which a function runs, one call at a time.

It sees only what Lambda would give it: the bare interpreter (so that a package missing from a layer is missing), its
code, its layers merged as /opt, the runtime client, and the keys of its role. It begins as a fork (forks.py).
"""

import queue
import signal
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.aws.services.logs import LogStream

from .forks import PRIVATE, Child, Mount, bind, interpreter, read_only, tmpfs
from .runtime_api import Outcome, RuntimeApi

if TYPE_CHECKING:
    from .functions import Functions

INIT_SECONDS = 30  # Lambda allows 10; a machine with two busy cores may need more
# What the slowest handler computes with the share of a processor that its memory gives it (docs/performance.md, "Cold
# starts"). Processes are started ahead of their first call, so that this machine's time does not count.
COLD_START_SECONDS = 1
MAXIMUM_RESPONSE_BYTES = 6_291_556  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# Below an empty file system of the process's own: a place that exists on every machine, whatever else does not.
INSIDE = Path("/mnt")
SEARCH = ("/opt/python", f"{INSIDE}/runtime")
_HOSTS = threading.Lock()


@dataclass(frozen=True)
class Settings:
    """What makes an execution environment: another value, another environment."""

    name: str
    arn: str
    logical_id: str
    role: str
    handler: str
    timeout: float
    memory: int
    task: Path
    opt: Path | None
    packages: Path | None
    environment: tuple[tuple[str, str], ...]
    log_group: str
    in_vpc: bool


class ExecutionEnvironment:
    """A process with its Runtime API, for one call at a time."""

    def __init__(self, functions: "Functions", settings: Settings) -> None:
        self.functions, self.settings = functions, settings
        stream = f"{functions.aws.clock.datetime():%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        self.log = LogStream(functions.aws, settings.log_group, stream)
        self._keys = functions.aws.assume(settings.role, settings.logical_id)
        self._api = RuntimeApi(settings.arn)
        self._born = time.monotonic()
        self._cold = True
        self._child = self._spawn()
        self._output = threading.Thread(target=self._read_output, daemon=True)
        self._output.start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def invoke(self, payload: bytes, execution: str | None) -> Outcome:
        aws = self.functions.aws
        aws.identities[self._keys.access_key].execution = execution
        if self._cold:
            aws.clock.sleep(COLD_START_SECONDS)
        if self.settings.in_vpc:
            _write_hosts(self.functions)
        request = str(uuid.uuid4())
        self.log.write(f"START RequestId: {request} Version: $LATEST")
        waited = self.await_readiness(request)
        started = time.monotonic()
        outcome = waited or self._call(request, payload, started)
        milliseconds = (time.monotonic() - started) * 1000
        peak = self._peak_megabytes()
        if self.alive and peak > self.settings.memory:
            self.stop()
            outcome = Outcome.failed(
                "Runtime.OutOfMemory", f"RequestId: {request} Error: Runtime exited with error: signal: killed"
            )
        if not self.alive:
            self._output.join(1)
        self.log.write(f"END RequestId: {request}")
        self.log.write(
            f"REPORT RequestId: {request}\tDuration: {milliseconds:.2f} ms\tBilled Duration: {milliseconds:.0f} ms\t"
            f"Memory Size: {self.settings.memory} MB\tMax Memory Used: {peak} MB"
            + (f"\tInit Duration: {(started - self._born) * 1000:.2f} ms" if self._cold else "")
        )
        self._cold = False
        return outcome

    def stop(self) -> None:
        if self.alive:
            self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        self._api.close()

    def await_readiness(self, request: str = "") -> Outcome | None:
        """None when the process asks for its first event; else how its initialisation failed."""
        end = time.monotonic() + INIT_SECONDS
        while not self._api.ready.wait(0.02):
            if not self.alive or time.monotonic() > end:
                if not self._api.outcomes.empty():
                    return self._ended(self._api.outcomes.get())
                if not self.alive:
                    return self._exited(request)
                self.stop()
                return Outcome.failed(
                    "Sandbox.Timedout", f"RequestId: {request} Error: Init took longer than {INIT_SECONDS} s"
                )
        return None

    def _call(self, request: str, payload: bytes, started: float) -> Outcome:
        end = started + self.settings.timeout
        self._api.events.put((request, payload, int((time.time() + self.settings.timeout) * 1000)))
        while True:
            try:
                outcome = self._api.outcomes.get(timeout=0.05)
            except queue.Empty:
                if not self.alive:
                    return self._exited(request)
                if time.monotonic() < end:
                    continue
                self.stop()
                message = f"Task timed out after {self.settings.timeout:.2f} seconds"
                self.log.write(f"{request} {message}")
                return Outcome.failed("Sandbox.Timedout", f"RequestId: {request} Error: {message}")
            if len(outcome.payload) > MAXIMUM_RESPONSE_BYTES:
                message = (
                    f"Response payload size exceeded maximum allowed payload size ({MAXIMUM_RESPONSE_BYTES} bytes)."
                )
                return Outcome.failed("Function.ResponseSizeTooLarge", message)
            return outcome

    def _exited(self, request: str) -> Outcome:
        status = self._child.returncode
        reason = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {request} Error: Runtime exited with error: {reason}"
        return self._ended(Outcome.failed("Runtime.ExitError", message))

    def _ended(self, outcome: Outcome) -> Outcome:
        self.stop()
        return outcome

    def _peak_megabytes(self) -> int:
        try:
            status = Path(f"/proc/{self._child.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        return int(kilobytes) // 1024

    def _spawn(self) -> Child:
        server = self.functions.fork_server(self.settings.packages)
        handler = self.settings.handler
        return server.fork(
            environment=self._environment(), task=f"{INSIDE}/task", handler=handler, mounts=self._mounts()
        )

    def _mounts(self) -> list[Mount]:
        """The file system of the process."""
        settings, task = self.settings, f"{INSIDE}/task"
        mounts = [*layers(self.functions.runtime, settings.opt), bind(settings.task, task), read_only(task)]
        if settings.opt is not None:
            mounts += [
                bind(source, f"/opt/{path}")
                for source, path in self.functions.aws.binds
                if (settings.opt / path).exists()
            ]
            mounts += [] if interpreter().startswith("/opt/") else [read_only("/opt")]
        if settings.in_vpc:
            mounts.append(bind(_write_hosts(self.functions), "/etc/hosts"))
        if not interpreter().startswith("/tmp/"):
            mounts.append(tmpfs("/tmp", "mode=1777,size=512m"))
        return mounts

    def _environment(self) -> dict[str, str]:
        aws, settings = self.functions.aws, self.settings
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": ":".join((f"{INSIDE}/task", *SEARCH)),
            "LAMBDA_TASK_ROOT": f"{INSIDE}/task",
            "LAMBDA_RUNTIME_DIR": f"{INSIDE}/runtime",
            "_HANDLER": settings.handler,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": settings.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log.name,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": aws.region,
            "AWS_DEFAULT_REGION": aws.region,
            **dict(settings.environment),
            # Keys of the role, and the one address that stands for all of AWS.
            **self._keys.environment(),
            "AWS_ENDPOINT_URL": aws.endpoint,
        }

    def _read_output(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.log.write(line.decode("utf-8", "replace").rstrip("\n"))


def layers(runtime: Path, opt: Path | None) -> list[Mount]:
    """Where SEARCH is: the runtime client, and layers over /opt, in which an interpreter that lives there must stay."""
    mounts = [PRIVATE, tmpfs(str(INSIDE), "mode=755,size=1m"), bind(runtime, f"{INSIDE}/runtime")]
    if opt and interpreter().startswith("/opt/"):
        mounts.append(Mount("overlay", "/opt", "overlay", options=f"lowerdir={opt}:/opt"))
    elif opt:
        mounts.append(bind(opt, "/opt"))
    return mounts


def _write_hosts(functions: "Functions") -> Path:
    """The hosts file of the network, rewritten in place: processes that run see a database made after they started."""
    path = functions.directory / "hosts"
    with _HOSTS:  # else who read the names earlier could be the last to write
        names = dict(functions.aws.names)
        text = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items())
        if not path.exists() or path.read_text() != text:
            with path.open("r+" if path.exists() else "w") as file:
                file.write(text)
                file.truncate()
    return path
