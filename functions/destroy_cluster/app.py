"""Destroy cluster: checks what is to go, deletes the data of a cluster where that is ordered, and says what stays."""

from typing import Any, Literal

from pydantic import BaseModel

from benchwright import bucket, record
from benchwright.aws import client
from benchwright.destruction import foundation, policies, remains, request, secrets, snapshots
from benchwright.destruction.remains import Remaining
from benchwright.settings import settings
from benchwright.stacks import change_sets
from benchwright.stacks.decision import Stack
from benchwright.step import LoopResult, StepResult, step
from benchwright.waits import WAITS

STACKS = ("nodes", "access", "foundation")


class Event(BaseModel):
    """input: the execution's input as it was given. deletes_data, final_snapshot: what it orders. change_set: what this
    execution set going, from the step's previous result. wait_seconds: the wait before this look. last: whether a
    deletion that fails is tried no more. file_system, stack: of the foundation, before it went. validation_record: the
    one that ACM asked for, and that stays. left: what earlier steps could not remove, each with why.
    """

    action: Literal["validate", "snapshot", "foundation", "configuration", "finish"]
    execution: str
    cluster: str = ""
    input: Any = None
    deletes_data: bool = False
    final_snapshot: bool = True
    change_set: str = ""
    wait_seconds: int = 0
    last: bool = False
    database: str = ""
    file_system: str = ""
    stack: str = ""
    validation_record: str = ""
    left: list[str] = []


class Result(LoopResult):
    """deletes_data, final_snapshot, change_set: as in Event. database, file_system, stack: the ids of the foundation's,
    where there are any.
    """

    done: bool = True
    cluster: str
    deletes_data: bool = False
    final_snapshot: bool = True
    database: str = ""
    file_system: str = ""
    stack: str = ""
    validation_record: str = ""
    change_set: str = ""


class Destroyed(StepResult):
    """What an execution answers: stays lists everything that is left, monthly_usd what all of that costs."""

    cluster: str
    data: Literal["deleted", "kept"]
    stays: list[Remaining]
    monthly_usd: float
    message: str


@step(Event)
def handler(event: Event) -> Result | Destroyed:
    """Do one of the five things that concern the data of a cluster, or the cluster as a whole."""
    match event.action:
        case "validate":
            return _validate(event)
        case "snapshot":
            return _snapshot(event)
        case "foundation":
            return _delete_foundation(event)
        case "configuration":
            return _delete_objects(event)
        case _:
            return _finish(event)


def _validate(event: Event) -> Result:
    wanted, problems = request.read(event.input)
    application, names = settings().application, [settings().stack_name(wanted.cluster, which) for which in STACKS]
    stacks = {name: change_sets.describe(name) for name in names} if wanted.cluster else {}
    found = record.read(wanted.cluster) if wanted.cluster else record.Record()
    request.check(wanted, problems, found, stacks, application)
    stack = stacks[foundation.name_of(wanted.cluster)]
    if stack is None and found.foundation:  # an earlier execution deleted it; CloudFormation remembers it for 90 days
        stack = change_sets.describe(found.foundation)
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in _resources(stack)}
    return Result(
        cluster=wanted.cluster,
        deletes_data=wanted.deletes_data,
        final_snapshot=wanted.final_snapshot,
        database=ids.get("DatabaseCluster", ""),
        file_system=ids.get("FileSystem", ""),
        stack=stack.arn if stack else "",
        validation_record=remains.validation_record(found.known.input),
    )


def _snapshot(event: Event) -> Result:
    found = record.confirm_lock(event.cluster, event.execution)
    waiting_for = ""
    stack = change_sets.describe(foundation.name_of(event.cluster))
    if stack and found.foundation != stack.arn:
        record.save_foundation(event.cluster, event.execution, stack.arn)
    if event.final_snapshot and event.database and stack:
        name = snapshots.name_of(event.cluster, stack.arn, found.planned_by)
        waiting_for = snapshots.take(event.database, name, settings().tags(event.cluster))
    return Result(
        cluster=event.cluster,
        done=not waiting_for,
        waiting_for=waiting_for,
        wait_seconds=WAITS["Take snapshot"].after(event.wait_seconds),
    )


