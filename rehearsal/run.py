"""One rehearsal from beginning to end: build, isolate, start the local AWS, deploy the application, run executions."""

import argparse
import ast
import contextlib
import itertools
import json
import logging
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from benchwright.report import history
from benchwright.report.diagram import outline
from benchwright.report.history import Event
from rehearsal import application, launcher
from rehearsal.application import Application, CommandFailedError
from rehearsal.aws import durations
from rehearsal.aws.clock import HURRY, Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.schedules import NoSuchScheduleError, Schedules
from rehearsal.faults import Faults
from rehearsal.hosts import identity_provider
from rehearsal.hosts.host import Hosts
from rehearsal.hosts.network import GATEWAY
from rehearsal.initial_account import InitialAccount, make_network
from rehearsal.judges import secrets
from rehearsal.judges.arguments import ArgumentWatch
from rehearsal.judges.policies import verdict
from rehearsal.own_failures import EXIT_OWN_FAILURE, Failures
from rehearsal.starts import Start, in_order
from rehearsal.views import summary
from rehearsal.views.report import Execution, Report
from watch.progress import Progress

UNFINISHED: Final = ".unfinished"
"""The folder in that of the report which holds the new one until it is complete."""

LOOK_SECONDS: Final = 0.1
"""Wall seconds between two looks at a running execution."""


