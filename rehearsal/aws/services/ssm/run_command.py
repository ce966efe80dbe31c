"""Run Command: documents run on instances, really, and what the service remembers of it.

Limits and states: docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html and botocore's model. Both
spell StatusDetails with blanks; the service answers without them (recorded: "ExecutionTimedOut", ResponseCode 137).
"""

import collections
import contextlib
import datetime
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work
from rehearsal.aws.services.ec2 import node_faults
from rehearsal.aws.services.ec2.instances import Machine

from . import agent_output
from .documents import Step

logger = logging.getLogger(__name__)

# AWS seconds. A command was sent, run and seen to have ended within 5 (DataDog/stratus-red-team#108); how they divide
# is an assumption.
VISIBLE_SECONDS = 2  # until an invocation can be seen after SendCommand (boto/boto3#2701, which has no number)
DELIVERY_SECONDS = 1
REPORT_SECONDS = 1

STOPPED = 137
"""The agent's code of a script that it killed. It takes a script that exits with it for one (executers.go)."""

DEFAULT_DELIVERY_SECONDS = 3600  # API reference, SendCommand, TimeoutSeconds
ENDED = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})

type Prepare = Callable[[str, str | None, Mapping[str, Sequence[str]]], tuple[str, list[Step]]]
"""Version and steps of a document, by its name, the version asked for and its parameters."""
type Select = Callable[[Iterable[Mapping[str, Any]]], list[Machine]]
"""The instances of targets."""


@dataclass
class StepRun:
    """One step on one instance."""

    step: Step
    status: str = "Pending"
    detail: str = "Pending"
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None

    @property
    def listed_output(self) -> str:
        """Output as ListCommandInvocations shows it."""
        return agent_output.both(self.stdout, self.stderr)


@dataclass
class Invocation:
    """A command on one instance."""

    instance_id: str
    runs: list[StepRun]
    requested: datetime.datetime
    status: str = "Pending"
    detail: str = "Pending"

    def end(self, status: str, detail: str = "") -> None:
        self.status, self.detail = status, detail or status


@dataclass
class Command:
    """What one SendCommand began."""

    id: str
    document: str
    version: str
    call: Call
    requested: datetime.datetime
    steps: Sequence[Step]
    invocations: dict[str, Invocation] = field(default_factory=dict)

    @property
    def concurrency(self) -> int:
        return max(1, share(self.call.get("MaxConcurrency") or "50", len(self.invocations)))

    @property
    def allowed_errors(self) -> int:
        return share(self.call.get("MaxErrors") or "0", len(self.invocations))

    @property
    def errors(self) -> int:
        return sum(invocation.status in ("Failed", "TimedOut") for invocation in self.invocations.values())

    @property
    def status(self) -> str:
        statuses = {invocation.status for invocation in self.invocations.values()}
        if statuses - ENDED:
            return "Pending" if statuses == {"Pending"} else "InProgress"
        if self.errors > self.allowed_errors:
            return "TimedOut" if statuses <= {"TimedOut"} else "Failed"
        return "Success"


def share(text: str, total: int) -> int:
    """`10` or `10%` of the targets."""
    return int(text[:-1]) * total // 100 if text.endswith("%") else int(text)


