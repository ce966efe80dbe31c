"""Change sets of a dry run, on the CloudFormation of the rehearsal: nothing stays of them, whatever they show."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.errors import AwsCallFailed, StackFailed, StackRefused
from benchwright.stacks import change_sets, preview
from benchwright.stacks.decision import Stack
from benchwright.stacks.preview import Target, beside
from tests.unit.benchwright.stacks import test_stack_states
from tests.unit.benchwright.stacks.test_stack_states import (
    DATA,
    FOUNDATION,
    GROUP,
    LATER,
    NODES,
    SECRET,
    World,
    template,
)
from tests.waiting import PATIENCE

world = test_stack_states.world


def look(world: World, *names: str) -> Mapping[str, list[Mapping[str, Any]]]:
    """A dry run until it has an answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        targets = {name: Target(world.desired(name), change_sets.describe(name)) for name in names}
        if (found := preview.look(targets, "arn:e")) is not None:
            return found
        time.sleep(0.01)
    raise AssertionError("CloudFormation computes for ever")


def left(world: World) -> list[str]:
    """What there is: each stack with its status, and its change sets that were not executed."""
    found = [stack for stack in world.api.describe_stacks()["Stacks"] if stack["StackStatus"] != "DELETE_COMPLETE"]
    return [
        " ".join([stack["StackName"], stack["StackStatus"], *world.change_sets(stack["StackName"])])
        for stack in found
        if stack["StackStatus"] != "DELETE_IN_PROGRESS"
    ]


def names(changes: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, list[tuple[str, str]]]:
    return {which: [(each.action, each.name) for each in preview.changes_of(its)] for which, its in changes.items()}


def test_stacks_that_do_not_exist_are_previewed_beside_and_leave_nothing(world: World) -> None:
    assert names(look(world, FOUNDATION, NODES)) == {
        FOUNDATION: [("create", "Data"), ("create", "Later")],
        NODES: [("create", "Group")],
    }
    assert left(world) == []
    touched = {call["parameters"].get("StackName") for call in world.calls() if call["operation"] == "CreateChangeSet"}
    assert touched == {"wb-blue--dry-run-foundation", "wb-blue--dry-run-nodes"}
    assert "s3" not in json.dumps(world.calls())  # no template in the bucket


def test_a_change_is_previewed_on_the_stack_itself_and_not_executed(world: World) -> None:
    world.deploy(NODES)
    world.days = 14
    assert names(look(world, NODES)) == {NODES: [("change", "Group")]}
    assert (left(world), world.retention()) == ([f"{NODES} CREATE_COMPLETE"], {"group": 7})
    world.deploy(NODES)
    assert (world.retention(), look(world, NODES)) == ({"group": 14}, {})


def test_what_would_lose_data_is_refused_as_in_a_deployment_and_leaves_nothing(world: World) -> None:
    world.deploy(FOUNDATION)
    world.foundation = template(Later=LATER | {"DependsOn": []})
    with pytest.raises(StackRefused) as previewed:
        look(world, FOUNDATION, NODES)
    assert left(world) == [f"{FOUNDATION} CREATE_COMPLETE"]
    assert str(previewed.value).splitlines() == world.refusal(FOUNDATION, StackRefused)


def test_a_name_that_is_taken_is_refused_as_in_a_deployment_and_leaves_nothing(world: World) -> None:
    world.aws.client("secretsmanager").create_secret(Name=SECRET, SecretString="of someone")
    with pytest.raises(StackFailed) as previewed:
        look(world, FOUNDATION, NODES)
    assert left(world) == []
    assert str(previewed.value).splitlines() == world.refusal(FOUNDATION, StackFailed)


def test_a_creation_that_failed_is_previewed_as_a_new_one(world: World) -> None:
    world.faults.reasons = {"Group": "no"}
    with pytest.raises(StackFailed):
        world.deploy(NODES)
    world.faults.reasons = {}
    assert names(look(world, NODES)) == {NODES: [("create", "Group")]}
    assert left(world) == [f"{NODES} ROLLBACK_COMPLETE"]


def test_one_that_begins_while_another_ends_has_its_answer_too(world: World) -> None:
    """Both use the same stack beside, which the first to end deletes."""
    expected = look(world, FOUNDATION, NODES)
    target = {NODES: Target(world.desired(NODES), None)}
    assert preview.look(target, "arn:another") is None
    look(world, FOUNDATION, NODES)
    assert names(look(world, FOUNDATION, NODES)) == names(expected)
    assert left(world) == []


