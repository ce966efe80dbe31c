"""What a deployment would do about the image of the nodes, and which images would go at its end."""

from __future__ import annotations

from benchwright.dry_run import Change, Step, counted
from benchwright.image.builder import BuildStep
from benchwright.models import Plan
from benchwright.record import Record

BUILD_MINUTES = 19  # as long as a rehearsal takes, which has it from public logs


def of_own(ami: str) -> Step:
    """The cluster brings an AMI."""
    return Step(step="Build image", sentences=[f"Nothing is built: the nodes use the AMI {ami} of image.ami."])


def built(decision: BuildStep, record: Record, plan: Plan) -> Step:
    """Say what becomes of the wanted image."""
    match decision.action:
        case "use":
            return Step(step="Build image", sentences=["The image exists: nothing is built."])
        case "wait":
            running = "A build of the image runs already: the deployment waits for it."
            return Step(step="Build image", sentences=[running], minutes=BUILD_MINUTES)
    change = Change(action="create", kind="image", name="the image of the nodes", because=why(record, plan))
    sentence = f"An image is built: {', '.join(change.because)}."
    return Step(step="Build image", sentences=[sentence], changes=[change], minutes=BUILD_MINUTES)


def why(record: Record, plan: Plan) -> list[str]:
    """Return what distinguishes the wanted image from the one that the cluster has, by keys of an input."""
    if record.plan is None or not record.ami:
        return ["the cluster has none yet"]
    before, now = _parts(record.plan), _parts(plan)
    differing = [name for name in now if now[name] != before[name]]
    if record.plan.image.ami:
        return ["the cluster has used an AMI of its own", *differing]
    return differing or ["the one it has is gone, or this release of Benchwright builds it otherwise"]


def retired(amis: list[str]) -> Step:
    """Say which images go once the cluster is verified."""
    changes = [Change(action="remove", kind="image", name=ami, data="lost") for ami in sorted(amis)]
    sentences = (
        [f"{counted(len(amis), 'old image')} of the cluster {'goes' if len(amis) == 1 else 'go'}, with the snapshots."]
        if amis
        else []
    )
    return Step(step="Retire old images", sentences=sentences, changes=changes)


def _parts(plan: Plan) -> dict[str, object]:
    """Return what a recipe is made of (image/recipe.py)."""
    wanted, image = plan.wanted, plan.wanted.image
    return {
        "workbench.version": wanted.workbench.version,
        "r_versions": wanted.r_versions,
        "python_versions": wanted.python_versions,
        "image.jupyter": image.jupyter,
        **{f"image.{name}": getattr(image, name) for name in ("packages", "pro_drivers", "tinytex", "nvidia")},
        "image.rebuild": (plan.image.generation, plan.image.parent_image),
    }