class RunCommand:
    """The commands of the account."""

    def __init__(self, aws: LocalAws, prepare: Prepare, select: Select) -> None:
        self._aws = aws
        self._prepare = prepare
        self._select = select
        self._commands: dict[str, Command] = {}
        self._lock = threading.RLock()

    def send_command(self, call: Call) -> dict[str, Any]:
        name = call["DocumentName"].rpartition("/")[2]
        version, steps = self._prepare(name, call.get("DocumentVersion"), call.get("Parameters") or {})
        if bool(call.get("InstanceIds")) == bool(call.get("Targets")):
            raise ServiceError("ValidationException", "Specify either InstanceIds or Targets.")
        if call.get("InstanceIds"):
            machines = [self._reachable(instance_id) for instance_id in dict.fromkeys(call["InstanceIds"])]
        else:
            machines = self._select(call["Targets"])
        now = self._aws.clock.datetime()
        command = Command(str(uuid.uuid4()), name, version, call, now, steps)
        for machine in machines:
            command.invocations[machine.id] = Invocation(machine.id, [StepRun(step) for step in steps], now)
        with self._lock:
            self._commands[command.id] = command
        pending = collections.deque(machines)
        for _ in range(min(command.concurrency, len(machines))):
            work.start(self._aws.clock, lambda: self._work(command, pending))
        return {"Command": {**self._shown(command), "Status": "Pending", "StatusDetails": "Pending"}}

    def _reachable(self, instance_id: str) -> Machine:
        machine: Machine | None = self._aws.machines.by_id.get(instance_id)
        if machine is None or not machine.online:
            raise ServiceError(
                "InvalidInstanceId", f"Instances [[{instance_id}]] not in a valid state for account {self._aws.account}"
            )
        return machine

    def _work(self, command: Command, pending: collections.deque[Machine]) -> None:
        """One of MaxConcurrency lines of work: the next instance, until none is left or too many have failed."""
        while True:
            with self._lock:
                if not pending:
                    return
                machine = pending.popleft()
                invocation = command.invocations[machine.id]
                if command.errors > command.allowed_errors:
                    invocation.end("Cancelled", "Terminated")
                    continue
            mode = (command.call.get("Parameters") or {}).get("Mode") or [""]
            with self._aws.operations.during("command", command.document, mode[0]):
                self._aws.clock.sleep(DELIVERY_SECONDS)
                self._deliver(command, invocation, machine)

    def _deliver(self, command: Command, invocation: Invocation, machine: Machine) -> None:
        clock, patience = self._aws.clock, command.call.get("TimeoutSeconds") or DEFAULT_DELIVERY_SECONDS
        total = clock.now() + patience + sum(run.step.timeout for run in invocation.runs)
        if not machine.reachable and not clock.sleep(patience, lambda: machine.reachable or machine.ending):
            return invocation.end("TimedOut", "DeliveryTimedOut")
        if machine.ending:
            return invocation.end("TimedOut", "Undeliverable")
        first = invocation.runs[0]
        first.started = clock.datetime()
        invocation.status = invocation.detail = first.status = first.detail = "InProgress"
        runs = [replace(run) for run in invocation.runs]
        run_steps(self._aws, machine, runs, command.id)
        # What an agent cannot report to Systems Manager is not known there until the time of the command is over.
        if not machine.reachable and not clock.sleep(total - clock.now(), lambda: machine.reachable):
            return invocation.end("TimedOut", "ExecutionTimedOut")
        invocation.runs = runs
        self._publish(command, invocation, machine)
        clock.sleep(REPORT_SECONDS)
        last = next((run for run in runs if run.status != "Success"), runs[-1])
        return invocation.end(last.status, last.detail)

    def _publish(self, command: Command, invocation: Invocation, machine: Machine) -> None:
        """The agent sends the output to CloudWatch Logs with the role of its instance.

        What CloudWatch Logs does not take is dropped; the command is none the worse (amazon-ssm-agent,
        agent/agentlogstocloudwatch/cloudwatchlogspublisher).
        """
        wanted = command.call.get("CloudWatchOutputConfig") or {}
        if not wanted.get("CloudWatchOutputEnabled") or machine.role_arn is None:
            return
        group = wanted.get("CloudWatchLogGroupName") or f"/aws/ssm/{command.document}"
        logs = self._aws.client("logs", machine.role_arn, machine.id)
        texts = [
            (f"{command.id}/{machine.id}/{run.step.name}/{stream}", text)
            for run in invocation.runs
            for stream, text in (("stdout", run.stdout), ("stderr", run.stderr))
            if text
        ]
        with self._aws.clock.busy(), contextlib.suppress(ClientError):
            for stream, text in texts:
                publish_text(self._aws, logs, group, stream, text)

    def _newest_first(self, wanted: str | None) -> list[Command]:
        """Every command, or the wanted one alone."""
        with self._lock:
            commands = list(reversed(self._commands.values()))
        if not wanted:
            return commands
        found = [command for command in commands if command.id == wanted]
        if not found:
            raise ServiceError("InvalidCommandId", f"There is no command {wanted}.")
        return found

    def list_commands(self, call: Call) -> dict[str, Any]:
        commands = self._newest_first(call.get("CommandId"))
        if call.get("InstanceId"):
            commands = [command for command in commands if call["InstanceId"] in command.invocations]
        for item in call.get("Filters") or []:
            commands = [command for command in commands if _fits(command, item)]
        return call.page("Commands", [self._shown(command) for command in commands])

    def list_command_invocations(self, call: Call) -> dict[str, Any]:
        commands = self._newest_first(call.get("CommandId"))
        for item in call.get("Filters") or []:
            if item["key"] != "Status":
                commands = [command for command in commands if _fits(command, item)]
        statuses = [item["value"] for item in call.get("Filters") or [] if item["key"] == "Status"]
        shown = [
            self._shown_invocation(command, invocation, details=bool(call.get("Details")))
            for command in commands
            if self._visible(command)
            for invocation in command.invocations.values()
            if call.get("InstanceId") in (None, invocation.instance_id)
            and (not statuses or invocation.status in statuses)
        ]
        return call.page("CommandInvocations", shown)

    def get_command_invocation(self, call: Call) -> dict[str, Any]:
        command = self._commands.get(call["CommandId"])
        invocation = command.invocations.get(call["InstanceId"]) if command else None
        if command is None or invocation is None or not self._visible(command):
            raise ServiceError("InvocationDoesNotExist", "")
        name = call.get("PluginName")
        if name is None and len(invocation.runs) > 1:
            raise ServiceError("InvalidPluginName", "The document has several steps: say whose output in PluginName.")
        run = next((run for run in invocation.runs if name in (None, run.step.name)), None)
        if run is None:
            raise ServiceError("InvalidPluginName", f"The document has no step {name}.")
        readable = run.status in ("Success", "Failed")
        elapsed = (run.ended - run.started).total_seconds() if run.started and run.ended else 0
        return {
            "CommandId": command.id,
            "InstanceId": invocation.instance_id,
            "Comment": command.call.get("Comment") or "",
            "DocumentName": command.document,
            "DocumentVersion": command.version,
            "PluginName": run.step.name,
            "ResponseCode": run.code,
            "ExecutionStartDateTime": _iso(run.started),
            "ExecutionElapsedTime": f"PT{elapsed:.3f}S" if run.ended else "",
            "ExecutionEndDateTime": _iso(run.ended),
            "Status": invocation.status,
            "StatusDetails": invocation.detail,
            # Empty unless the step has succeeded or failed (API reference; so it is of a command that timed out).
            "StandardOutputContent": agent_output.standard_output(run.stdout) if readable else "",
            "StandardOutputUrl": "",
            "StandardErrorContent": agent_output.standard_error(run.stderr) if readable else "",
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": command.call.get("CloudWatchOutputConfig") or {"CloudWatchOutputEnabled": False},
        }

    def _visible(self, command: Command) -> bool:
        return self._aws.clock.now() >= command.requested.timestamp() + VISIBLE_SECONDS

    def _shown(self, command: Command) -> dict[str, Any]:
        ended = [one for one in command.invocations.values() if one.status in ENDED]
        patience = command.call.get("TimeoutSeconds") or DEFAULT_DELIVERY_SECONDS
        return {
            "CommandId": command.id,
            "DocumentName": command.document,
            "DocumentVersion": command.call.get("DocumentVersion") or "$DEFAULT",
            "Comment": command.call.get("Comment") or "",
            "ExpiresAfter": command.requested + datetime.timedelta(seconds=patience),
            "Parameters": command.call.get("Parameters") or {},
            "InstanceIds": command.call.get("InstanceIds") or [],
            "Targets": command.call.get("Targets") or [],
            "RequestedDateTime": command.requested,
            "Status": command.status,
            "StatusDetails": command.status,
            "OutputS3BucketName": "",
            "OutputS3KeyPrefix": "",
            "MaxConcurrency": command.call.get("MaxConcurrency") or "50",
            "MaxErrors": command.call.get("MaxErrors") or "0",
            "TargetCount": len(command.invocations),
            "CompletedCount": len(ended),
            "ErrorCount": command.errors,
            "DeliveryTimedOutCount": sum(one.detail == "DeliveryTimedOut" for one in ended),
            "ServiceRole": "",
            "TimeoutSeconds": patience,
            "CloudWatchOutputConfig": command.call.get("CloudWatchOutputConfig") or {"CloudWatchOutputEnabled": False},
        }

    def _shown_invocation(self, command: Command, invocation: Invocation, *, details: bool) -> dict[str, Any]:
        machine = self._aws.machines.by_id[invocation.instance_id]
        plugins = [
            {
                "Name": run.step.name,
                "Status": run.status,
                "StatusDetails": run.detail,
                "ResponseCode": run.code,
                "ResponseStartDateTime": run.started,
                "ResponseFinishDateTime": run.ended,
                "Output": run.listed_output,
                "StandardOutputUrl": "",
                "StandardErrorUrl": "",
                "OutputS3BucketName": "",
                "OutputS3KeyPrefix": "",
            }
            for run in invocation.runs
            if details
        ]
        return {
            "CommandId": command.id,
            "InstanceId": invocation.instance_id,
            "InstanceName": machine.name,
            "Comment": command.call.get("Comment") or "",
            "DocumentName": command.document,
            "DocumentVersion": command.version,
            "RequestedDateTime": invocation.requested,
            "Status": invocation.status,
            "StatusDetails": invocation.detail,
            "TraceOutput": "",
            "StandardOutputUrl": "",
            "StandardErrorUrl": "",
            "CommandPlugins": plugins,
            "ServiceRole": "",
        }


