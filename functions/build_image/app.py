"""Build image: makes sure that the AMI which the plan wants exists, retires the ones that no cluster needs any more,
and removes those of a cluster that is destroyed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from benchwright.dry_run import Step, unpack
from benchwright.errors import ImageBuildFailed, RecordUnreadable
from benchwright.image import preview, removal, retirement
from benchwright.image.builder import (
    build_failure,
    ensure_recipe,
    existing_images,
    find_builds,
    keep_log,
    log_group,
    next_build_step,
    start_build,
    usable_builds,
)
from benchwright.image.recipe import component_names, load_recipe, recipe_names
from benchwright.observability import logger
from benchwright.record import Record, confirm_lock, plan_of, read, read_all, save_image
from benchwright.settings import settings
from benchwright.step import LoopEvent, LoopResult, StepResult, step
from benchwright.waits import WAITS, wait_for_build


class Event(LoopEvent):
    """build_arn, build_state: the build that this execution started or joined, and its state, from the step's previous
    result. warnings: those of earlier steps, passed on. plan: of a dry run. waited: the seconds of all waits of this
    step.
    """

    action: Literal["build", "preview", "retire", "remove"] = "build"
    plan: str = ""
    build_arn: str = ""
    build_state: str = ""
    ami: str = ""
    warnings: list[str] = []
    waited: int = 0


class Result(LoopResult):
    """ami: the image to use, once done. warnings: what was left undone without harm."""

    ami: str = ""
    build_arn: str = ""
    build_state: str = ""
    built: bool = False
    retired: list[str] = []
    warnings: list[str] = []


class Preview(StepResult):
    """What a deployment would do. ami: the image to use; empty where there is none yet."""

    ami: str = ""
    steps: list[Step]
    retires: Step


@step(Event)
def handler(event: Event) -> Result | Preview:
    """Look at the image and do the next thing."""
    if event.action == "preview":
        return _preview(event)
    record = confirm_lock(event.cluster, event.execution)
    if event.action == "remove":
        return _remove(event)
    plan = plan_of(record, event.cluster)
    if event.action == "retire":
        return _retire(event, record)
    if plan.image.ami:
        return _bring(event, plan.image.ami)
    recipe = load_recipe(settings().application, plan)
    decision = next_build_step(usable_builds(find_builds(recipe, event.build_arn)), event.build_arn)
    match decision.action, decision.build:
        case "use", build if build:
            save_image(event.cluster, event.execution, build.ami)
            return Result(done=True, ami=build.ami, build_arn=build.arn, built=build.arn == event.build_arn)
        case "wait", build if build:
            return Result(
                done=False,
                build_arn=build.arn,
                build_state=build.status,
                waiting_for=f"Image Builder: {build.arn.split('/', 1)[1]} is {build.status}",
                wait_seconds=wait_for_build(build.status, event.waited, event.build_state, event.wait_seconds),
            )
        case "fail", build if build:
            raise build_failure(build)
        case _, build:
            recipe_arn = ensure_recipe(recipe, event.execution)
            keep_log(recipe)
            confirm_lock(event.cluster, event.execution)  # a recipe takes seconds: whoever took over may build by now
            arn = start_build(recipe_arn, build.arn if build else "", event.execution)
            return Result(
                done=False,
                build_arn=arn,
                waiting_for=f"Image Builder: {arn.split('/', 1)[1]} was started",
                wait_seconds=wait_for_build("PENDING", 0),
            )


def _preview(event: Event) -> Preview:
    record, plan = read(event.cluster), unpack(event.plan)
    if ami := plan.image.ami:
        _require(ami)
        step = preview.of_own(ami)
    else:
        recipe = load_recipe(settings().application, plan)
        decision = next_build_step(usable_builds(find_builds(recipe, "")), "")
        ami = decision.build.ami if decision.action == "use" and decision.build else ""
        step = preview.built(decision, record, plan)
    try:
        retires = preview.retired([each.ami for each in _old_images(event, record, ami or "a new one")])
    except (ClientError, BotoCoreError, RecordUnreadable) as error:
        said = f"Which old images may go could not be found out: {error}."
        retires = Step(step="Retire old images", sentences=[said])
    return Preview(ami=ami, steps=[step], retires=retires)


def _require(ami: str) -> None:
    if not existing_images([ami]):
        raise ImageBuildFailed(
            f"The AMI {ami} of image.ami does not exist in this account and region, or is not available. "
            'Give another id, or {"image": {"ami": null}} to build one.'
        )


def _bring(event: Event, ami: str) -> Result:
    _require(ami)
    save_image(event.cluster, event.execution, ami)
    return Result(done=True, ami=ami)


def _retire(event: Event, record: Record) -> Result:
    """Retire what may go; the deployment is verified, so that whatever stands in the way is a warning."""
    try:
        old = _old_images(event, record, event.ami)
    except (ClientError, BotoCoreError, RecordUnreadable) as error:
        logger.warning("old images not found", reason=str(error))
        left = f"Which old images may go could not be found out: {error}. The next deployment tries again."
        return Result(done=True, ami=event.ami, warnings=[*event.warnings, left])
    outcomes = [(candidate.ami, _retire_one(event, candidate)) for candidate in old]
    return Result(
        done=True,
        ami=event.ami,
        retired=[ami for ami, warning in outcomes if not warning],
        warnings=[*event.warnings, *(warning for _, warning in outcomes if warning)],
    )


def _retire_one(event: Event, candidate: retirement.Candidate) -> str:
    """Retire an image unless another cluster is being deployed, which may use it from now on, or was so when the images
    were listed, and has recorded it since; return a warning.
    """
    try:
        others = _others(event.cluster)
        recorded = [name for name, each in sorted(others.items()) if each.ami == candidate.ami]
        deploying = _deploying(others) or ", ".join(f"{name} has recorded it" for name in recorded)
    except (ClientError, BotoCoreError, RecordUnreadable) as error:
        deploying = f"not known: {error}"
    if deploying:
        return (
            f"The old image {candidate.ami} was not retired, as another cluster may be about to use it ({deploying}). "
            "The next deployment tries again."
        )
    return retirement.retire(candidate)


def _deploying(others: Mapping[str, Record]) -> str:
    """Return which of the other clusters are locked, and by what."""
    return ", ".join(f"{name} is locked by {each.holder}" for name, each in sorted(others.items()) if each.holder)


def _others(cluster: str) -> dict[str, Record]:
    return {name: each for name, each in read_all().items() if name != cluster}


def _remove(event: Event) -> Result:
    """Remove all that Image Builder has of the cluster, but what another one needs.

    While another one is being deployed, it may be about to use any of the images that they share: then all stay.
    """
    application, others = settings().application, _others(event.cluster)
    names = recipe_names(application, event.cluster)
    shared = names[-1]

    def deploying(name: str) -> str:
        return _deploying(_others(event.cluster)) if name == shared else ""

    built = existing_images([each.ami for each in retirement.find_candidates(names)])
    needs = removal.Needs(amis=frozenset(_needed(others, built)), versions=_wanted(others.values()))
    if going := removal.cancel_builds([name for name in names if not deploying(name)], needs, event.execution):
        return Result(
            done=False,
            waiting_for=f"Image Builder: {going[0].split('/', 1)[1]} is cancelled",
            wait_seconds=WAITS["Remove images"].after(event.wait_seconds),
        )
    needed, left = removal.remove_images(names, needs, retirement.used_images((), application), deploying)
    idle = [name for name in names if not deploying(name)]
    left += removal.remove_recipes(idle, needed, component_names(application), is_shared=shared not in idle)
    for name in idle:
        if name != shared or not any(each.plan for each in others.values()):
            removal.remove_log(log_group(name))
    return Result(done=True, warnings=[*event.warnings, *left])


def _needed(clusters: Mapping[str, Record], built: Collection[str]) -> set[str]:
    """Return the AMIs that these clusters have recorded, and of those that were built here the ones to return to."""
    planned = [plan_of(each, name).image.ami for name, each in clusters.items() if each.plan or each.unreadable]
    back = [retirement.to_return_to(each.ami, each.verified_images, built) for each in clusters.values()]
    return {ami for ami in (*planned, *back, *(each.ami for each in clusters.values())) if ami}


def _wanted(clusters: Iterable[Record]) -> frozenset[str]:
    """Return the versions of recipes that these clusters want: one may have failed before its image was recorded."""
    plans = [each.plan for each in clusters if each.plan and not each.plan.image.ami]
    return frozenset(load_recipe(settings().application, plan).version for plan in plans)


def _old_images(event: Event, record: Record, current: str) -> list[retirement.Candidate]:
    """List the images that may go once the cluster uses `current`; as it was before, its nodes do not count."""
    leaving = event.cluster if event.action == "preview" else ""
    application = settings().application
    candidates = retirement.find_candidates(recipe_names(application, event.cluster))
    built = existing_images([each.ami for each in candidates])
    staying = {name: each for name, each in read_all().items() if name != leaving}
    needed, wanted = _needed(staying, built), _wanted(staying.values())
    needed |= {each.ami for each in candidates if retirement.version_of(each.arn) in wanted}
    used = retirement.used_images(needed, application, without=leaving)
    return retirement.superseded(candidates, used, current, [ami for ami in record.verified_images if ami in built])
