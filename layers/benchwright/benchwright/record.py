"""The one DynamoDB item of each cluster: its lock, its recorded input and plan (docs/decisions/0015).

Records outlive releases (docs/decisions/0009): each has the version of its form. One of an earlier release is upgraded
when it is read, and written in this release's form by the next deployment.

The lock is the ARN of the execution that holds it. Taking, stealing and releasing are single conditional writes,
so of many that try at once exactly one succeeds; a holder that no longer runs loses the lock to whoever asks next.
"""

import contextlib
import gzip
import hashlib
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_origin

from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from benchwright.aws import client
from benchwright.errors import ClusterLocked, LockLost, RecordUnreadable, TransientError, error_code
from benchwright.models import Part, Plan, Wanted
from benchwright.settings import settings

REFUSED = "ConditionalCheckFailedException"
# What a record keeps of nodes, and what goes with them.
OF_DEPLOYMENT = ("plan", "ami", "configuration", "verified_images")
VERSION = 3  # of the form of a record; see UPGRADES
# Seconds for which an execution that Step Functions does not know counts as one that has just been started: what
# DescribeExecution answers "may not reflect very recent updates" (Step Functions API reference).
BECOMES_KNOWN = 300
LONGEST_TEXT = 20_000  # characters of an attribute as text; what is longer, no one reads in a console: it is compressed
TRIES = 3  # to take a lock that others take and give back at the same moment


def _whole_objects(recorded: dict[str, Any]) -> dict[str, Any]:
    """Refuse an input in which something else stands for an object: what reads the record looks into it."""
    for name, value in recorded.items():
        annotation = found.annotation if (found := Wanted.model_fields.get(name)) else None
        is_object = get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, Part))
        if is_object and not isinstance(value, dict):
            raise ValueError(f"{name} is {json.dumps(value)}, not an object")
    return recorded


type RecordedInput = Annotated[dict[str, Any], AfterValidator(_whole_objects)]


class Known(BaseModel):
    """What earlier executions recorded of a cluster."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    input: RecordedInput = {}
    accounts: dict[str, tuple[int, int]] = {}  # name -> (uid, gid)
    parent_image: str = ""
    engine_version: str = ""
    other_engine_version: str = ""  # to take in place of it, as long as no database runs
    # The tier of the licence that the nodes had last, and which licence that was (licensing.identity).
    license_tier: str = ""
    license_read: str = ""
    has_access: bool = False  # whether an execution may have made the stack of an address
    generation: int = 0
    rebuilt_by: str = ""  # the execution that began this generation: a retry of the same step does not begin another
    # The input and the generation of the last execution that verified the cluster, and who gave what differs from it.
    proven: RecordedInput = {}
    proven_accounts: tuple[str, ...] = ()  # names whose ids a verified execution has used
    groups: dict[str, int] = {}  # name -> gid
    proven_groups: tuple[str, ...] = ()
    proven_generation: int = 0
    origins: dict[str, list[str]] = {}  # execution -> dotted paths


class Record(BaseModel):
    """What the table holds of a cluster; every field is empty for a cluster that was never asked for.

    held_since: when the lock was taken, in seconds since 1970. verified_images: the images that the cluster was
    verified with, the latest first. planned_by: the execution that recorded the plan. unreadable: why the recorded plan
    cannot be used, where there is one. foundation: the ARN of the stack whose data an execution began to delete.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    holder: str = ""
    held_since: int = 0
    known: Known = Field(default_factory=Known)
    plan: Plan | None = None
    planned_by: str = ""
    unreadable: str = ""
    ami: str = ""
    configuration: str = ""
    verified: bool = False
    verified_images: tuple[str, ...] = ()
    foundation: str = ""


def read(cluster: str) -> Record:
    """Read a cluster's item, consistently; raises RecordUnreadable."""
    answer = client("dynamodb").get_item(TableName=settings().table_name, Key=_key(cluster), ConsistentRead=True)
    return _record({**_key(cluster), **answer.get("Item", {})})


def read_all() -> dict[str, Record]:
    """Read every cluster of this application, by name; raises RecordUnreadable."""
    return {item["cluster"]["S"]: _record(item) for item in _items()}


def read_readable(*, without: str) -> list[Record]:
    """Read the other clusters of this application, but one whose record is unreadable."""
    found = []
    for item in _items():
        if item["cluster"]["S"] != without:
            with contextlib.suppress(RecordUnreadable):
                found.append(_record(item))
    return found


def names() -> list[str]:
    """Return the names of the clusters that have a record, in order. None is read: one may be unreadable."""
    pages = (
        client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=settings().table_name,
            ConsistentRead=True,
            ProjectionExpression="#name",
            ExpressionAttributeNames={"#name": "cluster"},  # a reserved word
        )
    )
    return sorted(item["cluster"]["S"] for page in pages for item in page["Items"])


