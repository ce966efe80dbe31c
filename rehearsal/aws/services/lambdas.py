"""Lambda: the built artifacts in real processes, under the real runtime client and a small Runtime API of ours.

One process serves one call at a time; a second concurrent call gets a process of its own. A process sees only what
Lambda would give it: the bare interpreter (so that a package missing from a layer is missing), its code, its layers
merged as /opt, the runtime client, and the keys of its role.
The protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import functools
import hashlib
import http.server
import importlib
import io
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal.aws import moto_clock, traces
from rehearsal.aws.server import Call, ServiceError

INIT_SECONDS = 30  # Lambda allows 10; a machine with two busy cores may need more
MAXIMUM_RESPONSE_BYTES = 6_291_556  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAXIMUM_REQUEST_BYTES = 6_291_456
# What the managed runtime brings beside the interpreter; boto3 is left out on purpose: ours comes with the layer.
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client")
# Below an empty file system of the process's own: a place that exists on every machine, whatever else does not.
INSIDE = Path("/mnt")
UNPACKED = Path(__file__).parents[3] / "build" / "functions"
"""Code by its content, as Lambda keeps it: unpacked and compiled once for all rehearsals."""
KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Outcome:
    """What an invocation answers: the payload, and `Unhandled` if it is an error."""

    payload: bytes
    error: str | None = None

    @classmethod
    def failed(cls, kind: str, message: str) -> "Outcome":
        return cls(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


@dataclass(frozen=True)
class Settings:
    """What makes a process: another value, another process."""

    name: str
    arn: str
    logical_id: str
    role: str
    handler: str
    timeout: float
    memory: int
    task: Path
    opt: Path | None
    environment: tuple[tuple[str, str], ...]
    log_group: str
    in_vpc: bool


@dataclass
class Functions:
    """All functions of the account: unpacked code, and processes by function."""

    aws: Any
    directory: Path
    _pools: dict[str, "Pool"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _digests: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._background = ThreadPoolExecutor(1, "functions")
        self._unpacking = threading.Lock()
        self.traces = traces.Daemon(self.directory / "traces.log")
        self.runtime = self.directory / "runtime"
        if not self.runtime.exists():
            _copy_runtime_client(self.runtime)

    def invoke(self, call: Call) -> Mapping[str, Any]:
        """lambda:Invoke."""
        function = self._function(call["FunctionName"], call.get("Qualifier"))
        payload = call.get("Payload") or b"{}"
        payload = payload.read() if hasattr(payload, "read") else payload
        payload = payload.encode() if isinstance(payload, str) else payload
        _refuse_payload(payload)
        kind = call.get("InvocationType", "RequestResponse")
        if kind == "DryRun":
            return {"StatusCode": 204}
        pool = self._pool(function)
        execution = call.identity.execution or _execution_in(payload)
        if kind == "Event":
            threading.Thread(target=pool.invoke, args=(payload, execution), daemon=True).start()
            return {"StatusCode": 202}
        outcome = pool.invoke(payload, execution)
        answer = {"StatusCode": 200, "ExecutedVersion": str(function.version), "Payload": outcome.payload}
        return {**answer, "FunctionError": outcome.error} if outcome.error else answer

    def prepare(self, function: Any) -> None:
        """Unpacks a function that was deployed and starts its first process, in the background."""
        self._background.submit(lambda: self._pool(function).warm())

    def stop(self) -> None:
        self._background.shutdown(cancel_futures=True)
        with self._lock:
            for pool in self._pools.values():
                pool.stop()
            self._pools.clear()
        self.traces.stop()

    def _function(self, name: str, qualifier: str | None) -> Any:
        from moto.awslambda.models import lambda_backends

        try:
            return lambda_backends[self.aws.account][self.aws.region].get_function(name, qualifier)
        except Exception as error:
            arn = (
                name
                if name.startswith("arn:")
                else f"arn:aws:lambda:{self.aws.region}:{self.aws.account}:function:{name}"
            )
            raise ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404) from error

    def _pool(self, function: Any) -> "Pool":
        settings = self._settings(function)
        with self._lock:
            pool = self._pools.get(function.function_arn)
            if pool is None or pool.settings != settings:
                if pool is not None:
                    pool.stop()
                pool = self._pools[function.function_arn] = Pool(self, settings, function.reserved_concurrency)
            return pool

    def _settings(self, function: Any) -> Settings:
        return Settings(
            name=function.function_name,
            arn=function.function_arn,
            logical_id=logical_id(function),
            role=function.role,
            handler=function.handler,
            timeout=float(function.timeout),
            memory=int(function.memory_size),
            task=self._unpacked("code", [function.code_bytes]),
            opt=self._unpacked("opt", self._layers(function)) if function.layers else None,
            environment=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
            log_group=function.logs_group_name,
            in_vpc=bool((function.vpc_config or {}).get("SubnetIds")),
        )

    def _layers(self, function: Any) -> list[bytes]:
        from moto.awslambda.models import lambda_backends

        backend = lambda_backends[self.aws.account][self.aws.region]
        return [backend.layers_versions_by_arn(layer["Arn"]).code_bytes for layer in function.layers]

    def _unpacked(self, kind: str, archives: list[bytes]) -> Path:
        """The archives, one over the other, in a directory named by their content: unpacked and compiled once."""
        with self._unpacking:
            parts = [self._once(kind, archive, _unpack) for archive in archives]
            if len(parts) == 1:
                return parts[0]
            return self._once(
                kind, " ".join(part.name for part in parts).encode(), lambda _, target: _merge(parts, target)
            )

    def _once(self, kind: str, content: bytes, make: Callable[[bytes, Path], None]) -> Path:
        if content not in self._digests:  # a layer has 20 MB, and every invocation asks
            self._digests[content] = hashlib.sha256(content).hexdigest()[:16]
        target = UNPACKED / f"{kind}-{self._digests[content]}"
        if not target.exists():
            UNPACKED.mkdir(parents=True, exist_ok=True)
            _forget_what_is_old()
            with tempfile.TemporaryDirectory(dir=UNPACKED, prefix="unfinished-") as folder:
                unfinished = Path(folder) / "code"
                make(content, unfinished)
                with contextlib.suppress(OSError):  # another process was faster
                    unfinished.rename(target)
        os.utime(target)
        return target


def _forget_what_is_old() -> None:
    for folder in UNPACKED.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process took it away
            if folder.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _refuse_payload(payload: bytes) -> None:
    if len(payload) > MAXIMUM_REQUEST_BYTES:
        message = f"Request must be smaller than {MAXIMUM_REQUEST_BYTES} bytes for the InvokeFunction operation"
        raise ServiceError("RequestTooLargeException", message, 413)
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise ServiceError("InvalidRequestContentException", message, 400) from error


def _execution_in(payload: bytes) -> str | None:
    """Our functions' events carry the execution's ARN or name, so a call outside a machine can be attributed, too."""
    event = json.loads(payload)
    execution = event.get("execution") if isinstance(event, dict) else None
    return execution if isinstance(execution, str) else None


def logical_id(function: Any) -> str:
    """The name in template.yaml; the function's own where no stack made it."""
    tagged = (function.tags or {}).get("aws:cloudformation:logical-id")
    if tagged:
        return str(tagged)
    parts = function.function_name.split("-")
    return parts[-2] if len(parts) > 2 else function.function_name


