"""The one DynamoDB item of each cluster: its lock, its recorded input and plan (design decision 11).

The lock is the ARN of the execution that holds it. Taking, stealing and releasing are single conditional writes,
so of many that try at once exactly one succeeds; a holder that no longer runs loses the lock to whoever asks next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from benchwright.errors import ClusterLocked, LockLost, TransientError, error_code
from benchwright.models import Plan
from benchwright.observability import client
from benchwright.plan import Known
from benchwright.settings import settings

REFUSED = "ConditionalCheckFailedException"
TRIES = 3  # to take a lock that others take and give back at the same moment


@dataclass(frozen=True)
class Record:
    """What the table holds of a cluster; every field is empty for a cluster that was never asked for.

    verified_images: the images that the cluster was verified with, the latest first.
    """

    holder: str = ""
    known: Known = field(default_factory=Known)
    plan: Plan | None = None
    ami: str = ""
    configuration: str = ""
    verified: bool = False
    verified_images: tuple[str, ...] = ()


def read(cluster: str) -> Record:
    """Read a cluster's item, consistently."""
    answer = client("dynamodb").get_item(TableName=settings().table_name, Key=_key(cluster), ConsistentRead=True)
    return _record(answer.get("Item", {}))


def read_all() -> dict[str, Record]:
    """Read every cluster of this application, by name."""
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=settings().table_name, ConsistentRead=True)
    return {item["cluster"]["S"]: _record(item) for page in pages for item in page["Items"]}


def take_lock(cluster: str, execution: str) -> str:
    """Lock the cluster for an execution; return the ARN of the dead holder that lost it, or an empty text.

    Raises ClusterLocked, naming the holder, when another execution runs on this cluster.
    """
    for _ in range(TRIES):
        if _hold(cluster, execution, "attribute_not_exists(holder) OR holder = :me", {}):
            return ""
        holder = read(cluster).holder  # empty where it gave the lock back meanwhile
        if holder and _runs(holder):
            raise ClusterLocked(
                f"The cluster {cluster} is locked by the execution {holder}, which still runs. Wait until it ends, or "
                "stop it; then start this execution again. Nothing was changed."
            )
        if holder and _hold(cluster, execution, "holder = :dead", {":dead": {"S": holder}}):
            return holder
    raise TransientError(f"The lock of the cluster {cluster} went from hand to hand while it was asked for.")


def release_lock(cluster: str, execution: str) -> bool:
    """Give the lock back; returns False, and changes nothing, when the execution does not hold it."""
    return _update(cluster, "REMOVE holder", "holder = :me", {":me": {"S": execution}})


def is_locked(record: Record) -> bool:
    """Tell whether a running execution holds the cluster."""
    return bool(record.holder) and _runs(record.holder)


def revision(record: Record) -> str:
    """Return what tells this record from a later one: who holds the cluster, and what its nodes shall be."""
    plan = record.plan.model_dump_json() if record.plan else ""
    parts = (record.holder, plan, record.ami, record.configuration)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def confirm_lock(cluster: str, execution: str) -> Record:
    """Return the cluster's record; raises LockLost unless this execution holds the lock and has recorded a plan."""
    record = read(cluster)
    if record.holder != execution:
        raise LockLost(
            f"The cluster {cluster} is locked by {record.holder or 'nobody'}, not by this execution "
            f"({execution}): nothing more "
            "was changed. Look at the executions of this cluster, then start the deployment again."
        )
    return record


def plan_of(record: Record, cluster: str) -> Plan:
    """Return the recorded plan; raises LockLost when there is none, which only a foreign hand can cause."""
    if record.plan is None:
        raise LockLost(f"The cluster {cluster} has no recorded plan. Start a deployment with {{}}.")
    return record.plan


def save_plan(cluster: str, execution: str, plan: Plan, known: Known) -> None:
    """Record plan and input under the lock; raises LockLost when it is gone."""
    values = {
        "plan": plan.model_dump_json(),
        "input": json.dumps(known.input, sort_keys=True),
        "accounts": json.dumps(known.accounts, sort_keys=True),
        "parent_image": known.parent_image,
        "rebuilt_by": known.rebuilt_by,
    }
    _save(
        cluster,
        execution,
        {name: {"S": text} for name, text in values.items()} | {"generation": {"N": str(known.generation)}},
    )


def save_image(cluster: str, execution: str, ami: str) -> None:
    """Record the AMI that the cluster is about to use, so that no other cluster's retirement removes it."""
    _save(cluster, execution, {"ami": {"S": ami}})


def save_configuration(cluster: str, execution: str, configuration: str) -> None:
    """Record the hash of the configuration that the nodes shall have."""
    _save(cluster, execution, {"configuration": {"S": configuration}})


def save_verified(cluster: str, execution: str, images: Sequence[str]) -> None:
    """Record that the cluster was what its plan said, from now on a schedule may touch it, and with which images."""
    _save(cluster, execution, {"verified": {"BOOL": True}, "verified_images": {"S": json.dumps(list(images))}})


def _save(cluster: str, execution: str, values: Mapping[str, Any]) -> None:
    names = {f"#{name}": name for name in values}  # "input" and "plan" may be reserved words
    assignments = ", ".join(f"#{name} = :{name}" for name in values)
    given = {f":{name}": value for name, value in values.items()} | {":me": {"S": execution}}
    if not _update(cluster, f"SET {assignments}", "holder = :me", given, names):
        confirm_lock(cluster, execution)


def _hold(cluster: str, execution: str, condition: str, values: Mapping[str, Any]) -> bool:
    """Write the lock if the condition holds; tell whether it did."""
    return _update(cluster, "SET holder = :me", condition, {":me": {"S": execution}, **values})


def _runs(execution: str) -> bool:
    try:
        return str(client("stepfunctions").describe_execution(executionArn=execution)["status"]) == "RUNNING"
    except ClientError as error:
        if error_code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
            return False  # ended more than 90 days ago
        raise


def _update(
    cluster: str, expression: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> bool:
    try:
        client("dynamodb").update_item(
            TableName=settings().table_name,
            Key=_key(cluster),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=dict(values),
            **({"ExpressionAttributeNames": dict(names)} if names else {}),
        )
    except ClientError as error:
        if error_code(error) == REFUSED:
            return False
        raise
    return True


def _key(cluster: str) -> dict[str, Any]:
    return {"cluster": {"S": cluster}}


def _record(item: Mapping[str, Any]) -> Record:
    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    accounts = {name: (uid, gid) for name, (uid, gid) in json.loads(text("accounts") or "{}").items()}
    known = Known(
        input=json.loads(text("input") or "{}"),
        accounts=accounts,
        parent_image=text("parent_image"),
        generation=int(item.get("generation", {}).get("N", 0)),
        rebuilt_by=text("rebuilt_by"),
    )
    return Record(
        holder=text("holder"),
        known=known,
        plan=_plan(text("plan")),
        ami=text("ami"),
        configuration=text("configuration"),
        verified=bool(item.get("verified", {}).get("BOOL", False)),
        verified_images=tuple(json.loads(text("verified_images") or "[]")),
    )


def _plan(text: str) -> Plan | None:
    """Return the recorded plan; None where an earlier release of Benchwright recorded what this one refuses.

    The next deployment records another, or says what of the recorded input it refuses.
    """
    try:
        return Plan.model_validate_json(text) if text else None
    except ValidationError:
        return None
