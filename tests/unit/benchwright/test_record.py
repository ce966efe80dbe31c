"""The lock of a cluster on moto's DynamoDB, whose other writers come between two calls of ours."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from benchwright import record
from benchwright.errors import ClusterLocked, LockLost, RecordUnreadable, TransientError
from benchwright.models import Auth, Group, User, merge_patch
from benchwright.planning import unproven
from benchwright.record import Known
from functions.resolve_plan.app import MOST_CLUSTERS
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import EXECUTION, OTHER, handle, make_table
from tests.unit.benchwright.verification.test_checks import PLAN

DEAD = "arn:aws:states:eu-west-1:123456789012:execution:wb-deploy:dead"


@pytest.fixture
def table(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The table of clusters, without one; of the executions only DEAD has ended."""
    monkeypatch.setattr(record, "_runs", lambda found: found.holder != DEAD)
    with mock_aws():
        yield make_table()


def set_holder(table: Any, holder: str) -> None:
    table.put_item(Item={"cluster": "blue", **({"holder": holder} if holder else {})})


def holder_in(table: Any) -> str:
    return str(table.get_item(Key={"cluster": "blue"})["Item"].get("holder", ""))


@pytest.fixture
def before_reading(table: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Have others set these holders, one before each time that the record is read."""
    read = record.read

    def come_between(holders: list[str]) -> None:
        coming = iter(holders)

        def read_later(cluster: str) -> record.Record:
            if (holder := next(coming, None)) is not None:
                set_holder(table, holder)
            return read(cluster)

        monkeypatch.setattr(record, "read", read_later)

    return come_between


@pytest.mark.parametrize(
    ("holder", "lost"), [(None, ""), ("", ""), (EXECUTION, ""), (DEAD, DEAD)], ids=["new", "free", "ours", "dead"]
)
def test_a_lock_that_no_one_alive_holds_is_taken(table: Any, holder: str | None, lost: str) -> None:
    if holder is not None:
        set_holder(table, holder)
    assert record.take_lock("blue", EXECUTION) == lost
    assert holder_in(table) == EXECUTION


def test_the_holder_that_runs_is_named_and_keeps_the_lock(table: Any) -> None:
    set_holder(table, OTHER)
    with pytest.raises(ClusterLocked) as caught:
        record.take_lock("blue", EXECUTION)
    assert str(caught.value) == (
        f"The cluster blue is locked by the execution {OTHER}, which still runs. Wait until it ends, or stop it; then "
        "start this execution again. Nothing was changed."
    )
    assert holder_in(table) == OTHER


def test_a_lock_that_is_given_back_meanwhile_is_taken(table: Any, before_reading: Callable[[list[str]], None]) -> None:
    set_holder(table, OTHER)
    before_reading([""])
    assert record.take_lock("blue", EXECUTION) == ""
    assert holder_in(table) == EXECUTION


def test_who_took_over_from_the_dead_sooner_is_named(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(found: record.Record) -> bool:
        if found.holder == DEAD:
            set_holder(table, OTHER)
        return found.holder != DEAD

    set_holder(table, DEAD)
    monkeypatch.setattr(record, "_runs", look)
    with pytest.raises(ClusterLocked, match=f"is locked by the execution {OTHER}, which still runs"):
        record.take_lock("blue", EXECUTION)
    assert holder_in(table) == OTHER


def test_a_lock_that_goes_from_hand_to_hand_is_a_case_for_patience(
    table: Any, before_reading: Callable[[list[str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that it was found taken, it was given back before one could see by whom, and taken again."""
    update = record._update

    def update_later(*arguments: Any) -> bool:
        set_holder(table, OTHER)
        return update(*arguments)

    monkeypatch.setattr(record, "_update", update_later)
    before_reading([""] * record.TRIES)
    with pytest.raises(TransientError):
        record.take_lock("blue", EXECUTION)


@pytest.mark.parametrize(
    ("answer", "locked"),
    [
        ({"status": "RUNNING"}, True),
        ({"status": "ABORTED"}, False),
        (refusal("ExecutionDoesNotExist"), False),  # it ended more than 90 days ago
        (refusal("InvalidArn"), False),
    ],
)
def test_only_a_holder_that_runs_locks_a_cluster(aws: Conversation, answer: Answer, locked: bool) -> None:
    aws.answers = {"DescribeExecution": answer}
    assert record.is_locked(record.Record(holder=OTHER)) is locked
    assert aws.asked("DescribeExecution") == [{"executionArn": OTHER}]


@pytest.mark.parametrize(("age", "locked"), [(0, True), (299, True), (301, False)])
def test_a_holder_that_step_functions_does_not_know_yet_keeps_its_lock(
    aws: Conversation, monkeypatch: pytest.MonkeyPatch, age: int, locked: bool
) -> None:
    monkeypatch.setattr(record, "time", SimpleNamespace(time=lambda: 1_000_000.0 + age))
    aws.answers = {"DescribeExecution": refusal("ExecutionDoesNotExist")}
    assert record.is_locked(record.Record(holder=OTHER, held_since=1_000_000)) is locked


@pytest.mark.parametrize("destroys", [True, False])
def test_schedules_leave_a_cluster_alone_once_its_destroy_has_begun(table: Any, destroys: bool) -> None:
    """Stopped half-way, it would have its nodes again after the next monthly rebuild."""
    table.put_item(Item={"cluster": "blue", "verified": True})
    handle("resolve_plan", action="lock", destroys=destroys)
    assert record.read("blue").verified is not destroys


def test_a_lock_says_since_when_it_is_held(table: Any) -> None:
    before = int(time.time())
    record.take_lock("blue", EXECUTION)
    assert before <= record.read("blue").held_since <= time.time()


def test_whether_a_holder_runs_is_not_guessed(aws: Conversation) -> None:
    aws.answers = {"DescribeExecution": refusal("AccessDeniedException")}
    with pytest.raises(ClientError):
        record.is_locked(record.Record(holder=OTHER))


@pytest.mark.parametrize(
    "save",
    [
        lambda: record.save_plan("blue", EXECUTION, PLAN, Known()),
        lambda: record.save_image("blue", EXECUTION, "ami-1"),
        lambda: record.save_configuration("blue", EXECUTION, "hash"),
        lambda: record.save_verified("blue", EXECUTION, record.Record(), ["ami-1"]),
    ],
    ids=["plan", "image", "configuration", "verified"],
)
@pytest.mark.parametrize("holder", [OTHER, ""], ids=["another", "nobody"])
def test_nothing_is_recorded_by_who_has_lost_the_lock(table: Any, save: Callable[[], None], holder: str) -> None:
    set_holder(table, holder)
    before = table.scan()["Items"]
    with pytest.raises(LockLost, match=f"^The cluster blue is locked by {holder or 'no one'}, not by this execution"):
        save()
    assert table.scan()["Items"] == before


def test_what_a_cluster_was_verified_with_is_recorded_beside_the_rest(table: Any) -> None:
    set_holder(table, EXECUTION)
    assert record.read("blue") == record.Record(holder=EXECUTION)  # as an earlier release left it
    record.save_image("blue", EXECUTION, "ami-2")
    record.save_verified("blue", EXECUTION, record.read("blue"), ["ami-2", "ami-1"])
    found = record.Record(holder=EXECUTION, ami="ami-2", verified=True, verified_images=("ami-2", "ami-1"))
    assert record.read("blue") == found


def test_a_user_whom_a_verified_execution_made_is_proven_and_one_who_was_taken_back_is_not(table: Any) -> None:
    set_holder(table, EXECUTION)
    known = Known(accounts={"ann": (3001, 3001), "anm": (3002, 3002), "cid": (3003, 3003)}, proven_accounts=("cid",))
    plan = PLAN.model_copy(update={"wanted": PLAN.wanted.model_copy(update={"users": {"ann": User()}})})
    record.save_plan("blue", EXECUTION, plan, known)
    record.save_verified("blue", EXECUTION, record.read("blue"), [])
    assert record.read("blue").known.proven_accounts == ("ann", "cid")


def test_a_group_that_a_verified_execution_made_is_proven(table: Any) -> None:
    set_holder(table, EXECUTION)
    known = Known(groups={"analysts": 3001, "misspelt": 3002, "old": 3003}, proven_groups=("old",))
    plan = PLAN.model_copy(update={"wanted": PLAN.wanted.model_copy(update={"groups": {"analysts": Group()}})})
    record.save_plan("blue", EXECUTION, plan, known)
    record.save_verified("blue", EXECUTION, record.read("blue"), [])
    found = record.read("blue").known
    assert (found.groups, found.proven_groups) == (known.groups, ("analysts", "old"))


RECORDS = Path(__file__).with_name("records")
"""Of a cluster with a value of each key, as the release that came with each version wrote it."""


def stored(version: int) -> dict[str, Any]:
    item: dict[str, Any] = json.loads((RECORDS / f"version-{version}.json").read_text(encoding="utf-8"))
    return item


def test_there_is_an_upgrade_of_each_earlier_version_and_a_record_of_each() -> None:
    assert sorted(record.UPGRADES) == list(range(1, record.VERSION))
    files = {path.name for path in RECORDS.iterdir()}
    assert files == {f"version-{version}.json" for version in range(1, record.VERSION + 1)}


@pytest.mark.parametrize("version", range(1, record.VERSION + 1))
def test_a_record_of_each_version_is_read_whole(aws: Conversation, version: int) -> None:
    """A key that this release has added has a default, or UPGRADES adds it."""
    item = stored(version)
    aws.answers = {"GetItem": {"Item": item}}
    found = record.read("blue")
    given = json.loads(item["input"]["S"])
    assert found.unreadable == ""
    wanted = record.plan_of(found, "blue").wanted.model_dump(mode="json")
    assert merge_patch(wanted, given) == wanted
    assert (found.ami, found.configuration, found.verified) == ("ami-0123456789abcdef0", "c0ffee", True)
    assert (found.known.proven, found.known.proven_generation) == (found.known.input, 1)
    assert unproven.find(found) == []


@pytest.mark.parametrize("version", range(1, record.VERSION))
def test_who_had_left_before_an_upgrade_keeps_their_ids(aws: Conversation, version: int) -> None:
    """An execution may be on its way while the application is upgraded: its nodes get the plan that it recorded."""
    item = stored(version)
    plan = json.loads(item["plan"]["S"]) | {"locked_accounts": ["cid"]}
    accounts = json.loads(item["accounts"]["S"]) | {"cid": [20_001, 20_002]}
    groups: Any = {}
    if version > 1:  # it brought groups
        plan |= {"locked_ids": [[20_001, 20_002]], "emptied_groups": ["old"], "emptied_gids": [20_003]}
        groups = {"groups": {"S": '{"old": 20003}'}}
        plan["wanted"]["auth"] = None
    item |= {"plan": {"S": json.dumps(plan)}, "accounts": {"S": json.dumps(accounts)}, **groups}
    aws.answers = {"GetItem": {"Item": item}}
    found = record.plan_of(record.read("blue"), "blue")
    assert found.locked_accounts == {"cid": (20_001, 20_002)}
    assert found.emptied_groups == ({"old": 20_003} if version > 1 else {})
    assert found.wanted.auth == Auth()


def test_nothing_of_a_first_version_that_was_never_verified_is_proven(aws: Conversation) -> None:
    aws.answers = {"GetItem": {"Item": stored(1) | {"verified": {"BOOL": False}}}}
    found = record.read("blue")
    assert "nodes.count" in {value.name for value in unproven.find(found)}


def test_a_record_of_a_newer_release_is_refused(aws: Conversation) -> None:
    newer = record.VERSION + 1
    aws.answers = {"GetItem": {"Item": stored(record.VERSION) | {"version": {"N": str(newer)}}}}
    with pytest.raises(RecordUnreadable) as caught:
        record.confirm_lock("blue", EXECUTION)
    assert str(caught.value) == (
        f"A newer release of Benchwright wrote the record of the cluster blue (version {newer}; this release reads up "
        f"to {record.VERSION}): deploy that release of the application again."
    )


@pytest.mark.parametrize(
    ("name", "attribute", "wrong"),
    [
        *((name, {"S": "{"}, "Expecting property name") for name in sorted(record.IN_JSON)),
        *((name, {"M": {}}, f"the attribute {name} is of type M, not S") for name in sorted(record.IN_JSON)),
        ("input", {"S": "null"}, "input: Input should be a valid dictionary"),
        ("proven", {"S": '{"image": "ami-1"}'}, 'proven: Value error, image is "ami-1", not an object'),
        ("input", {"S": '{"users": ["ann"]}'}, 'input: Value error, users is ["ann"], not an object'),
        ("origins", {"S": "[]"}, "origins: Input should be a valid dictionary"),
        ("accounts", {"S": '{"ann": [1, 2, 3]}'}, "accounts.ann: Tuple should have at most 2 items"),
        ("verified_images", {"S": "null"}, "verified_images: Input should be a valid tuple"),
        ("verified", {"S": "true"}, "the attribute verified is of type S, not BOOL"),
        ("generation", {"S": "3"}, "the attribute generation is of type S, not N"),
        ("held_since", {"N": "1.5"}, "invalid literal for int"),
        ("version", {"N": "0"}, "its version is 0"),
    ],
)
def test_a_damaged_record_is_explained_as_such(
    aws: Conversation, name: str, attribute: dict[str, Any], wrong: str
) -> None:
    """Nothing of it is taken for empty: an input without users would lock all of them."""
    aws.answers = {"GetItem": {"Item": stored(record.VERSION) | {name: attribute}}}
    with pytest.raises(RecordUnreadable) as caught:
        record.read("blue")
    assert str(caught.value).startswith(f"The record of the cluster blue is damaged: {wrong}")
    assert ". Restore its item in the table " in str(caught.value)


def test_a_plan_that_this_release_does_not_know_is_explained_as_such(aws: Conversation) -> None:
    item = stored(record.VERSION)
    plan = json.loads(item["plan"]["S"])
    del plan["wanted"]["nodes"]["count"]
    aws.answers = {"GetItem": {"Item": item | {"plan": {"S": json.dumps(plan)}}}}
    found = record.read("blue")  # a deployment goes on, and records another
    with pytest.raises(RecordUnreadable) as caught:
        record.plan_of(found, "blue")
    assert str(caught.value) == (
        "The recorded plan of the cluster blue is not one of this release (wanted.nodes.count: Field required). Start "
        "a deployment with {}: it records another."
    )


def test_every_cluster_that_has_a_record_is_found_also_one_that_cannot_be_read(table: Any) -> None:
    for name in ("green", "blue"):
        table.put_item(Item={"cluster": name, "version": 99, "plan": "x" * 200_000})
    assert record.names() == ["blue", "green"]
    with pytest.raises(RecordUnreadable):
        record.read("blue")


@pytest.mark.parametrize("count", [0, MOST_CLUSTERS, MOST_CLUSTERS + 2])
def test_a_verification_of_every_cluster_has_room_for_so_many(table: Any, count: int) -> None:
    names = [f"c{number:02}" for number in range(count)]
    for name in names:
        table.put_item(Item={"cluster": name})
    assert handle("resolve_plan", action="find", input={"every_cluster": True}) == {
        "done": True,
        "clusters": names[:MOST_CLUSTERS],
        "every_cluster": True,
        "sessions": 0,
        "left_out": names[MOST_CLUSTERS:],
    }
    one = handle("resolve_plan", action="find", input={"cluster": "blue"})
    assert (one["clusters"], one["every_cluster"], one["left_out"]) == (["blue"], False, [])
