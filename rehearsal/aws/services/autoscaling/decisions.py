"""What Auto Scaling decides from what it sees: where an instance starts, which one goes, how many at once.

docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """An instance as the default termination policy sees it."""

    id: str
    zone: str
    template_version: int
    launched: float


def zone_for_launch(zones: Sequence[str], occupied: Sequence[str]) -> str:
    """The zone with the fewest instances; the first of those in the group's order."""
    return min(zones, key=lambda zone: (occupied.count(zone), zones.index(zone)))


def choose_to_end(candidates: Sequence[Candidate], count: int) -> list[str]:
    """The default policy: the zone with the most instances, there the oldest launch template, then the oldest."""
    left = list(candidates)
    chosen: list[str] = []
    while left and len(chosen) < count:
        zones = [one.zone for one in left]
        most = max(map(zones.count, zones))
        crowded = [one for one in left if zones.count(one.zone) == most]
        gone = min(crowded, key=lambda one: (one.template_version, one.launched, one.id))
        chosen.append(gone.id)
        left.remove(gone)
    return chosen


def surplus(desired: int, maximum_healthy: int) -> int:
    """How many instances a refresh may launch before it ends as many; 0: it ends first."""
    if maximum_healthy <= 100:
        return 0
    return max(1, math.floor(desired * maximum_healthy / 100) - desired)


def removable(desired: int, minimum_healthy: int) -> int:
    """How many instances a refresh may end before it launches as many."""
    return max(1, desired - math.ceil(desired * minimum_healthy / 100))
