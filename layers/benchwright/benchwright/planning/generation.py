"""On which parent image the image of a cluster is built, and in which generation.

Clusters share images by content (docs/decisions/0030). Parent image and generation are part of the content, so where it
may, a cluster takes those of another one that wants the same on its image.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchwright.models import ImagePlan, Wanted
from benchwright.record import Known, Record


def begins(known: Known, execution: str, *, rebuild: bool) -> bool:
    """Return whether the execution begins a generation: the cluster's first, or one that it is asked to begin."""
    return not known.generation or (rebuild and known.rebuilt_by != execution)


def begin(wanted: Wanted, known: Known, newest: str, others: Iterable[Record], *, rebuild: bool) -> ImagePlan:
    """Choose parent image and generation of a cluster that begins one. newest: the parent image of today.

    A first deployment takes those of another cluster, whose image exists. A rebuild, which it may be, too, does so only
    where the other cluster was rebuilt later than this one, on the parent image of today; else it begins one that no
    cluster has.
    """
    others = list(others)
    alike = [
        (each.plan.image.generation, each.plan.image.parent_image)
        for each in others
        if each.plan and not each.plan.image.ami and each.plan.wanted.baked == wanted.baked
    ]
    if rebuild:
        alike = [(number, parent) for number, parent in alike if number > known.generation and parent == newest]
    if alike:
        generation, parent = max(alike)
    elif rebuild:
        generation, parent = max(known.generation, *(each.known.generation for each in others), 0) + 1, newest
    else:
        generation, parent = 1, newest
    return ImagePlan(ami=wanted.image.ami, parent_image=parent, generation=generation)
