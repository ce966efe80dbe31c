"""Configure nodes: publishes the configuration, then has every node apply it through Run Command.

Once a node has applied it, it becomes the one that new nodes apply. So a configuration that fails on every node does
not keep new nodes out of the cluster.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from benchwright import licensing
from benchwright.dry_run import Step, unpack
from benchwright.errors import NodeConfigurationFailed
from benchwright.healing import probes
from benchwright.models import Plan
from benchwright.nodes import auto_scaling, offline, preview, rollout, run_command
from benchwright.nodes.archive import unpacked
from benchwright.nodes.bundle import Bundle, Endpoint, make_bundle
from benchwright.nodes.bundle_store import applied, point_at, publish
from benchwright.nodes.node_script import load_script
from benchwright.nodes.report import NodeReport, read_report
from benchwright.nodes.run_command import Command, Invocation
from benchwright.record import Record, confirm_lock, plan_of, save_configuration, save_license
from benchwright.secrets import Secret, require_secret
from benchwright.step import LoopEvent, LoopResult, StepResult, step
from benchwright.verification import sign_in
from benchwright.waits import COMMAND_SECONDS, WAITS

# In place of what a foundation has that does not exist yet.
UNKNOWN, NO_SECRET = Endpoint("unknown.invalid", 5432), Secret("", "")


class Event(LoopEvent):
    """commands: what this execution sent so far. waited: the seconds of all waits of this step. last: whether this is
    the last attempt. plan, after: of a dry run, and what becomes of the nodes.
    """

    action: Literal["publish", "apply", "preview"]
    plan: str = ""
    after: preview.Nodes = preview.Nodes()
    foundation: dict[str, str] = {}
    nodes: dict[str, str] = {}
    configuration: str = ""
    commands: list[Command] = []
    waited: int = 0
    last: bool = False


class Result(LoopResult):
    """configuration: the hash that every node must report. node_script: that of the script, once published."""

    configuration: str = ""
    node_script: str = ""
    commands: list[Command] = []


class Preview(StepResult):
    """What a deployment would do. sessions: what becomes of those that run."""

    steps: list[Step]
    sessions: list[str]


@step(Event)
def handler(event: Event) -> Result | Preview:
    """Publish bundle and script, or look at the nodes and do the next thing."""
    if event.action == "preview":
        return _preview(event)
    record = confirm_lock(event.cluster, event.execution)
    plan = plan_of(record, event.cluster)
    return _publish(event, plan, record) if event.action == "publish" else _apply(event, plan, record)


def _preview(event: Event) -> Preview:
    """Compare the configuration with the one that nodes have applied; without a foundation, none has."""
    plan = unpack(event.plan)
    bundle = _bundle(plan, event.foundation) if event.foundation else make_bundle(plan, UNKNOWN, NO_SECRET, NO_SECRET)
    steps, effect = preview.publication(applied(event.cluster), unpacked(bundle.archive), event.after)
    running = probes.active_sessions(event.cluster, datetime.now(UTC)) if event.after.now else None
    return Preview(steps=steps, sessions=preview.sessions(running, event.after, effect))


def _bundle(plan: Plan, foundation: Mapping[str, str]) -> Bundle:
    endpoint = Endpoint(foundation["DatabaseEndpoint"], int(foundation["DatabasePort"]))
    database = require_secret(foundation["DatabaseSecretArn"])
    return make_bundle(plan, endpoint, database, require_secret(foundation["SecureCookieKeySecretArn"]))


def _publish(event: Event, plan: Plan, record: Record) -> Result:
    bundle = _bundle(plan, event.foundation)
    script = load_script()
    publish(event.cluster, bundle, script, record.ami)
    save_configuration(event.cluster, event.execution, bundle.configuration)
    return Result(done=True, configuration=bundle.configuration, node_script=script.sha256)


def _apply(event: Event, plan: Plan, record: Record) -> Result:
    group = auto_scaling.describe_group(event.nodes["AutoScalingGroupName"])
    instances = [node.instance for node in group.nodes if node.state in auto_scaling.LIVING]
    commands = event.commands
    known = [item for item in run_command.invocations(commands) if item.instance in instances]
    _judge_license(event, plan, record, known)
    # Agents matter only where a command can be sent.
    succeeded = {item.instance for item in known if item.status == "Success"}
    is_settled = len(succeeded) == len({item.instance for item in known})
    agents = run_command.ping_status([node for node in instances if node not in succeeded] if is_settled else [])
    online = run_command.online(agents)
    if succeeded:
        point_at(event.cluster, event.configuration, record.ami)
    wanted = plan.wanted.nodes.count

    def explain(report: NodeReport) -> str:
        return sign_in.failure(plan, report.sign_in, datetime.now(UTC)) if report.sign_in else ""

    decision = rollout.next_step(
        instances, online, known, event.configuration, wanted, last=event.last, explain=explain
    )
    if decision.action == "send":
        document, token = event.nodes["DocumentName"], (event.execution, event.configuration, *decision.send)
        parameters = {"Mode": "apply", "Configuration": event.configuration}
        commands = [*commands, run_command.send(document, decision.send, parameters, token)]
    waits = WAITS["Configure nodes"]
    if event.last and decision.offline:
        raise offline.give_up(decision.offline, agents)
    return Result(
        done=decision.action == "done",
        waiting_for=decision.waiting_for,
        wait_seconds=COMMAND_SECONDS if decision.action == "send" else waits.after(event.wait_seconds, event.waited),
        configuration=event.configuration,
        commands=commands,
    )


def _judge_license(event: Event, plan: Plan, record: Record, known: Sequence[Invocation]) -> None:
    """Record the tier that a configured node reports; raise NodeConfigurationFailed where it does not allow the nodes.

    The first node is configured alone, so no other has joined it then.
    """
    reports = [read_report(item.output) for item in known if item.status == "Success"]
    tiers = [report.license_terms.tier for report in reports if report and report.license_terms]
    tier = next((tier for tier in tiers if tier), None)
    licence = licensing.identity(plan.license)
    if tier and (record.known.license_tier, record.known.license_read) != (tier, licence):
        save_license(event.cluster, event.execution, tier, licence)
    if refused := licensing.refusal(tier, plan.wanted.nodes.count):
        wrong, give = refused
        raise NodeConfigurationFailed(f"nodes.count is {plan.wanted.nodes.count}, and {wrong}. Give {give}.")