def test_what_an_earlier_one_left_goes_with_the_next_also_once_the_stack_exists(world: World) -> None:
    """It was stopped, or a deployment created the stack meanwhile."""
    preview.look({NODES: Target(world.desired(NODES), None)}, "arn:stopped")
    world.deploy(NODES)
    assert [each.split()[0] for each in left(world)] == [beside(NODES), NODES]
    assert look(world, NODES) == {}
    assert left(world) == [f"{NODES} CREATE_COMPLETE"]


def test_one_that_fails_half_way_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = change_sets.create_change_set

    def deny(desired: Any, *arguments: Any, **named: Any) -> None:
        if desired.name == beside(NODES):
            raise refused("AccessDenied")
        made(desired, *arguments, **named)

    monkeypatch.setattr(change_sets, "create_change_set", deny)
    with pytest.raises(ClientError, match="AccessDenied"):
        look(world, FOUNDATION, NODES)
    assert left(world) == []


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateChangeSet")


def test_a_stack_beside_that_someone_created_is_left_alone(world: World) -> None:
    world.api.create_stack(StackName=beside(NODES), TemplateBody=template(Group=GROUP), Parameters=parameters(world))
    assert world.settled(beside(NODES)) == "CREATE_COMPLETE"
    with pytest.raises(AwsCallFailed, match="already exists"):
        look(world, NODES)
    assert left(world) == [f"{beside(NODES)} CREATE_COMPLETE"]


def test_a_stack_beside_that_is_still_being_deleted_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.api.create_stack(StackName=beside(NODES), TemplateBody=template(Group=GROUP), Parameters=parameters(world))
    world.settled(beside(NODES))
    describe = change_sets.describe

    def being_deleted(name: str) -> Stack | None:
        found = describe(name)
        return found and found._replace(status="DELETE_IN_PROGRESS")

    with monkeypatch.context() as patch:
        patch.setattr(change_sets, "describe", being_deleted)
        assert preview.look({NODES: Target(world.desired(NODES), None)}, "arn:e") is None
    world.delete(beside(NODES))
    assert names(look(world, NODES)) == {NODES: [("create", "Group")]}


def test_a_stack_beside_whose_deletion_ends_right_after_the_refusal_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.api.create_stack(StackName=beside(NODES), TemplateBody=template(Group=GROUP), Parameters=parameters(world))
    world.settled(beside(NODES))
    create = change_sets.create_change_set

    def refuse_and_delete(*arguments: Any, **named: Any) -> None:
        try:
            create(*arguments, **named)
        except ClientError:
            world.delete(beside(NODES))
            raise

    monkeypatch.setattr(change_sets, "create_change_set", refuse_and_delete)
    assert names(look(world, NODES)) == {NODES: [("create", "Group")]}
    assert left(world) == []


def test_a_refusal_beside_another_dry_run_is_asked_for_once_more_and_then_final(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one may have created the stack again since."""
    target = {NODES: Target(world.desired(NODES), None)}
    assert preview.look(target, "arn:another") is None
    create, refusals = change_sets.create_change_set, [refused("ValidationError")]

    def refuse_first(*arguments: Any, **named: Any) -> None:
        if refusals:
            raise refusals.pop()
        create(*arguments, **named)

    monkeypatch.setattr(change_sets, "create_change_set", refuse_first)
    assert preview.look(target, "arn:e") is None
    refusals += [refused("ValidationError")] * 3
    with pytest.raises(AwsCallFailed, match="CreateChangeSet answered ValidationError"):
        preview.look(target, "arn:third")
    assert len(refusals) == 1
    look(world, NODES)
    assert left(world) == []


def parameters(world: World) -> list[dict[str, str]]:
    wanted = world.desired(NODES).parameters
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()]


def test_data_is_kept_where_the_policy_says_so() -> None:
    change = {"Action": "Remove", "LogicalResourceId": "Data", "ResourceType": DATA["Type"], "PolicyAction": "Retain"}
    (found,) = preview.changes_of([{"ResourceChange": change}])
    assert (found.action, found.data) == ("remove", "kept")


def test_nodes_that_an_earlier_deployment_did_not_replace_are_said_to_be_so(world: World) -> None:
    """It was stopped after the stack had its launch template."""
    world.deploy(NODES)
    target = Target(world.desired(NODES), change_sets.describe(NODES))
    assert preview._why(target) == ["an earlier deployment ended before it replaced them"]