def rehearse(wanted: argparse.Namespace) -> int:
    """The exit code of `make rehearse`: 0 only when the last execution SUCCEEDED and every check held.

    3 when the rehearsal itself failed, so that nothing was learned about the account; else 1.
    """
    progress = Progress(Console(highlight=False))
    try:
        with progress.work("Building the application (sam build)"):
            application.build()
    except CommandFailedError as error:
        progress.console.print(Text(str(error)), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return interrupted(wanted.report)
    listener = launcher.listening("127.0.0.1")
    code = launcher.isolated(lambda scratch: Rehearsal(wanted, scratch, progress, listener).run())
    return interrupted(wanted.report) if code == launcher.INTERRUPTED else code


def interrupted(directory: Path) -> int:
    """Say in one sentence that there is no new report."""
    shutil.rmtree(directory / UNFINISHED, ignore_errors=True)
    last = directory / "report.html"
    kept = f" The report of the last one is still {last}." if last.exists() else ""
    print(f"\nInterrupted: this rehearsal leaves no report.{kept}", file=sys.stderr)
    return launcher.INTERRUPTED


@dataclass
class Rehearsal:
    """The part that runs inside the namespaces."""

    wanted: argparse.Namespace
    scratch: Path
    progress: Progress
    listener: socket.socket
    report: Report = field(default_factory=Report)
    failures: Failures = field(default_factory=Failures)

    def run(self) -> int:
        try:
            return self._rehearse()
        except SystemExit as gone:  # Rich's answer where nothing reads the output any more, as after `| head`
            raise KeyboardInterrupt from gone

    def _rehearse(self) -> int:
        directory: Path = self.wanted.report.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        self.report.speed = self.wanted.speed
        faults: Faults = self.wanted.faults
        if self.wanted.slow:
            durations.change(durations.SLOW)
        aws: LocalAws | None = None
        try:
            with self.progress.work("Starting the local AWS"):
                aws = local_aws(self.scratch, Clock(self.wanted.speed), faults, self.listener, self.wanted.account)
            with self.progress.work("Installing the application (sam deploy)"):
                parameters = self.wanted.parameters
                if subnets := aws.initial_account.subnets:
                    parameters = make_network(aws.client, subnets) | parameters
                with aws.clock.at_speed(max(HURRY, self.wanted.speed)):
                    installed = application.deploy(aws.client, aws.environment("sam"), parameters, self.wanted.name)
            for name, value in self.wanted.secret:
                put_secret(aws, name, value)
            with ArgumentWatch() if self.wanted.watch_arguments else contextlib.nullcontext() as watch:
                for start in in_order(self.wanted, installed, Schedules(aws.client, installed.name)):
                    if start.ordered:
                        faults.begin()
                    self._execute(aws, installed, start)
                    if start.ordered:
                        self.report.checks += [f"the fault {fault} never happened" for fault in faults.end()]
            with self.progress.work("Looking for secrets where they must not be"):
                self._look_for_secrets(aws, watch.places() if watch else ())
            with self.progress.work("Asking the rules of IAM about every call"):
                aws.write_policies()
                self.report.policies = verdict.judge([aws.directory])
        except (CommandFailedError, NoSuchScheduleError) as error:
            self.report.checks.append(str(error).partition("\n")[0])
            self.progress.console.print(Text(str(error)), soft_wrap=True)
        except (KeyboardInterrupt, SystemExit):
            logging.disable()  # what is under way fails now, and that is no news
            _end(aws)
            raise
        except Exception as error:
            self.failures.add(error)
        with self._written(aws, directory):
            _end(aws)
            summary.show(self.progress.console, self.report, directory)
        if self.report.itself:
            return EXIT_OWN_FAILURE
        return 0 if self.report.succeeded else 1

    @contextlib.contextmanager
    def _written(self, aws: LocalAws | None, directory: Path) -> Iterator[None]:
        """Write the report; inside, the local AWS ends and the summary is shown. Then it takes the place of the last
        one, which stays if that is interrupted.
        """
        unfinished = directory / UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        if aws:
            self.failures.read_crashes(aws.hosts.crashes)
            self.report.operations = aws.operations.ended
        self.report.itself = list(self.failures.causes)
        self.report.judge()
        self.report.write(unfinished)
        if aws:
            keep_logs(aws, unfinished / "logs")
        self.failures.write(unfinished / "logs")
        yield
        for name in ("calls.jsonl", "policies.json"):
            if aws and (aws.directory / name).exists():
                shutil.copyfile(aws.directory / name, unfinished / name)
        replace_report(unfinished, directory)

    def _execute(self, aws: LocalAws, installed: Application, start: Start) -> None:
        """Start one execution, and those of schedules while it runs; show each, and add each to the report."""
        arn = self._begin(aws, start)
        begun = [(start, arn)] if arn else []
        for each, execution in begun:  # which grows
            began = time.monotonic()
            begun += self._watch(aws, installed, each, execution)
            self.report.wall_s = round(self.report.wall_s + time.monotonic() - began, 3)
            self._report(aws, installed, each, execution)

    def _begin(self, aws: LocalAws, start: Start) -> str | None:
        """The ARN of the execution; None where a schedule calls a function, or was refused, which does not hold."""
        if start.schedule is None:
            states = aws.client("stepfunctions")
            return str(states.start_execution(stateMachineArn=start.machine, input=start.input)["executionArn"])
        try:
            if arn := start.schedule.start(aws.client):
                return arn
            aws.functions.wait()
            self.progress.console.print(f"{start.by}: called its function; what it answers is in logs/ of the report")
            return None
        except ClientError as error:
            self.report.checks.append(f"the schedule {start.schedule.name} could not start its execution: {error}")
            return None

    def _watch(self, aws: LocalAws, installed: Application, start: Start, arn: str) -> list[tuple[Start, str]]:
        """Show an execution until it ends; returns those that its `during` began as soon as it waited."""
        begun: list[tuple[Start, str]] = []
        to_come = list(start.during)
        with self.progress.execution(
            f"{installed.kind(start.machine)} {start.input}", start.by, unit="of AWS time"
        ) as watched:
            described, history = execution_of(arn), live_history(arn)
            while True:
                ended = described.status != "RUNNING"
                events = history()
                watched.read(events, aws.clock.now())
                if ended:
                    break
                if any(event["type"] == "WaitStateEntered" for event in events):
                    while to_come:
                        scheduled = to_come.pop(0)
                        watched.say(f"starts {scheduled.by}")
                        execution = self._begin(aws, scheduled)
                        begun += [(scheduled, execution)] if execution else []
                time.sleep(LOOK_SECONDS)
        self.report.checks += [f"{missed.by} never started: the deployment waited for nothing" for missed in to_come]
        return begun

    def _report(self, aws: LocalAws, installed: Application, start: Start, arn: str) -> None:
        """Add an execution that has ended to the report, and show how it ended."""
        states = aws.client("stepfunctions")
        events = [event for page in pages(states, arn) for event in page]
        described = states.describe_execution(executionArn=arn)
        kind, calls = installed.kind(start.machine), dict(sorted(aws.recorder.count(arn).items()))
        started_by = start.schedule.caller if start.schedule else "rehearsal"
        execution = Execution.read(
            kind, described, history.read(events), installed.functions, aws_calls=calls, started_by=started_by
        )
        self.report.executions.append(execution)
        machine = states.describe_state_machine(stateMachineArn=start.machine)
        self.report.machines[kind] = outline(json.loads(machine["definition"]))
        self.report.checks += unexpected_errors(events)
        self.failures.read_crashes(aws.hosts.crashes)
        summary.show_execution(self.progress.console, execution, itself=bool(self.failures.causes))

    def _look_for_secrets(self, aws: LocalAws, arguments: Iterable[secrets.Place]) -> None:
        logs = [*aws.directory.rglob("*.log"), aws.recorder.path]
        places = itertools.chain(secrets.places(aws.client, logs, aws.hosts.directory), arguments)
        self.report.secrets = secrets.search(secrets.stored(aws.client), places)


SECRETS: Final = {
    "benchwright/auth/oidc": identity_provider.CLIENT_SECRET,
    "benchwright/files/databricks": "[main]\nname = main\nclient-secret = of a rehearsal\n",
    "benchwright/users/jane.doe": "of a rehearsal, jane.doe's password",
    "benchwright/users/probe": "of a rehearsal, the password of probe",
    "benchwright/license/workbench": "-- a licence file --\nLicensee: Rehearsal\nTier: Advanced\n",
}
"""What a company has put into Secrets Manager before it deploys events/production.json or administrator.json: what its
identity provider, Databricks and Posit have given it, and passwords of two accounts.
"""


def local_aws(
    scratch: Path, clock: Clock, faults: Faults, listener: socket.socket, initial_account: InitialAccount | None = None
) -> LocalAws:
    """The local AWS, started: inside at localhost, for nodes on the bridge, for the host at `listener`."""
    port = listener.getsockname()[1]
    node_endpoint = f"http://{GATEWAY}:{port}"
    hosts = Hosts(scratch / "hosts", endpoint=node_endpoint)
    hosts.start()
    aws = LocalAws(
        clock=clock,
        directory=scratch / "aws",
        listeners=[listener, launcher.listening(GATEWAY, port)],
        faults=faults,
        port=port,
        node_endpoint=node_endpoint,
        hosts=hosts,
        initial_account=initial_account or InitialAccount(),
    )
    aws.start()
    for name, value in SECRETS.items():
        put_secret(aws, name, value)
    return aws


def put_secret(aws: LocalAws, name: str, value: str) -> None:
    """What a person does in the console: a new secret, or a new version of it."""
    manager = aws.client("secretsmanager")
    try:
        manager.create_secret(Name=name, SecretString=value)
    except manager.exceptions.ResourceExistsException:
        manager.put_secret_value(SecretId=name, SecretString=value)


def replace_report(unfinished: Path, directory: Path) -> None:
    """Move a complete report to where the last one is. What else is in the folder stays."""
    shutil.rmtree(directory / "logs", ignore_errors=True)
    for part in sorted(unfinished.iterdir()):
        part.replace(directory / part.name)
    unfinished.rmdir()


def _end(aws: LocalAws | None) -> None:
    if aws:
        aws.stop()
        aws.hosts.stop()


def keep_logs(aws: LocalAws, directory: Path) -> None:
    """Every log group as a file beside the report, for who wants to know more than the summary says."""
    directory.mkdir()
    logs = aws.client("logs")
    for group in logs.get_paginator("describe_log_groups").paginate().build_full_result()["logGroups"]:
        name = group["logGroupName"]
        events = logs.get_paginator("filter_log_events").paginate(logGroupName=name).build_full_result()["events"]
        lines = [event["message"].rstrip("\n") for event in sorted(events, key=lambda event: event["timestamp"])]
        if lines:
            file = directory / f"{name.strip('/').replace('/', '.')}.log"
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def pages(states: Any, arn: str) -> Iterable[list[Event]]:
    for page in states.get_paginator("get_execution_history").paginate(executionArn=arn):
        yield page["events"]


def execution_of(arn: str) -> Any:
    """moto's own object: asking over HTTP again and again costs more than what is waited for."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    region, account = arn.split(":")[3:5]
    return stepfunctions_parser_backends[account][region].describe_execution(arn)


def live_history(arn: str) -> Callable[[], list[Event]]:
    """A function that returns the events since its last call."""
    execution = execution_of(arn)
    read = 0

    def since() -> list[Event]:
        nonlocal read
        environment = execution.exec_worker and execution.exec_worker.env
        events: list[Event] = environment.event_manager._history_event_list[read:] if environment else []
        read += len(events)
        return events

    return since


def unexpected_errors(events: Iterable[Event]) -> list[str]:
    """Tasks that failed with an error that is none of the application's own (benchwright/errors.py): a crash."""
    ours = named_errors()
    return sorted(
        {
            f"a function failed with {error}: {str(details.get('cause', ''))[:300]}"
            for event in events
            if (details := event.get("taskFailedEventDetails")) and (error := details.get("error")) not in ours
        }
    )


def named_errors() -> frozenset[str]:
    """The class names of benchwright/errors.py, read without importing the product."""
    source = application.ROOT / "layers/benchwright/benchwright/errors.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
