"""What an execution with `dry_run` ends with: what each step would do, how long it takes, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchwright import prices
from benchwright.dry_run import Step
from benchwright.models import Plan

VERIFICATION = Step(
    step="Verify cluster", sentences=["Every node, the cluster and the address are compared with the plan."], minutes=1
)
BESIDE = "Build image"  # the step that runs at the same time as those of the foundation's branch
ORDER = (
    BESIDE,
    "Deploy foundation",
    "Create database",
    "Request certificate",
    "Deploy access",
    "Publish configuration",
    "Deploy nodes",
    "Configure nodes",
    "Remove access",
    "Verify cluster",
    "Retire old images",
)


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Return the steps as a deployment goes through them (statemachine/deploy.asl.yaml)."""
    return sorted(steps, key=lambda each: ORDER.index(each.step))


def bill(standing: Mapping[str, str], plan: Plan) -> dict[str, Any]:
    """Return the monthly bill of the cluster before and after.

    standing: the parameters of its stacks, each after the name of the stack and a dot; empty for a cluster that does
    not exist. What the clusters of an application share is not in it.
    """
    now = 0.0 if "foundation.MinCapacity" not in standing else _now(standing)
    then = _dollars(
        plan.wanted.nodes.count,
        plan.wanted.nodes.instance_type,
        plan.wanted.nodes.root_volume_size or prices.ROOT_VOLUME_GB,
        plan.wanted.database.min_capacity,
        has_address=plan.wanted.access is not None,
    )
    difference = None if now is None or then is None else round(then - now, 2)
    return {"now": now, "then": then, "difference": difference, "prices": prices.LIST}


def minutes(steps: Sequence[Step]) -> int:
    """Return about how long all steps take: the image is built beside the foundation."""
    beside = sum(each.minutes for each in steps if each.step == BESIDE)
    foundation = sum(each.minutes for each in steps if each.step in ("Deploy foundation", "Create database"))
    others = sum(each.minutes for each in steps) - beside - foundation
    return max(beside, foundation) + others


def sentences(steps: Sequence[Step], costs: Mapping[str, Any], sessions: Sequence[str]) -> list[str]:
    """Return all that a person reads, a line each; the same of the same steps."""
    lines = [f"{each.step}: {sentence}" for each in steps for sentence in each.sentences]
    lines += [f"Sessions: {sentence}" for sentence in sessions]
    return [*lines, f"Time: {_time(minutes(steps))}", f"Monthly bill: {_of_bill(costs)}"]


def _of_bill(costs: Mapping[str, Any]) -> str:
    now, then, difference = costs["now"], costs["then"], costs["difference"]
    if difference is None:
        return f"not known, since the price list has no price of the instance type ({costs['prices']})."
    if not difference:
        return f"stays about {then:,.2f} USD ({costs['prices']})."
    more = f", {abs(difference):,.2f} {'more' if difference > 0 else 'less'} than now" if now else ""
    return f"about {then:,.2f} USD{more} ({costs['prices']})."


def _time(number: int) -> str:
    if number <= 1:
        return "about a minute."
    return f"about {number} minutes, as a rehearsal takes; AWS may take twice as long."


def _now(standing: Mapping[str, str]) -> float | None:
    return _dollars(
        int(standing.get("nodes.NodeCount", "0")),
        standing.get("nodes.InstanceType", ""),
        int(standing.get("nodes.RootVolumeSize", "0")) or prices.ROOT_VOLUME_GB,
        float(standing["foundation.MinCapacity"]),
        has_address="access.Hostname" in standing,
    )


def _dollars(count: int, kind: str, gigabytes: int, least: float, *, has_address: bool) -> float | None:
    lines = prices.of_cluster(count, kind, gigabytes, least, has_address=has_address)
    return None if lines is None else round(sum(line.dollars for line in lines), 2)
