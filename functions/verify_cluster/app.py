"""Verify cluster: asks every node and the cluster itself, judges by the plan, and applies the remedies that are safe."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import BaseModel

from benchwright import node_group, run_command
from benchwright.cluster_listing import (
    BalancedNode,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)
from benchwright.connection import Connection, connect
from benchwright.errors import VerificationFailed
from benchwright.instances import addresses_and_images
from benchwright.models import Plan
from benchwright.node_report import NodeReport, read_report
from benchwright.observability import StepEvent, step
from benchwright.record import Record, confirm_lock, plan_of, read, save_verified
from benchwright.run_command import Command, Invocation
from benchwright.settings import settings
from benchwright.stacks import outputs
from benchwright.verification import Observed, Verification, failing, verify


class Event(StepEvent):
    """round: how many times the nodes were asked. locked: whether this execution holds the cluster, so may apply remedies."""

    round: int = 0
    stale: list[int] = []
    reports: list[Command] = []
    listing: Command | None = None
    locked: bool = True
    last: bool = False


class Node(BaseModel):
    """A node in the output of an execution."""

    instance: str
    ipv4: str
    host: str
    status: str
    sessions: list[str]


class Cluster(BaseModel):
    """The cluster as verified: what an execution answers."""

    cluster: str
    nodes: list[Node]
    workbench: str
    image: str
    configuration: str
    endpoints: dict[str, str]
    list_nodes: str
    connection: Connection
    verification: Verification


class Result(BaseModel):
    """needs_lock: a safe remedy waits for the lock. The other fields go into the next event."""

    done: bool
    waiting_for: str = ""
    needs_lock: bool = False
    round: int = 0
    stale: list[int] = []
    reports: list[Command] = []
    listing: Command | None = None
    summary: Cluster | None = None


@step(Event)
def handler(event: Event) -> Result:
    """Ask, wait for the answers, judge; then remedy and ask again, or end."""
    record = confirm_lock(event.cluster, event.execution) if event.locked else read(event.cluster)
    plan = plan_of(record, event.cluster)
    nodes = _nodes_outputs(plan)
    group = node_group.describe_nodes(nodes["AutoScalingGroupName"])
    instances = [node.instance for node in group if node.state == "InService"]
    if not event.reports or not event.listing:
        return _ask(event, nodes["DocumentName"], instances)
    answers = run_command.invocations([*event.reports, event.listing])
    if any(answer.status in ("Pending", "InProgress", "Delayed") for answer in answers):
        return Result(done=False, waiting_for="Run Command: the nodes report", **_kept(event))
    verification, summary = _judge(event, plan, record, instances)
    if verification.verified:
        if event.locked:
            save_verified(event.cluster, event.execution)
        return Result(done=True, summary=summary, **_kept(event))
    if verification.stale and not event.locked:
        return Result(done=False, needs_lock=True, waiting_for="the lock, to delete stale rows", round=event.round)
    if event.last:
        raise VerificationFailed(f"The cluster {event.cluster} is not what its plan says:\n{failing(verification)}")
    return Result(
        done=False,
        waiting_for="; ".join(f"{check.name}: {check.found}" for check in verification.checks if not check.holds)[:500],
        round=event.round + 1,
        stale=verification.stale,
    )


def _ask(event: Event, document: str, instances: list[str]) -> Result:
    online = sorted(run_command.online(instances))
    if not online:
        if event.last:
            raise VerificationFailed(
                f"No node of the cluster {event.cluster} answers Systems Manager ({', '.join(instances) or 'there is none'}). "
                "Start a deployment with {}."
            )
        return Result(
            done=False, waiting_for="Systems Manager: a node to come online", round=event.round + 1, stale=event.stale
        )
    token = (event.execution, "verify", str(event.round))
    batches = [online[start : start + run_command.BATCH] for start in range(0, len(online), run_command.BATCH)]
    reports = [run_command.send(document, batch, {"Mode": "report"}, (*token, *batch)) for batch in batches]
    stale = " ".join(map(str, event.stale)) if event.locked else ""
    listing = run_command.send(
        document, online[:1], {"Mode": "cluster", "StaleNodes": stale}, (*token, "cluster", stale)
    )
    return Result(
        done=False, waiting_for="Run Command: the nodes report", round=event.round, reports=reports, listing=listing
    )


def _judge(event: Event, plan: Plan, record: Record, instances: list[str]) -> tuple[Verification, Cluster]:
    reports = _reports(run_command.invocations(event.reports))
    addresses, images = addresses_and_images(instances)
    listed, balanced = _listing(event)
    observed = Observed(
        addresses, images, {key: value for key, value in reports.items() if key in addresses}, listed, balanced
    )
    ami = record.ami
    verification = verify(plan, ami, record.configuration, observed)
    rows = {node.ipv4: node for node in listed}
    sessions = {node.ipv4: node.sessions for node in balanced}
    return verification, Cluster(
        cluster=event.cluster,
        nodes=[
            Node(
                instance=instance,
                ipv4=address,
                host=rows[address].host if address in rows else "",
                status=rows[address].status if address in rows else "not listed",
                sessions=sessions.get(address, []),
            )
            for instance, address in sorted(addresses.items())
        ],
        workbench=plan.wanted.workbench.version,
        image=ami,
        configuration=record.configuration,
        endpoints=_endpoints(plan),
        list_nodes=table(listed),
        connection=connect(os.environ["AWS_REGION"], sorted(addresses)),
        verification=verification,
    )


def _reports(answers: list[Invocation]) -> dict[str, NodeReport]:
    read_reports = {answer.instance: read_report(answer.output) for answer in answers}
    return {instance: report for instance, report in read_reports.items() if report}


def _listing(event: Event) -> tuple[list[ListedNode], list[BalancedNode]]:
    if event.listing is None:
        return [], []
    try:
        listing, status = split_output(run_command.full_output(event.listing, event.listing.instances[0]))
        return read_list_nodes(listing), read_load_balancer_status(status)
    except UnreadableListing as error:
        if event.last:
            raise VerificationFailed(f"What Workbench printed of its cluster cannot be read: {error}") from error
        return [], []


def _nodes_outputs(plan: Plan) -> dict[str, str]:
    found = outputs(settings().stack_name(plan.cluster, "nodes"))
    if "AutoScalingGroupName" not in found:
        raise VerificationFailed(f"The cluster {plan.cluster} has no nodes. Start a deployment with {{}}.")
    return found


def _endpoints(plan: Plan) -> dict[str, str]:
    found = outputs(settings().stack_name(plan.cluster, "foundation"))
    return {"database": found.get("DatabaseEndpoint", ""), "file_system": found.get("FileSystemId", "")}


def _kept(event: Event) -> dict[Literal["round", "stale", "reports", "listing"], object]:
    return {"round": event.round, "stale": event.stale, "reports": event.reports, "listing": event.listing}
