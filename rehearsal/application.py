"""The application as its users install it: the real `sam build` and the real `sam deploy`, against the local AWS."""

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

ROOT: Final = Path(__file__).resolve().parents[1]
MANAGED_STACK: Final = "aws-sam-cli-managed-default"
"""What `resolve_s3` of samconfig.toml uses. SAM makes it at its first use in an account, and waits 30 s for it."""

KINDS: Final = ("deploy", "verify", "destroy")
"""The state machines, as the outputs of the stack name them."""

SOURCES: Final = ("template.yaml", "samconfig.toml", "functions", "layers", "image", "infra", "statemachine")
"""What `sam build` reads."""

BUILT: Final = ROOT / ".aws-sam/build"
"""What it makes."""

BUILD_FIRST: Final = "If packages could not be fetched: tests have no network, so run `make build` before `pytest`."

QUICKLY: Final = {"SAM_CLI_POLL_DELAY": "0.2"}
"""Environment of `sam` for looks at a stack every so many seconds."""

SECONDS_TO_BUILD: Final = 600
SECONDS_TO_DEPLOY: Final = 600


class CommandFailedError(Exception):
    """`sam build`, `sam deploy` or `sam delete` failed; the message ends with the last of its output."""


@dataclass(frozen=True)
class Application:
    """What `sam deploy` made."""

    name: str
    outputs: Mapping[str, str]
    functions: Mapping[str, str]
    """Logical ids by function name."""

    def machine(self, kind: str) -> str:
        """ARN of the state machine `deploy` or `verify`."""
        return self.outputs[f"{kind.capitalize()}StateMachineArn"]

    def kind(self, machine: str) -> str:
        """The other way round."""
        return next(kind for kind in KINDS if self.machine(kind) == machine)


def stack_name() -> str:
    """The name that samconfig.toml gives the application."""
    sections = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["default"]
    for section in ("deploy", "global"):
        name = sections.get(section, {}).get("parameters", {}).get("stack_name")
        if name:
            return str(name)
    raise KeyError("samconfig.toml names no stack in [default.deploy.parameters] or [default.global.parameters]")


def build(release: Path = ROOT) -> None:
    """`sam build`, cached, and only when something to build has changed since: others may be deploying what is there.

    Needs the network the first time, so it happens before the network is taken away. release: where SOURCES are.
    """
    built = release / BUILT.relative_to(ROOT)
    built.parent.mkdir(exist_ok=True)
    mark = built / "rehearsal.sha256"  # inside, so every other `sam build` takes it away
    with (built.parent / "rehearsal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = _digest_of_sources(release)
        if not mark.exists() or mark.read_text() != sources:
            try:
                _sam(["build"], {}, SECONDS_TO_BUILD, release)
            except CommandFailedError as failed:
                raise CommandFailedError(f"{failed}\n{BUILD_FIRST}") from failed
            mark.write_text(sources)


def _digest_of_sources(release: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for source in SOURCES:
        files = [release / source, *sorted((release / source).rglob("*"))]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(release)} {file.stat().st_mode} {file.stat().st_size}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def deploy(
    client: Callable[[str], Any],
    environment: Mapping[str, str],
    parameters: Mapping[str, Any],
    name: str = "",
    *,
    release: Path = ROOT,
) -> Application:
    """`sam deploy` with samconfig.toml's settings and a caller's `environment`; `client(service)` reads the result.

    name: of the stack, in place of samconfig.toml's. release: where SOURCES are, as they were built.
    """
    _make_managed_stack(client("cloudformation"))
    command = ["deploy", "--no-confirm-changeset", "--no-progressbar"]
    if parameters:
        command += ["--parameter-overrides", *(f"{key}={_override(value)}" for key, value in parameters.items())]
    if name:
        command += ["--stack-name", name]
    name = name or stack_name()
    try:
        _sam(command, {**environment, **QUICKLY}, SECONDS_TO_DEPLOY, release)
    except CommandFailedError as failed:
        reasons = "\n".join(_reasons(client("cloudformation"), name))
        raise CommandFailedError(f"{failed}\n{reasons}") from failed
    # The models of services and the modules of moto stay: no collection of garbage needs to look at them. They hold
    # hardly any garbage.
    gc.freeze()
    stack = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    resources = client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return Application(
        name=name,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        functions={
            resource["PhysicalResourceId"]: resource["LogicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::Lambda::Function"
        },
    )


def delete(environment: Mapping[str, str], name: str) -> None:
    """`sam delete`, which leaves what the template retains."""
    _sam(["delete", "--no-prompts", "--stack-name", name], {**environment, **QUICKLY}, SECONDS_TO_DEPLOY, ROOT)


def _reasons(stacks: Any, name: str) -> Iterator[str]:
    """Why CloudFormation did not make the stack: what its validation says, and the events that failed."""
    with contextlib.suppress(ClientError):
        change_sets = stacks.list_change_sets(StackName=name)["Summaries"]
        chosen = [{"ChangeSetName": each["ChangeSetId"]} for each in change_sets if each["Status"] == "FAILED"]
        pages = stacks.get_paginator("describe_events")  # what failed may be pages behind its rollback
        for asked in (*chosen, {"StackName": name}):
            for event in pages.paginate(**asked, Filters={"FailedEvents": True}).search("OperationEvents[]"):
                if reason := event.get("ValidationStatusReason") or event.get("ResourceStatusReason"):
                    yield f"{event.get('LogicalResourceId', name)}: {reason}"


def _make_managed_stack(stacks: Any) -> None:
    """An account in which SAM was used before: its stack with the bucket of artifacts is there."""
    template = {
        "Resources": {"SamCliSourceBucket": {"Type": "AWS::S3::Bucket"}},
        "Outputs": {"SourceBucket": {"Value": {"Ref": "SamCliSourceBucket"}}},
    }
    tags = [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}]
    with contextlib.suppress(stacks.exceptions.AlreadyExistsException):
        stacks.create_stack(StackName=MANAGED_STACK, TemplateBody=json.dumps(template), Tags=tags)
    stacks.get_waiter("stack_create_complete").wait(
        StackName=MANAGED_STACK, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )


def _override(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _sam(arguments: list[str], environment: Mapping[str, str], seconds: int, release: Path) -> None:
    """Run sam of this virtualenv without the caller's AWS settings; its output is shown only if it fails."""
    binaries = Path(sys.executable).parent
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    settings = {
        **inherited,
        **environment,
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if environment:  # only the local AWS is spoken to
        settings |= {"NO_PROXY": "*", "no_proxy": "*"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", ROOT / "rehearsal/sam.py", *arguments],
            cwd=release,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        text = late.output.decode(errors="replace") if isinstance(late.output, bytes) else late.output or ""
        raise CommandFailedError(f"sam {arguments[0]} did not end within {seconds} s:\n{_tail(text)}") from late
    if done.returncode != 0:
        raise CommandFailedError(f"sam {arguments[0]} failed (exit code {done.returncode}):\n{_tail(done.stdout)}")


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-60:])