@dataclass
class Pool:
    """The processes of one function: those at rest are used again, the latest first."""

    functions: Functions
    settings: Settings
    reserved_concurrency: int | None
    _resting: list["Process"] = field(default_factory=list)
    _all: list["Process"] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    def invoke(self, payload: bytes, execution: str | None) -> Outcome:
        """A call is real work: AWS time runs with the wall meanwhile. Raises ServiceError when Lambda refuses it."""
        aws = self.functions.aws
        fault = aws.faults.take("lambda", function=self.settings.logical_id)
        if fault and fault.get("when", "before") == "before":
            return _faulty(fault)
        with self._lock:
            if self.reserved_concurrency is not None and self._running >= int(self.reserved_concurrency):
                raise ServiceError("TooManyRequestsException", "Rate Exceeded.", 429)
            self._running += 1
        try:
            with aws.clock.busy():
                process = self._take()
                outcome = process.invoke(payload, execution)
                self._give_back(process)
        finally:
            with self._lock:
                self._running -= 1
        return _faulty(fault) if fault else outcome

    def warm(self) -> None:
        """A process that is ready before its first call: Lambda initialises ahead of time, too."""
        process = self._take()
        process.await_readiness()
        self._give_back(process)

    def stop(self) -> None:
        with self._lock:
            for process in self._all:
                process.stop()
            self._all.clear()
            self._resting.clear()

    def _take(self) -> "Process":
        with self._lock:
            while self._resting:
                process = self._resting.pop()
                if process.alive:
                    return process
                self._all.remove(process)
            process = Process(self.functions, self.settings)
            self._all.append(process)
            return process

    def _give_back(self, process: "Process") -> None:
        with self._lock:
            if process.alive:
                self._resting.append(process)
            elif process in self._all:
                self._all.remove(process)


def _faulty(fault: Mapping[str, Any]) -> Outcome:
    """`{"code": …}` is an error of the service, `{"error": …}` one of the function."""
    message = str(fault.get("message", "A fault of the rehearsal."))
    if "code" in fault:
        raise ServiceError(str(fault["code"]), message, int(fault.get("status", 500)))
    return Outcome.failed(str(fault.get("error", "Lambda.Unknown")), message)