def _delete_foundation(event: Event) -> Result:
    record.confirm_lock(event.cluster, event.execution)
    kept = [*policies.SECRETS]
    if event.database and snapshots.outliving(event.database):
        kept.append(policies.KEY)
    progress = foundation.delete(event.cluster, event.change_set, kept, is_last=event.last)
    return Result(
        cluster=event.cluster,
        done=not progress.waiting_for,
        waiting_for=progress.waiting_for,
        wait_seconds=WAITS["Delete data"].after(event.wait_seconds if progress.begun == event.change_set else 0),
        change_set=progress.begun,
    )


def _delete_objects(event: Event) -> Result:
    record.confirm_lock(event.cluster, event.execution)
    stacks = STACKS if event.deletes_data else ("nodes", "access")
    folders = [
        f"clusters/{event.cluster}/",
        *(f"templates/{settings().stack_name(event.cluster, which)}/" for which in stacks),
        *([f"access-logs/{event.cluster}/"] if event.deletes_data else []),
    ]
    waiting_for = next((f"S3: {each} has more objects" for each in folders if not bucket.delete_folder(each)), "")
    if not waiting_for and not event.deletes_data:
        # A deployment was stopped while CloudFormation worked: what is made meanwhile stays, too, and must be listed.
        stack = change_sets.describe(foundation.name_of(event.cluster))
        waiting_for = f"CloudFormation: {stack.arn} is {stack.status}" if stack and stack.is_changing else ""
    return Result(
        cluster=event.cluster,
        done=not waiting_for,
        waiting_for=waiting_for,
        wait_seconds=WAITS["Delete configuration"].after(event.wait_seconds),
    )


def _finish(event: Event) -> Destroyed:
    """Say what stays; then the cluster is not deployed any more, or was never there."""
    if event.deletes_data:
        kept = snapshots.outliving(event.database) if event.database else {}
        stays = remains.after_data(secrets.describe(event.cluster), kept, event.file_system)
        expected = {*policies.SECRETS, *([policies.KEY] if kept else [])}
        stays += remains.skipped(foundation.events(event.stack) if event.stack else (), expected)
        record.forget(event.cluster, event.execution)
    else:
        record.confirm_lock(event.cluster, event.execution)
        stack = change_sets.describe(foundation.name_of(event.cluster))
        there = [each for each in _resources(stack) if each["ResourceStatus"] != "DELETE_COMPLETE"]
        stays = remains.of_foundation(there, stack.parameters if stack else {})
        record.save_destroyed(event.cluster, event.execution)
    stays += remains.of_dns(event.validation_record)
    stays += [Remaining(what="AWS::ImageBuilder::Image", id=each) for each in event.left]
    stays.append(remains.reports(event.cluster))
    cost = round(sum(each.monthly_usd for each in stays), 2)
    return Destroyed(
        cluster=event.cluster,
        data="deleted" if event.deletes_data else "kept",
        stays=stays,
        monthly_usd=cost,
        message=_message(event, len(stays), cost),
    )


def _message(event: Event, count: int, cost: float) -> str:
    costs = f"{count} things stay, for about {cost:.2f} USD a month, by list prices"
    if event.deletes_data:
        return f"The cluster {event.cluster} is destroyed, and its data is deleted. {costs}."
    return (
        f"The cluster {event.cluster} is destroyed, and its data stays: a deployment of the same name takes it up "
        f'again. {costs}. To delete the data: {{"cluster": "{event.cluster}", "delete_data": "{event.cluster}"}}.'
    )


def _resources(stack: Stack | None) -> list[dict[str, str]]:
    """List what the foundation has, or had. DescribeStackResources lists the first 100; a stack has at most 40."""
    if stack is None:
        return []
    found = client("cloudformation").describe_stack_resources(StackName=stack.arn)["StackResources"]
    return [
        {key: str(each[key]) for key in ("LogicalResourceId", "ResourceType", "PhysicalResourceId", "ResourceStatus")}
        for each in found
        if each.get("PhysicalResourceId")
    ]
