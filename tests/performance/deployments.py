"""The numbers of deployments, from the reports of rehearsals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.operations import Operation
from rehearsal.aws.services.imagebuilder.build import TESTING_SECONDS
from rehearsal.aws.services.step_functions.quotas import PAYLOAD_BYTES
from tests.documentation import costs
from tests.performance import critical_path
from tests.performance.numbers import Number

REHEARSED = "rehearsal"
type Execution = Mapping[str, Any]


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal's report.json and calls.jsonl, and the seconds of this machine that it took as a whole."""

    report: Mapping[str, Any]
    calls: Iterable[Mapping[str, Any]]
    wall_s: float


def calls(execution: Execution) -> int:
    """Calls of AWS that functions make."""
    return sum(number for name, number in execution["aws_calls"].items() if name != "lambda:Invoke")


def operations_of(report: Mapping[str, Any], execution: Execution) -> list[Operation]:
    """What AWS worked at while an execution ran."""
    begun = critical_path.seconds(execution["started"])
    found = (Operation(**each) for each in report["operations"])
    return [each for each in found if begun <= each.begun <= begun + execution["makespan_s"]]


def by_hand(report: Mapping[str, Any], cluster: str) -> float:
    """Seconds that AWS works for someone who deploys the first cluster by hand, and waits for one thing after another.

    This includes Image Builder's test of the image, which is on by default.
    """
    execution = report["executions"][0]
    branches = critical_path.one_after_another(operations_of(report, execution), cluster)
    return sum(branches.values()) + TESTING_SECONDS


def of_clusters(report: Mapping[str, Any]) -> Iterator[Number]:
    """The first and the second cluster of an application: how long AWS works, and what the deployment adds."""
    serial = by_hand(report, "workbench")
    yield Number("serial path by hand", serial, "s", REHEARSED)
    for name, cluster, execution, goal in (
        ("first cluster", "workbench", report["executions"][0], 1.75),
        ("second cluster", "second", report["executions"][1], 2.4),
    ):
        links = critical_path.chain(operations_of(report, execution), cluster)
        path = sum(link.counted for link in links)
        lost = sum(critical_path.lost(links, execution["states"]).values())
        makespan = execution["makespan_s"]
        yield Number(f"{name}: makespan", makespan, "s", REHEARSED)
        yield Number(f"{name}: serial path / makespan", serial / makespan, "", REHEARSED, goal, at_least=True)
        yield Number(f"{name}: critical path of AWS's work", path, "s", REHEARSED)
        yield Number(f"{name}: makespan / critical path", makespan / path, "", REHEARSED)
        yield Number(f"{name}: AWS was done, and the machine still waited", lost, "s", REHEARSED, 20)
        yield Number(f"{name}: functions and transitions on the critical path", makespan - path - lost, "s", REHEARSED)


def of_first(rehearsed: Rehearsed) -> Iterator[Number]:
    """What a first deployment takes of AWS's APIs, of this machine, and of a purse."""
    first = rehearsed.report["executions"][0]
    yield Number("first deployment: calls of AWS", calls(first), "", REHEARSED, 320)
    yield Number("first deployment: its rehearsal as a whole", rehearsed.wall_s, "s of this machine", REHEARSED, 40)
    run = costs.Run("", first["transitions"], sum(first["lambda_invocations"].values()), 1)
    yield Number("first deployment: its cost", sum(costs.of_run(run)), "USD", "list prices, rehearsal")
    yield Number("a cluster: its cost", sum(line.dollars for line in costs.of_cluster()), "USD a month", "list prices")


def of_refresh(rehearsed: Rehearsed) -> Iterator[Number]:
    """The last execution replaces nodes: what one look at that takes."""
    execution = rehearsed.report["executions"][-1]
    looks = [
        (critical_path.seconds(state["entered"]), critical_path.seconds(state["exited"] or state["entered"]))
        for state in execution["states"]
        if state["name"] == "Deploy nodes" and "instance refresh" in state["waiting_for"]
    ]
    moments = [critical_path.seconds(call["time"]) for call in rehearsed.calls if call["caller"] == "DeployStack"]
    most = max((sum(begin <= each <= end for each in moments) for begin, end in looks))
    yield Number("a look at nodes that are being replaced: most calls", most, "", REHEARSED, 5)


def of_scale(nodes: int, report: Mapping[str, Any], two: Execution | None) -> Iterator[Number]:
    """A first deployment of so many nodes."""
    first = report["executions"][0]
    name = f"{nodes} nodes"
    yield Number(f"{name}: state transitions", first["transitions"], "", REHEARSED)
    yield Number(f"{name}: calls of AWS", calls(first), "", REHEARSED)
    yield Number(f"{name}: events of the history", first["history_events"], "", REHEARSED)
    yield Number(f"{name}: largest payload", first["max_payload_bytes"], "bytes", REHEARSED, PAYLOAD_BYTES)
    if two:
        yield Number(f"{name}: makespan, times that of 2", first["makespan_s"] / two["makespan_s"], "", REHEARSED, 1.1)
        yield Number(
            f"{name}: transitions, times those of 2", first["transitions"] / two["transitions"], "", REHEARSED, 1.1
        )