class Process:
    """One execution environment: a process with its Runtime API, for one call at a time."""

    def __init__(self, functions: Functions, settings: Settings) -> None:
        self.functions, self.settings = functions, settings
        self.log = LogStream(functions.aws, settings.log_group)
        self._events: queue.Queue[tuple[str, bytes, int]] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._ready = threading.Event()
        self._keys = functions.aws.assume(settings.role, settings.logical_id)
        self._api = _RuntimeApi(self)
        self._born = time.monotonic()
        self._cold = True
        self._child = self._spawn()
        self._output = threading.Thread(target=self._read_output, daemon=True)
        self._output.start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def invoke(self, payload: bytes, execution: str | None) -> Outcome:
        self.functions.aws.identities[self._keys.access_key].execution = execution
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
        while not self._ready.wait(0.02):
            if not self.alive or time.monotonic() > end:
                if not self._outcomes.empty():
                    return self._ended(self._outcomes.get())
                if not self.alive:
                    return self._exited(request)
                self.stop()
                return Outcome.failed(
                    "Sandbox.Timedout", f"RequestId: {request} Error: Init took longer than {INIT_SECONDS} s"
                )
        return None

    def _call(self, request: str, payload: bytes, started: float) -> Outcome:
        end = started + self.settings.timeout
        self._events.put((request, payload, int((time.time() + self.settings.timeout) * 1000)))
        while True:
            try:
                outcome = self._outcomes.get(timeout=0.05)
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

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", "-euc", self._script()],
            env=self._environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _script(self) -> str:
        """Lays out the file system of the process, then becomes the runtime client."""
        interpreter = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
        lines = [
            f"mount -t tmpfs -o mode=755,size=1m tmpfs {INSIDE}",
            f"mkdir {INSIDE}/task {INSIDE}/runtime",
            f"mount --bind {shlex.quote(str(self.settings.task))} {INSIDE}/task",
            f"mount -o remount,bind,ro {INSIDE}/task",
            f"mount --bind {shlex.quote(str(self.functions.runtime))} {INSIDE}/runtime",
        ]
        if self.settings.opt is not None:
            opt = shlex.quote(str(self.settings.opt))
            # An interpreter that lives below /opt must stay there.
            over = (
                f"mount -t overlay -o lowerdir={opt}:/opt overlay /opt"
                if interpreter.startswith("/opt/")
                else f"mount --bind {opt} /opt"
            )
            lines.append(over)
            lines += [
                f"mount --bind {shlex.quote(str(source))} {shlex.quote(f'/opt/{path}')}"
                for source, path in self.functions.aws.binds
                if (self.settings.opt / path).exists()
            ]
            lines.append("mount -o remount,bind,ro /opt" if not interpreter.startswith("/opt/") else ":")
        if self.settings.in_vpc:
            lines.append(f"mount --bind {shlex.quote(str(_write_hosts(self.functions)))} /etc/hosts")
        if not interpreter.startswith("/tmp/"):
            lines.append("mount -t tmpfs -o mode=1777,size=512m tmpfs /tmp")
        lines.append(f"cd {INSIDE}/task")
        lines.append(f"exec {shlex.quote(interpreter)} -S -s -m awslambdaric {shlex.quote(self.settings.handler)}")
        return "\n".join(lines)

    def _environment(self) -> dict[str, str]:
        aws, settings = self.functions.aws, self.settings
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": f"{INSIDE}/task:/opt/python:{INSIDE}/runtime",
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
            "AWS_XRAY_DAEMON_ADDRESS": self.functions.traces.address,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            **dict(settings.environment),
            # Keys of the role, and the one address that stands for all of AWS.
            **self._keys.environment(),
            "AWS_ENDPOINT_URL": aws.endpoint,
        }

    def _read_output(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.log.write(line.decode("utf-8", "replace").rstrip("\n"))


class _RuntimeApi:
    """The HTTP API that the runtime client asks for events and gives its results to."""

    def __init__(self, process: Process) -> None:
        settings = process.settings

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_args: Any) -> None: ...

            def do_GET(self) -> None:
                process._ready.set()
                request, payload, deadline = process._events.get()
                self.answer(
                    200,
                    payload,
                    {
                        "Lambda-Runtime-Aws-Request-Id": request,
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Invoked-Function-Arn": settings.arn,
                        "Lambda-Runtime-Trace-Id": _trace_id(),
                        "Content-Type": "application/json",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                process._outcomes.put(Outcome(body, None if self.path.endswith("/response") else "Unhandled"))
                self.answer(202, b"{}", {"Content-Type": "application/json"})

            def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class LogStream:
    """A stream of the function's CloudWatch log group; Lambda makes the group if no one has."""

    def __init__(self, aws: Any, group: str) -> None:
        from moto.logs.models import logs_backends

        self._logs = logs_backends[aws.account][aws.region]
        self._aws, self._group = aws, group
        self._lock = threading.Lock()
        self.name = f"{aws.clock.datetime():%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        self._logs.ensure_log_group(group)
        self._logs.create_log_stream(group, self.name)

    def write(self, line: str) -> None:
        event = {"timestamp": round(self._aws.clock.now() * 1000), "message": line}
        with self._lock:
            try:
                self._logs.put_log_events(self._group, self.name, [event])
            except Exception:  # the group was deleted: then there is nothing to write to, as on AWS
                self._logs.ensure_log_group(self._group)


def _trace_id() -> str:
    return f"Root=1-{int(time.time()):x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=1"


def _write_hosts(functions: Functions) -> Path:
    """The hosts file of the network, rewritten in place: processes that run see a database made after they started."""
    path = functions.directory / "hosts"
    names = dict(functions.aws.names)
    text = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items())
    if not path.exists() or path.read_text() != text:
        with path.open("r+" if path.exists() else "w") as file:
            file.write(text)
            file.truncate()
    return path


def _unpack(archive: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for member in packed.infolist():
            packed.extract(member, target)
            mode = member.external_attr >> 16 & 0o777
            if mode and not member.is_dir():
                (target / member.filename).chmod(mode)
    _compile(target)


def _merge(parts: list[Path], target: Path) -> None:
    """Links instead of copies: layers are read-only."""
    for part in parts:
        for directory, _, names in part.walk():
            there = target / directory.relative_to(part)
            there.mkdir(parents=True, exist_ok=True)
            for name in names:
                (there / name).unlink(missing_ok=True)
                (there / name).hardlink_to(directory / name)


def _compile(directory: Path) -> None:
    """Precompiled code imports in less than half the time; in a process of its own, since it is seconds of work."""
    command = [
        sys.executable,
        "-m",
        "compileall",
        "-qq",
        "-j",
        "2",
        "--invalidation-mode",
        "unchecked-hash",
        str(directory),
    ]
    subprocess.run(command, check=False, timeout=120)  # a file that does not compile fails when it is imported


def _copy_runtime_client(target: Path) -> None:
    """awslambdaric and what it needs, out of the virtualenv and into a directory that holds nothing else."""
    packages = Path(importlib.import_module("awslambdaric").__file__ or "").parents[1]
    target.mkdir(parents=True)
    for name in RUNTIME_CLIENT:
        for source in packages.glob(f"{name}*") if "." not in name else [packages / name]:
            if source.name.endswith(".dist-info"):
                continue
            if source.is_dir():
                shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    _compile(target)


def install(aws: Any) -> None:
    """lambda:Invoke runs processes; moto keeps what it would forget of a function."""
    functions = Functions(aws, aws.directory / "functions")
    aws.functions = functions
    aws.server.add("lambda", "Invoke", functions.invoke)
    _keep_logging_config()
    _prepare_what_is_deployed(aws)
    moto_clock.patch_datetimes()


def stop(aws: Any) -> None:
    aws.functions.stop()


def _keep_logging_config() -> None:
    """moto drops LoggingConfig; the group that the template gives is the one that the function writes to."""
    from moto.awslambda.models import LambdaFunction

    if hasattr(LambdaFunction, "logging_config"):
        return
    initialise, update, describe = (
        LambdaFunction.__init__,
        LambdaFunction.update_configuration,
        LambdaFunction.get_configuration,
    )

    def set_config(self: Any, config: Mapping[str, Any] | None) -> None:
        self.logging_config = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}", **(config or {})}
        self.logs_group_name = self.logging_config["LogGroup"]

    def init(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **keywords: Any) -> None:
        initialise(self, account_id, spec, *rest, **keywords)
        set_config(self, spec.get("LoggingConfig"))

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "LoggingConfig" in config_updates:
            set_config(self, config_updates["LoggingConfig"])
        return dict(update(self, config_updates))

    def get_configuration(self: Any, *rest: Any, **keywords: Any) -> dict[str, Any]:
        return {**describe(self, *rest, **keywords), "LoggingConfig": self.logging_config}

    LambdaFunction.logging_config = {}
    LambdaFunction.__init__ = init
    LambdaFunction.update_configuration = update_configuration
    LambdaFunction.get_configuration = get_configuration


def _prepare_what_is_deployed(aws: Any) -> None:
    """After each of these calls of the deployment, the function is unpacked while the deployment goes on."""
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[aws.account][aws.region]

    def change(original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        result = original(*args, **keywords)
        name = result["FunctionName"] if isinstance(result, dict) else result.function_name
        aws.functions.prepare(backend.get_function(name))
        return result

    for operation in ("create_function", "update_function_code", "update_function_configuration"):
        setattr(backend, operation, functools.partial(change, getattr(backend, operation)))