def take_lock(cluster: str, execution: str) -> str:
    """Lock the cluster for an execution; return the ARN of the dead holder that lost it, or an empty text.

    Raises ClusterLocked, naming the holder, when another execution runs on this cluster.
    """
    for _ in range(TRIES):
        if _hold(cluster, execution, "attribute_not_exists(holder) OR holder = :me", {}):
            return ""
        found = read(cluster)
        holder = found.holder  # empty where it gave the lock back meanwhile
        if holder and _runs(found):
            raise ClusterLocked(
                f"The cluster {cluster} is locked by the execution {holder}, which still runs. Wait until it ends, or "
                "stop it; then start this execution again. Nothing was changed."
            )
        if holder and _hold(cluster, execution, "holder = :dead", {":dead": {"S": holder}}):
            return holder
    raise TransientError(
        f"The lock of the cluster {cluster} could not be acquired after {TRIES} attempts because other executions hold "
        "it in turn."
    )


def release_lock(cluster: str, execution: str) -> bool:
    """Give the lock back; returns False, and changes nothing, when the execution does not hold it."""
    return _update(cluster, "REMOVE holder", "holder = :me", {":me": {"S": execution}})


def is_locked(record: Record) -> bool:
    """Return whether a running execution holds the cluster."""
    return bool(record.holder) and _runs(record)


def revision(record: Record) -> str:
    """Return what distinguishes this record from a later one: who holds the cluster, and what its nodes must be."""
    plan = record.plan.model_dump_json() if record.plan else ""
    parts = (record.holder, plan, record.ami, record.configuration)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def confirm_lock(cluster: str, execution: str) -> Record:
    """Return the cluster's record; raises LockLost unless this execution holds the lock and has recorded a plan."""
    record = read(cluster)
    if record.holder != execution:
        raise LockLost(
            f"The cluster {cluster} is locked by {record.holder or 'no one'}, not by this execution "
            f"({execution}): nothing more "
            "was changed. Look at the executions of this cluster, then start the deployment again."
        )
    return record


def plan_of(record: Record, cluster: str) -> Plan:
    """Return the recorded plan; raises RecordUnreadable where there is none that this release can use."""
    if record.plan is None:
        why = record.unreadable or "is missing"
        raise RecordUnreadable(
            f"The recorded plan of the cluster {cluster} {why}. Start a deployment with {{}}: it records another."
        )
    return record.plan


def save_plan(cluster: str, execution: str, plan: Plan, known: Known) -> None:
    """Record plan and input under the lock; raises LockLost when it is gone."""
    _save(cluster, execution, _attributes(plan, execution, known))


def stored_length(plan: Plan, known: Known) -> int:
    """Return the bytes of plan and input in the cluster's item, also once an execution has verified them."""
    proven = max(known.input, known.proven, key=lambda each: len(_json(each)))
    values = _attributes(plan, "", known.model_copy(update={"proven": proven})).values()
    return sum(len(value) if isinstance(value, bytes) else len(value.encode()) for (value,) in map(dict.values, values))


def _attributes(plan: Plan, execution: str, known: Known) -> dict[str, dict[str, Any]]:
    texts = {
        "plan": plan.model_dump_json(),
        "planned_by": execution,
        "input": _json(known.input),
        "accounts": _json(known.accounts),
        "groups": _json(known.groups),
        "parent_image": known.parent_image,
        "engine_version": known.engine_version,
        "other_engine_version": known.other_engine_version,
        "license_tier": known.license_tier,
        "license_read": known.license_read,
        "rebuilt_by": known.rebuilt_by,
        "proven": _json(known.proven),
        "proven_accounts": _json(sorted(known.proven_accounts)),
        "proven_groups": _json(sorted(known.proven_groups)),
        "origins": _json(known.origins),
    }
    numbers = {
        "version": VERSION,
        "generation": known.generation,
        "proven_generation": known.proven_generation,
        "has_access": int(known.has_access),
    }
    values = {name: _text(text) for name, text in texts.items()}
    return values | {name: {"N": str(number)} for name, number in numbers.items()}


def _text(text: str) -> dict[str, Any]:
    """Return the attribute that holds a text: an item may have 400 KB, and 2,000 users would have more."""
    return {"S": text} if len(text) <= LONGEST_TEXT else {"B": gzip.compress(text.encode(), mtime=0)}


def save_image(cluster: str, execution: str, ami: str) -> None:
    """Record the AMI that the cluster is about to use, so that no other cluster's retirement removes it."""
    _save(cluster, execution, {"ami": {"S": ami}})


