"""Asks the nodes and the cluster what they are, in rounds, and puts the answers together for the verification."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel

from benchwright.errors import VerificationFailed
from benchwright.models import METRICS_PORT, Plan
from benchwright.nodes import run_command
from benchwright.nodes.instances import addresses_and_images
from benchwright.nodes.report import read_report
from benchwright.nodes.run_command import Command, Invocation
from benchwright.record import Record
from benchwright.settings import settings
from benchwright.stacks.change_sets import outputs
from benchwright.verification.acceptance import Acceptance, acceptance
from benchwright.verification.address import Address, judge_address, read_answers
from benchwright.verification.checks import Observed, Verification, verify
from benchwright.verification.connection import Connection, connect
from benchwright.verification.list_nodes import (
    BalancedNode,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)
from benchwright.verification.sessions import Spread
from benchwright.verification.sign_in import judge_sign_in, read_answer

# Of a question that a node answers; one that hangs must not use up the looks that a verification has.
ANSWER_SECONDS = "120"
LONGEST_ROWS = 200  # characters of StaleNodes: infra/nodes.yaml, its allowed pattern


class Questions(BaseModel):
    """The commands of one round: a report from every node that answers, and the cluster as one of them sees it."""

    reports: list[Command]
    listing: Command


class Node(BaseModel):
    """A node in the output of an execution; status and host are what list-nodes says."""

    instance: str
    ipv4: str
    host: str
    status: str
    sessions: list[str]


class Cluster(BaseModel):
    """The cluster as verified: what an execution answers. metrics: where each node shows them, if the input says so."""

    cluster: str
    nodes: list[Node]
    workbench: str
    image: str
    configuration: str
    endpoints: dict[str, str]
    list_nodes: str
    metrics: list[str]
    connection: Connection
    acceptance: Acceptance
    verification: Verification
    sessions: Spread | None = None


def node_outputs(plan: Plan) -> dict[str, str]:
    """Return the outputs of the cluster's nodes stack; raises VerificationFailed when there is none."""
    found = outputs(settings().stack_name(plan.cluster, "nodes"))
    if "AutoScalingGroupName" not in found:
        raise VerificationFailed(f"The cluster {plan.cluster} has no nodes. Start a deployment with {{}}.")
    return found


def ask(
    document: str,
    instances: Sequence[str],
    token: Sequence[str],
    stale: Sequence[int],
    number: int,
    *,
    load_balancer: str = "",
) -> Questions | None:
    """Send the questions of the round of this number; None when no node answers Systems Manager.

    The rows `stale` are deleted by the node that lists the cluster, before it does: in each round another one, so that
    a node that does not answer does not keep the others' answer away. load_balancer: what that node is asked about the
    address, if there is one.
    """
    online = sorted(run_command.online(run_command.ping_status(instances)))
    if not online:
        return None
    batches = [online[start : start + run_command.BATCH] for start in range(0, len(online), run_command.BATCH)]
    asked = {"Mode": "report", "ExecutionTimeout": ANSWER_SECONDS}
    reports = [run_command.send(document, batch, asked, (*token, *batch)) for batch in batches]
    rows = _joined(stale)
    parameters = {"Mode": "cluster", "StaleNodes": rows, "ExecutionTimeout": ANSWER_SECONDS}
    if load_balancer:  # the document of an earlier release does not know it
        parameters["LoadBalancer"] = load_balancer
    lister = online[number % len(online)]
    return Questions(
        reports=reports, listing=run_command.send(document, [lister], parameters, (*token, "cluster", rows))
    )


def _joined(rows: Sequence[int]) -> str:
    """Return as many rows as the document takes; the others are found stale again in the next round."""
    text = " ".join(map(str, rows))
    return text if len(text) <= LONGEST_ROWS else text[:LONGEST_ROWS].rpartition(" ")[0]


def answers_to(questions: Questions) -> list[Invocation]:
    """Return what became of each question."""
    return run_command.invocations([*questions.reports, questions.listing])


def unanswered(answers: Sequence[Invocation]) -> list[str]:
    """Return the nodes that have not answered, well or badly."""
    return sorted({answer.instance for answer in answers if answer.status not in run_command.ENDED})


def judge(
    plan: Plan,
    record: Record,
    instances: Sequence[str],
    questions: Questions,
    answers: Sequence[Invocation],
    *,
    others: Sequence[str] = (),
    address: Address | None = None,
) -> Cluster:
    """Put the answers together and verify them.

    others: instances of the group that are not in service, or no longer. What is theirs is not stale.
    """
    asked = {command.id for command in questions.reports}
    reports = {
        answer.instance: report
        for answer in answers
        # Of a command that did not end well only what it says of its failure counts.
        if answer.command in asked
        and (report := read_report(answer.output))
        and (answer.status == "Success" or report.error)
    }
    all_addresses, all_images = addresses_and_images([*instances, *others])
    addresses, images = (
        {instance: found[instance] for instance in instances if instance in found}
        for found in (all_addresses, all_images)
    )
    lister = questions.listing.instances[0]
    output = run_command.full_output(questions.listing, lister)
    listed, balanced, strange, unreadable = _listing(lister, output)
    now = datetime.now(UTC)
    of_address = judge_address(address, read_answers(output), sorted(addresses), now)
    known = {instance: report for instance, report in reports.items() if instance in addresses}
    coming_or_leaving = frozenset(all_addresses[instance] for instance in others if instance in all_addresses)
    observed = Observed(addresses, images, known, listed, balanced, coming_or_leaving, unreadable, strange)
    rows = {node.ipv4: node for node in listed}
    sessions = {node.ipv4: node.sessions for node in balanced}
    found = outputs(settings().stack_name(plan.cluster, "foundation"))
    connection = connect(
        settings().aws_region,
        settings().session_document,
        sorted(addresses),
        address.hostname if address and address.issued else "",
    )
    return Cluster(
        cluster=plan.cluster,
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
        image=record.ami,
        configuration=record.configuration,
        endpoints={"database": found.get("DatabaseEndpoint", ""), "file_system": found.get("FileSystemId", "")},
        list_nodes=table(listed),
        metrics=[
            f"http://{address}:{METRICS_PORT}/metrics"
            for _, address in sorted(addresses.items())
            if plan.wanted.metrics
        ],
        connection=connection,
        acceptance=acceptance(plan, settings().application, connection.url),
        verification=verify(
            *(plan, record.ami, record.configuration, observed),
            of_address=of_address,
            of_sign_in=judge_sign_in(plan, read_answer(output), now),
            license_warning_days=settings().license_warning_days,
        ),
    )


def _listing(asked: str, output: str) -> tuple[list[ListedNode], list[BalancedNode], list[str], str]:
    """Return the cluster as a node sees it, and the lines of the status page that cannot be read; or nothing, and why
    its answer cannot be read.
    """
    if (report := read_report(output)) and report.error:
        return [], [], [], f"{asked}: {report.error}"
    try:
        listing, status = split_output(output)
        return read_list_nodes(listing), *read_load_balancer_status(status), ""
    except UnreadableListing as error:  # a node that is just starting prints no table yet
        return [], [], [], f"{asked}: {error}"