def run_steps(
    aws: LocalAws,
    machine: Machine,
    runs: Iterable[StepRun],
    execution: str,
) -> None:
    """What the agent does with a document: one script after the other, until one fails."""
    node_faults.begin(aws, machine, "command")
    failed = False
    for run in runs:
        if failed:
            run.status = run.detail = "Cancelled"
            continue
        run.status = run.detail = "InProgress"
        run.started = run.started or aws.clock.datetime()
        completed = machine.run(
            run.step.script,
            environment={
                **run.step.environment,
                "AWS_SSM_REGION_NAME": aws.region,
                "AWS_SSM_INSTANCE_ID": machine.id,
                "AWS_SSM_EXECUTION_ID": execution,
            },
            timeout=run.step.timeout,
            directory=run.step.directory,
        )
        run.ended = aws.clock.datetime()
        run.stdout, run.stderr = completed.stdout, completed.stderr
        if completed.timed_out or completed.returncode == STOPPED:
            run.status, run.detail, run.code = "TimedOut", "ExecutionTimedOut", STOPPED
        elif completed.returncode:
            run.status, run.detail, run.code = "Failed", "Failed", completed.returncode
            run.stderr += f"failed to run commands: exit status {completed.returncode}"
        else:
            run.status, run.detail, run.code = "Success", "Success", 0
        failed = run.status != "Success"


def publish_text(aws: LocalAws, logs: Any, group: str, stream: str, text: str) -> None:
    """Write lines to a log stream, making stream and group where they are missing, as the agent does."""
    exists = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    existing = logs.exceptions.ResourceAlreadyExistsException  # another node may have been first
    if not any(one["logGroupName"] == group for one in exists):
        with contextlib.suppress(existing):
            logs.create_log_group(logGroupName=group)
    with contextlib.suppress(existing):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = round(aws.clock.now() * 1000)
    logs.put_log_events(
        logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": now, "message": text.rstrip("\n") or "\n"}]
    )


def _fits(command: Command, item: Mapping[str, str]) -> bool:
    key, value = item["key"], item["value"]
    match key:
        case "DocumentName":
            return command.document == value
        case "Status":
            return command.status == value
        case "ExecutionStage":
            return (command.status in ENDED) == (value == "Complete")
        case "InvokedAfter":
            return command.requested >= datetime.datetime.fromisoformat(value)
        case "InvokedBefore":
            return command.requested < datetime.datetime.fromisoformat(value)
    raise ServiceError("InvalidFilterKey", f"The rehearsal knows no filter {key}.")


def _iso(moment: datetime.datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z" if moment else ""