def save_access_removed(cluster: str, execution: str) -> None:
    """Record that the stack of the address is gone, and its certificate."""
    _save(cluster, execution, {"has_access": {"N": "0"}})


def save_foundation(cluster: str, execution: str, foundation: str) -> None:
    """Record which stack goes with its data, so that a later execution can say what it left."""
    _save(cluster, execution, {"foundation": {"S": foundation}})


def save_leaving(cluster: str, execution: str) -> None:
    """Record that the cluster is being destroyed: no schedule deploys it again, also where the execution is stopped."""
    _save(cluster, execution, {"verified": {"BOOL": False}})


def save_destroyed(cluster: str, execution: str) -> None:
    """Record that nothing of the cluster is deployed but its data. What a later deployment needs stays: the input, and
    the ids of people; without `verified`, schedules leave the cluster alone.
    """
    names = {f"#{name}": name for name in OF_DEPLOYMENT}
    given = {":me": {"S": execution}, ":no": {"BOOL": False}, ":none": {"N": "0"}}
    expression = f"SET verified = :no, has_access = :none REMOVE {', '.join(names)}"
    if not _update(cluster, expression, "holder = :me", given, names):
        confirm_lock(cluster, execution)


def forget(cluster: str, execution: str) -> None:
    """Delete the item of a cluster whose data is gone; a retry finds none. Raises LockLost."""
    try:
        client("dynamodb").delete_item(
            TableName=settings().table_name,
            Key=_key(cluster),
            ConditionExpression="attribute_not_exists(holder) OR holder = :me",
            ExpressionAttributeValues={":me": {"S": execution}},
        )
    except ClientError as error:
        if error_code(error) != REFUSED:
            raise
        confirm_lock(cluster, execution)


def save_configuration(cluster: str, execution: str, configuration: str) -> None:
    """Record the hash of the configuration that the nodes must have."""
    _save(cluster, execution, {"configuration": {"S": configuration}})


def save_license(cluster: str, execution: str, tier: str, license_read: str) -> None:
    """Record the tier of the licence that a node has, so that the next plan knows what it allows."""
    _save(cluster, execution, {"license_tier": {"S": tier}, "license_read": {"S": license_read}})


def save_verified(cluster: str, execution: str, record: Record, images: Sequence[str]) -> None:
    """Record that the cluster was what its plan said, from now on a schedule may touch it, and with which images.

    This proves the recorded input only where the execution that recorded it has verified the cluster: a later
    verification may find the cluster as it was before the input, which failed.
    """
    values: dict[str, Any] = {"verified": {"BOOL": True}, "verified_images": {"S": _json(list(images))}}
    if record.planned_by == execution:
        users = record.plan.wanted.users if record.plan else {}
        groups = record.plan.wanted.groups if record.plan else {}
        values["proven"] = _text(_json(record.known.input))
        values["proven_accounts"] = _text(_json(sorted({*record.known.proven_accounts, *users})))
        values["proven_groups"] = _text(_json(sorted({*record.known.proven_groups, *groups})))
        values["proven_generation"] = {"N": str(record.known.generation)}
        values["origins"] = {"S": "{}"}
    _save(cluster, execution, values)


def _save(cluster: str, execution: str, values: Mapping[str, Any]) -> None:
    names = {f"#{name}": name for name in values}  # "input" and "plan" may be reserved words
    assignments = ", ".join(f"#{name} = :{name}" for name in values)
    given = {f":{name}": value for name, value in values.items()} | {":me": {"S": execution}}
    if not _update(cluster, f"SET {assignments}", "holder = :me", given, names):
        confirm_lock(cluster, execution)


def _hold(cluster: str, execution: str, condition: str, values: Mapping[str, Any]) -> bool:
    """Write the lock if the condition holds; return whether it did."""
    given = {":me": {"S": execution}, ":now": {"N": str(int(time.time()))}, **values}
    return _update(cluster, "SET holder = :me, held_since = :now", condition, given)


def _runs(record: Record) -> bool:
    """Return whether the holder of a record runs. One that Step Functions does not know ended more than 90 days ago,
    unless it took the lock a moment ago.
    """
    try:
        return str(client("stepfunctions").describe_execution(executionArn=record.holder)["status"]) == "RUNNING"
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return time.time() < record.held_since + BECOMES_KNOWN
        if error_code(error) == "InvalidArn":
            return False
        raise


