"""Configure nodes: publishes the configuration, then has every node apply it through Run Command.

Once a node has applied it, it becomes the one that nodes take when they appear. A configuration that no node bears thus
keeps no new node away from the cluster.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from benchwright.errors import DatabaseFailed
from benchwright.models import Plan
from benchwright.nodes import auto_scaling, rollout, run_command
from benchwright.nodes.bundle import Endpoint, make_bundle
from benchwright.nodes.bundle_store import point_at, publish
from benchwright.nodes.instances import console_lines
from benchwright.nodes.node_script import load_script
from benchwright.nodes.run_command import Command
from benchwright.record import Record, confirm_lock, plan_of, save_configuration
from benchwright.secrets import Secret, describe_secret
from benchwright.step import StepEvent, step

# Of how many nodes that stay away the system log is shown, and how much of it.
LOGS, LOG_LINES = 2, 15


class Event(StepEvent):
    """commands: what this execution sent so far. last: whether this is the last attempt."""

    action: Literal["publish", "apply"]
    foundation: dict[str, str] = {}
    nodes: dict[str, str] = {}
    configuration: str = ""
    commands: list[Command] = []
    last: bool = False


class Result(BaseModel):
    """configuration: the hash that every node must report. node_script: that of the script, once published."""

    done: bool
    waiting_for: str = ""
    configuration: str = ""
    node_script: str = ""
    commands: list[Command] = []


@step(Event)
def handler(event: Event) -> Result:
    """Publish bundle and script, or look at the nodes and do the next thing."""
    record = confirm_lock(event.cluster, event.execution)
    plan = plan_of(record, event.cluster)
    return _publish(event, plan, record) if event.action == "publish" else _apply(event, plan, record)


def _publish(event: Event, plan: Plan, record: Record) -> Result:
    endpoint = Endpoint(event.foundation["DatabaseEndpoint"], int(event.foundation["DatabasePort"]))
    database = _required(event.foundation["DatabaseSecretArn"])
    key = _required(event.foundation["SecureCookieKeySecretArn"])
    bundle = make_bundle(plan, endpoint, database, key)
    script = load_script()
    publish(event.cluster, bundle, script, record.ami)
    save_configuration(event.cluster, event.execution, bundle.configuration)
    return Result(done=True, configuration=bundle.configuration, node_script=script.sha256)


def _required(arn: str) -> Secret:
    if secret := describe_secret(arn):
        return secret
    raise DatabaseFailed(
        f"The secret {arn} of the foundation is gone or scheduled for deletion. Restore it in Secrets Manager."
    )


def _apply(event: Event, plan: Plan, record: Record) -> Result:
    group = auto_scaling.describe_group(event.nodes["AutoScalingGroupName"])
    instances = [node.instance for node in group.nodes if node.state in auto_scaling.LIVING]
    commands = event.commands
    known = [item for item in run_command.invocations(commands) if item.instance in instances]
    agents = run_command.ping_status(instances)
    online = run_command.online(agents)
    if any(item.status == "Success" for item in known):
        point_at(event.cluster, event.configuration, record.ami)
    wanted = plan.wanted.nodes.count
    decision = rollout.next_step(instances, online, known, event.configuration, wanted, last=event.last)
    if decision.action == "send":
        document, token = event.nodes["DocumentName"], (event.execution, event.configuration, *decision.send)
        parameters = {"Mode": "apply", "Configuration": event.configuration}
        commands = [*commands, run_command.send(document, decision.send, parameters, token)]
    if event.last and decision.offline:
        # A node that never registered was never configured and holds no one's session: the next run meets a new one.
        strangers = [instance for instance in decision.offline if instance not in agents]
        replaced = [instance for instance in strangers if auto_scaling.replace(instance)]
        logs = {instance: console_lines(instance, LOG_LINES) for instance in decision.offline[:LOGS]}
        raise rollout.not_online(decision.offline, replaced, logs)
    return Result(
        done=decision.action == "done",
        waiting_for=decision.waiting_for,
        configuration=event.configuration,
        commands=commands,
    )
