"""lambda:Invoke: the functions of the account, and the execution environments of each."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError

from .deployment_packages import DeploymentPackages, copy_runtime_client
from .execution_environment import SEARCH, ExecutionEnvironment, Settings, layers
from .forks import ForkServer
from .runtime_api import Outcome

MAXIMUM_REQUEST_BYTES = 6_291_456


@dataclass
class Functions:
    """All functions of the account: their deployment packages and execution environments."""

    aws: Any
    directory: Path
    invocations: deque[tuple[str, bool]] = field(default_factory=deque)
    """Of each call that ended: the function, and whether it failed; service_metrics.py takes them away."""
    _pools: dict[str, "Pool"] = field(default_factory=dict)
    _servers: dict[Path | None, ForkServer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _events: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._background = ThreadPoolExecutor(1, "functions")
        self._packages = DeploymentPackages()
        self.runtime = self.directory / "runtime"
        if not self.runtime.exists():
            copy_runtime_client(self.runtime)

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
            call_of_event = threading.Thread(target=self._invoke, args=(pool, payload, execution), daemon=True)
            call_of_event.start()
            self._events.append(call_of_event)
            return {"StatusCode": 202}
        outcome = self._invoke(pool, payload, execution)
        answer = {"StatusCode": 200, "ExecutedVersion": str(function.version), "Payload": outcome.payload}
        return {**answer, "FunctionError": outcome.error} if outcome.error else answer

    def _invoke(self, pool: "Pool", payload: bytes, execution: str | None) -> Outcome:
        outcome = pool.invoke(payload, execution)
        self.invocations.append((pool.settings.name, bool(outcome.error)))
        return outcome

    def check_subnets(self, call: Call) -> Proceed:
        """Refuse subnets in zones without Lambda, as https://github.com/keboola/developer-portal/issues/81 quotes it.

        No page lists these zones, and no operation does.
        """
        subnets = list((call.get("VpcConfig") or {}).get("SubnetIds") or [])
        found = self.aws.client("ec2").describe_subnets(SubnetIds=subnets)["Subnets"] if subnets else []
        if any(subnet["AvailabilityZone"][-1] in self.aws.initial_account.without_lambda for subnet in found):
            raise ServiceError(
                "InvalidParameterValueException",
                "The provided subnets contain availability zone Lambda doesn't support. Please use a different set of "
                "subnets.",
            )
        return PROCEED

    def wait(self) -> None:
        """Wait until no function runs any more that was called asynchronously."""
        while self._events:
            self._events.pop().join()

    def prepare(self, function: Any) -> None:
        """Unpacks a function that was deployed and starts its first environment, in the background."""
        self._background.submit(lambda: self._pool(function).warm())

    def stop(self) -> None:
        self._background.shutdown(cancel_futures=True)
        with self._lock:
            for pool in self._pools.values():
                pool.stop()
            self._pools.clear()
            for server in self._servers.values():
                server.stop()
            self._servers.clear()

    def fork_server(self, packages: Path | None, *, waits: bool = True) -> ForkServer:
        """The process whose forks are functions with these Python packages."""
        with self._starting:
            if packages not in self._servers:
                mounts = layers(self.runtime, packages)
                self._servers[packages] = ForkServer(SEARCH, mounts, self.aws.region, waits=waits)
            return self._servers[packages]

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
        content = self._layers(function)
        with_packages = [layer for layer in content if (self._packages.unpacked("opt", [layer]) / "python").exists()]
        return Settings(
            name=function.function_name,
            arn=function.function_arn,
            logical_id=logical_id(function),
            role=function.role,
            handler=function.handler,
            timeout=float(function.timeout),
            memory=int(function.memory_size),
            task=self._packages.unpacked("code", [function.code_bytes]),
            opt=self._packages.unpacked("opt", content) if content else None,
            packages=self._packages.unpacked("opt", with_packages) if with_packages else None,
            environment=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
            log_group=function.logs_group_name,
            in_vpc=bool((function.vpc_config or {}).get("SubnetIds")),
        )

    def _layers(self, function: Any) -> list[bytes]:
        from moto.awslambda.models import lambda_backends

        backend = lambda_backends[self.aws.account][self.aws.region]
        return [backend.layers_versions_by_arn(layer["Arn"]).code_bytes for layer in function.layers]


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
    """The execution environments of one function: those at rest are used again, the latest first."""

    functions: Functions
    settings: Settings
    reserved_concurrency: int | None
    _resting: list[ExecutionEnvironment] = field(default_factory=list)
    _all: list[ExecutionEnvironment] = field(default_factory=list)
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
                environment = self._take()
                outcome = environment.invoke(payload, execution)
                self._give_back(environment)
        finally:
            with self._lock:
                self._running -= 1
        return _faulty(fault) if fault else outcome

    def warm(self) -> None:
        """One whose process is ready before its first call, which is a cold start all the same."""
        environment = self._take()
        environment.await_readiness()
        self._give_back(environment)

    def stop(self) -> None:
        with self._lock:
            for environment in self._all:
                environment.stop()
            self._all.clear()
            self._resting.clear()

    def _take(self) -> ExecutionEnvironment:
        with self._lock:
            while self._resting:
                environment = self._resting.pop()
                if environment.alive:
                    return environment
                self._all.remove(environment)
            environment = ExecutionEnvironment(self.functions, self.settings)
            self._all.append(environment)
            return environment

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            if environment.alive:
                self._resting.append(environment)
            elif environment in self._all:
                self._all.remove(environment)


def _faulty(fault: Mapping[str, Any]) -> Outcome:
    """`{"code": …}` is an error of the service, `{"error": …}` one of the function."""
    message = str(fault.get("message", "A fault of the rehearsal."))
    if "code" in fault:
        raise ServiceError(str(fault["code"]), message, int(fault.get("status", 500)))
    return Outcome.failed(str(fault.get("error", "Lambda.Unknown")), message)