def _update(
    cluster: str, expression: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> bool:
    named: Any = {"ExpressionAttributeNames": dict(names)} if names else {}  # an empty one is refused
    try:
        client("dynamodb").update_item(
            TableName=settings().table_name,
            Key=_key(cluster),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=dict(values),
            **named,
        )
    except ClientError as error:
        if error_code(error) == REFUSED:
            return False
        raise
    return True


def _key(cluster: str) -> dict[str, Any]:
    return {"cluster": {"S": cluster}}


def _items() -> Iterator[dict[str, Any]]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=settings().table_name, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


type Item = dict[str, Any]


def _prove_what_was_verified(item: Item) -> Item:
    """Version 1 had no proof: of a cluster that was once verified, all that is recorded counts as proven."""
    if not item.get("verified"):
        return item
    proven = {"proven": item.get("input", {}), "proven_generation": item.get("generation", 0)}
    return item | proven | {"proven_accounts": list(item.get("accounts", {}))}


def _keep_ids_of_who_left(item: Item) -> Item:
    """Version 2 had names of accounts and groups that were left, and their ids, if at all, in other lists; and null for
    the sign-in with passwords.
    """
    if not isinstance(plan := item.get("plan"), dict):
        return item
    kept = {key: value for key, value in plan.items() if key not in ("locked_ids", "emptied_gids")}
    for key, ids in (("locked_accounts", item.get("accounts", {})), ("emptied_groups", item.get("groups", {}))):
        kept[key] = {name: ids[name] for name in plan.get(key, ()) if name in ids}
    if isinstance(wanted := plan.get("wanted"), dict) and wanted.get("auth") is None:
        kept["wanted"] = {key: value for key, value in wanted.items() if key != "auth"}
    return item | {"plan": kept}


# From each version to the next, of an item as `_decoded` returns it. A new key of the plan that has no default is added
# here to the plans of earlier releases. A test reads a record of each version.
UPGRADES: Mapping[int, Callable[[Item], Item]] = {1: _prove_what_was_verified, 2: _keep_ids_of_who_left}


OF_KNOWN = {*Known.model_fields}
ATTRIBUTES = OF_KNOWN | {*Record.model_fields} - {"known", "unreadable"} | {"version"}
IN_JSON = frozenset(
    (
        *("input", "accounts", "groups", "proven", "proven_accounts", "proven_groups", "origins", "plan"),
        "verified_images",
    )
)
# The types of DynamoDB in which the attributes are written; all others are texts.
TYPES = dict.fromkeys(("version", "held_since", "generation", "proven_generation", "has_access"), "N") | {
    "verified": "BOOL"
}


def _decoded(stored: Mapping[str, Any]) -> Item:
    """Read the attributes of an item; raises ValueError where one has another type than the releases write."""
    item: Item = {}
    for name, attribute in stored.items():
        if name not in ATTRIBUTES:
            continue
        expected = TYPES.get(name, "S")
        if name in IN_JSON and set(attribute) == {"B"}:
            value = _decompressed(name, attribute["B"])
        elif set(attribute) == {expected}:
            value = attribute[expected]
        else:
            raise ValueError(f"the attribute {name} is of type {', '.join(attribute)}, not {expected}")
        if name in IN_JSON:
            item |= {name: json.loads(value)} if value else {}
        else:
            item[name] = int(value) if expected == "N" else value
    return item


def _decompressed(name: str, data: bytes) -> str:
    try:
        return gzip.decompress(data).decode()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"the attribute {name} cannot be decompressed ({error})") from error


def _record(stored: Mapping[str, Any]) -> Record:
    """Decode and upgrade an item; raises RecordUnreadable."""
    cluster = stored["cluster"]["S"]
    try:
        item = _decoded(stored)
        version = item.pop("version", 1)
        if version > VERSION:
            raise RecordUnreadable(
                f"A newer release of Benchwright wrote the record of the cluster {cluster} (version {version}; this "
                f"release reads up to {VERSION}): deploy that release of the application again."
            )
        if version < 1:
            raise ValueError(f"its version is {version}")
        for earlier in range(version, VERSION):
            item = UPGRADES[earlier](item)
        known = Known.model_validate({name: item.pop(name) for name in OF_KNOWN & set(item)})
        plan, unreadable = _plan(item.pop("plan", None))
        return Record.model_validate(item | {"known": known, "plan": plan, "unreadable": unreadable})
    except (ValueError, TypeError, AttributeError) as error:
        raise RecordUnreadable(
            f"The record of the cluster {cluster} is damaged: {_reason(error)}. Restore its item in the table "
            f"{settings().table_name} from a point in time before it was edited by hand, then start again."
        ) from error


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])


def _plan(recorded: Any) -> tuple[Plan | None, str]:
    """Return the recorded plan; or none, and why, where another release of Benchwright recorded what this one refuses.

    The next deployment records another, or says what of the recorded input it refuses.
    """
    try:
        return (Plan.model_validate_json(json.dumps(recorded)) if recorded else None), ""
    except ValidationError as error:
        return None, f"is not one of this release ({_reason(error)})"
