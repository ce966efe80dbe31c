"""Whatever state a stack is found in: the step heals it, or ends with one error that says what a person does, and what
the stack holds is never lost. The real step, on the CloudFormation of the rehearsal.
"""

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml

from benchwright.errors import StackFailed, StackRefused, TransientError
from benchwright.nodes import replacement
from benchwright.nodes.replacement import Progress
from benchwright.settings import settings
from benchwright.stacks import change_sets, desired_state
from benchwright.stacks.decision import Desired, Stack
from functions.deploy_stack import app
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.server import NoFaults
from tests.unit.benchwright.steps import handle
from tests.waiting import PATIENCE, PAUSE, until

MODULES = (
    "rehearsal.aws.services.secretsmanager",
    "rehearsal.aws.services.logs",
    "rehearsal.aws.services.cloudformation",
)
FOUNDATION, NODES = "wb-blue-foundation", "wb-blue-nodes"
SECRET, BUCKET = "wb/blue/database", "wb-bucket"

DATA: dict[str, Any] = {
    "Type": "AWS::SecretsManager::Secret",
    "DeletionPolicy": "RetainExceptOnCreate",
    "Properties": {"Name": SECRET, "GenerateSecretString": {"PasswordLength": 32}},
}
GROUP: dict[str, Any] = {
    "Type": "AWS::Logs::LogGroup",
    "Properties": {"LogGroupName": "group", "RetentionInDays": {"Ref": "Days"}},
}
LATER: dict[str, Any] = {
    "Type": "AWS::Logs::LogGroup",
    "DeletionPolicy": "RetainExceptOnCreate",
    "DependsOn": ["Data"],
    "Properties": {"LogGroupName": "later", "RetentionInDays": {"Ref": "Days"}},
}
THEIRS: dict[str, Any] = {
    "Type": "AWS::Logs::LogGroup",
    "Properties": {"LogGroupName": "theirs", "RetentionInDays": 30},
}


def template(**resources: Mapping[str, Any]) -> str:
    parameters = {"Days": {"Type": "Number"}, "DeletionProtection": {"Type": "String", "Default": "true"}}
    return json.dumps({"Parameters": parameters, "Resources": resources})


@dataclass
class Orders(NoFaults):
    """reasons: why a resource cannot be made or changed, by logical id. refused: operations that are denied.

    change_sets: what happens to change sets, by the word of the fault, with its details.
    """

    change_sets: dict[str, dict[str, str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def take(self, kind: str, **facts: str) -> dict[str, str] | None:
        if kind.startswith("change-set:"):
            return self.change_sets.get(kind.partition(":")[2])
        if kind == "call" and facts["operation"] in self.refused:
            return {"code": "AccessDeniedException", "message": f"no {facts['operation']}"}
        reason = self.reasons.get(facts.get("resource", "")) if kind == "stack" else None
        return {"reason": reason} if reason else None


SCRIPT = "0" * 64


@dataclass
class World:
    """An account, the step in it, and what the two stacks of the cluster must be."""

    aws: LocalAws
    faults: Orders
    foundation: str = template(Data=DATA, Later=LATER)
    nodes: str = template(Group=GROUP)
    days: int = 7
    owner: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = self.aws.client("cloudformation")

    def desired(self, name: str) -> Desired:
        if name == FOUNDATION:
            wanted = {"Days": str(self.days), "DeletionProtection": "true"}
            return Desired(name, self.foundation, wanted, {}, protected=True)
        return Desired(name, self.nodes, {"Days": str(self.days), **self.owner}, {})

    def look(self, stack: str, change_set: str = "") -> dict[str, Any]:
        """The step once, as the state machine calls it."""
        which = {"stack": stack.rpartition("-")[2], "node_script": SCRIPT}
        return handle("deploy_stack", execution="arn:e", change_set=change_set, **which)

    def deploy(self, stack: str, meanwhile: Callable[[], None] = lambda: None, change_set: str = "") -> None:
        """The step until it is done, as an execution repeats it; `meanwhile` happens after the first look."""
        deadline = time.monotonic() + PATIENCE
        for look in itertools.count():
            try:
                answer = self.look(stack, change_set)
            except TransientError:
                answer = {"done": False, "change_set": change_set}
            if answer["done"]:
                return
            change_set = answer["change_set"]
            if look == 0:
                meanwhile()
            assert time.monotonic() < deadline, f"{stack} is still not there: {answer}"
            time.sleep(0.01)

    def refusal(self, stack: str, error: type[Exception]) -> list[str]:
        """The lines of the error with which an execution ends."""
        with pytest.raises(error) as caught:
            self.deploy(stack)
        return str(caught.value).splitlines()

    def settled(self, stack: str) -> str:
        """The status of a stack when it is at rest; empty when there is none."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = [one for one in self.api.describe_stacks()["Stacks"] if one["StackName"] == stack]
            status = found[0]["StackStatus"] if found else ""
            if not status.endswith("_IN_PROGRESS"):
                return str(status)
            time.sleep(0.01)
        raise AssertionError(f"{stack} is still {status}")

    def delete(self, stack: str) -> str:
        """What a person does; the status afterwards."""
        self.api.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
        self.api.delete_stack(StackName=stack)
        return self.settled(stack)

    def created(self, stack: str, change_set: str) -> None:
        """Wait until a change set can be executed; by itself the waiter sleeps 30 seconds after its first look."""
        often = {"Delay": PAUSE, "MaxAttempts": int(PATIENCE / PAUSE)}
        waiter = self.api.get_waiter("change_set_create_complete")
        waiter.wait(StackName=stack, ChangeSetName=change_set, WaiterConfig=often)

    def execute_half(self, stack: str) -> str:
        """What a person does who executes our change set in the console, and keeps what could be made."""
        self.look(stack)
        (name,) = self.change_sets(stack)
        self.created(stack, name)
        self.api.execute_change_set(StackName=stack, ChangeSetName=name, DisableRollback=True)
        return self.settled(stack)

    def change_sets(self, stack: str) -> list[str]:
        """The name of each that was not executed."""
        return [
            found["ChangeSetName"]
            for found in self.api.list_change_sets(StackName=stack)["Summaries"]
            if not found["ExecutionStatus"].startswith("EXECUTE_")
        ]

    def calls(self) -> list[dict[str, Any]]:
        """What was asked of CloudFormation, in order."""
        return [call for call in self.aws.recorder.entries() if call["service"] == "cloudformation"]

    def secret(self) -> str:
        """The value of the secret; empty when there is none."""
        client = self.aws.client("secretsmanager")
        names = [found["Name"] for found in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]]
        return str(client.get_secret_value(SecretId=SECRET)["SecretString"]) if SECRET in names else ""

    def forget_secret(self) -> None:
        self.aws.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)

    def retention(self) -> dict[str, int]:
        groups = self.aws.client("logs").describe_log_groups()["logGroups"]
        return {group["logGroupName"]: group["retentionInDays"] for group in groups}


@pytest.fixture
def world(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with mock.patch.dict(os.environ):
        faults = Orders()
        aws = LocalAws(Clock(math.inf), tmp_path, faults=faults, modules=MODULES)
        aws.start()
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws.client("iam").create_role(RoleName="service", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        os.environ |= aws.environment() | {"APPLICATION": "wb", "CLOUDFORMATION_ROLE_ARN": role, "BUCKET_NAME": BUCKET}
        aws.client("s3").create_bucket(Bucket=BUCKET)
        made = World(aws, faults)
        monkeypatch.setattr(desired_state, "foundation", lambda *_: made.desired(FOUNDATION))
        monkeypatch.setattr(desired_state, "nodes", lambda *_, **__: made.desired(NODES))
        monkeypatch.setattr(desired_state, "must_go_offline", lambda *_: False)
        monkeypatch.setattr(app, "confirm_lock", lambda *_: SimpleNamespace(ami=""))
        plan = SimpleNamespace(cluster="blue", wanted=SimpleNamespace(nodes=SimpleNamespace(count=2)))
        monkeypatch.setattr(app, "plan_of", lambda *_: plan)
        monkeypatch.setattr(replacement, "replace_outdated", lambda *_, **__: Progress(True, "", ""))
        settings.cache_clear()
        try:
            yield made
        finally:
            aws.stop()


# A stack of someone else


@pytest.mark.parametrize(
    ("parameters", "whose"),
    [
        ({"Application": "wb-blue", "Cluster": "x"}, "is of the cluster x of the application wb-blue"),
        ({}, "is not Benchwright's: it has no parameters Application and Cluster"),
        ({"Application": "shop"}, "is not Benchwright's: it has no parameters Application and Cluster"),
    ],
    ids=["another application", "another template", "one with a parameter of the same name"],
)
def test_a_stack_of_someone_else_that_has_the_name_is_not_touched(
    world: World, parameters: dict[str, str], whose: str
) -> None:
    theirs = {"Parameters": {key: {"Type": "String"} for key in parameters}, "Resources": {"Theirs": THEIRS}}
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    world.api.create_stack(StackName=NODES, TemplateBody=json.dumps(theirs), Parameters=given)
    assert world.settled(NODES) == "CREATE_COMPLETE"
    world.owner = {"Application": "wb", "Cluster": "blue"}
    (reported,) = world.refusal(NODES, StackRefused)
    assert reported.startswith(f"The stack {NODES} {whose}. It was not touched. Name this cluster otherwise: ")
    assert (world.change_sets(NODES), world.retention()) == ([], {"theirs": 30})


def test_a_stack_that_someone_else_reviews_gets_no_change_set_of_ours(world: World) -> None:
    theirs = {"Parameters": {name: {"Type": "String"} for name in ("Application", "Cluster")}}
    given = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in (("Application", "wb-blue"), ("Cluster", "x"))
    ]
    body = json.dumps({**theirs, "Resources": {"Theirs": THEIRS}})
    world.api.create_change_set(
        StackName=NODES, ChangeSetName="theirs", ChangeSetType="CREATE", TemplateBody=body, Parameters=given
    )
    world.created(NODES, "theirs")
    world.owner = {"Application": "wb", "Cluster": "blue"}
    (reported,) = world.refusal(NODES, StackRefused)
    assert reported.startswith(
        f"The stack {NODES} is of the cluster x of the application wb-blue. It was not touched. "
    )
    assert world.change_sets(NODES) == ["theirs"]


def test_a_change_set_that_another_change_overtook_is_made_again(world: World) -> None:
    world.deploy(NODES)
    world.days = 14
    world.look(NODES)
    (ours,) = world.change_sets(NODES)
    other = {"StackName": NODES, "ChangeSetName": "of-a-person"}
    parameters = [{"ParameterKey": "Days", "ParameterValue": "30"}]
    world.api.create_change_set(**other, TemplateBody=world.nodes, Parameters=parameters)
    for name in (ours, "of-a-person"):
        world.created(NODES, name)
    world.faults.change_sets["fails"] = {}
    world.api.execute_change_set(**other)  # in the moment before CloudFormation begins with ours
    world.faults.change_sets.clear()
    world.deploy(NODES, change_set=ours)
    assert world.retention() == {"group": 14}


# A creation that failed


def test_a_creation_that_was_rolled_back_is_begun_again(world: World) -> None:
    world.faults.reasons["Later"] = "no room"
    assert world.refusal(FOUNDATION, StackFailed) == [
        f"The stack {FOUNDATION} ended ROLLBACK_COMPLETE: Later (AWS::Logs::LogGroup) is CREATE_FAILED: no room",
        "Its creation was rolled back: the next execution removes what is left of it and starts again.",
    ]
    assert (world.settled(FOUNDATION), world.secret()) == ("ROLLBACK_COMPLETE", "")
    world.faults.reasons.clear()
    world.deploy(FOUNDATION)
    assert (world.settled(FOUNDATION), len(world.secret())) == ("CREATE_COMPLETE", 32)


def test_what_a_failed_rollback_left_of_the_foundation_is_named_and_never_orphaned(world: World) -> None:
    world.faults.reasons["Later"], world.faults.refused = "no room", {"DeleteSecret"}
    first = world.refusal(FOUNDATION, StackFailed)
    arn = world.aws.client("secretsmanager").describe_secret(SecretId=SECRET)["ARN"]
    remedy, named, left = first[1:]
    assert first[0] == (
        f"The stack {FOUNDATION} ended ROLLBACK_FAILED: Later (AWS::Logs::LogGroup) is CREATE_FAILED: no room"
    )
    assert remedy == (
        "Its creation never ended, so what it left holds no data: delete that, and only then the stack, whose deletion "
        "alone would keep it and forget it; then start the execution again (docs/operations.md, StackRefused)."
    )
    assert named == "What it left:"
    assert left.startswith(f"- Data (AWS::SecretsManager::Secret) {arn} is DELETE_FAILED: Resource handler returned")
    assert "no DeleteSecret" in left

    world.faults.reasons.clear()
    world.faults.refused.clear()
    second = world.refusal(FOUNDATION, StackRefused)
    assert second[0] == (
        f"The stack {FOUNDATION} is ROLLBACK_FAILED (The following resource(s) failed to delete: [Data]. ), "
        f"which needs a person. {remedy}"
    )
    assert second[1:] == [named, left]
    assert (world.settled(FOUNDATION), len(world.secret())) == ("ROLLBACK_FAILED", 32)

    world.forget_secret()
    assert world.delete(FOUNDATION) == ""
    world.deploy(FOUNDATION)
    assert (world.settled(FOUNDATION), len(world.secret())) == ("CREATE_COMPLETE", 32)


def test_what_a_failed_rollback_left_of_the_nodes_is_removed(world: World) -> None:
    world.nodes = template(Group=GROUP, Other={**GROUP, "Properties": {"RetentionInDays": 1}, "DependsOn": ["Group"]})
    world.faults.reasons["Other"], world.faults.refused = "no room", {"DeleteLogGroup"}
    assert world.refusal(NODES, StackFailed)[1:] == [
        "Its creation was rolled back: the next execution removes what is left of it and starts again."
    ]
    assert (world.settled(NODES), set(world.retention())) == ("ROLLBACK_FAILED", {"group"})
    world.faults.reasons.clear()
    world.faults.refused.clear()
    world.deploy(NODES)
    assert (world.settled(NODES), len(world.retention())) == ("CREATE_COMPLETE", 2)


def test_a_foundation_that_a_person_left_half_made_waits_for_that_person(world: World) -> None:
    world.faults.reasons["Later"] = "no room"
    assert world.execute_half(FOUNDATION) == "CREATE_FAILED"
    text = world.refusal(FOUNDATION, StackRefused)
    assert text[0].endswith(
        "which needs a person. Roll it back, which removes what it made; then start the execution again "
        "(docs/operations.md, StackRefused)."
    )
    assert text[2].endswith(" is CREATE_COMPLETE")
    assert (world.settled(FOUNDATION), len(world.secret())) == ("CREATE_FAILED", 32)


def test_a_stack_under_review_gets_a_change_set_of_this_execution_and_no_other_remains(world: World) -> None:
    world.look(NODES)  # and then its execution is stopped
    assert world.api.describe_stacks()["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    world.days = 14
    world.deploy(NODES)
    assert (world.settled(NODES), world.retention(), world.change_sets(NODES)) == ("CREATE_COMPLETE", {"group": 14}, [])


# A change that failed


def test_a_change_whose_rollback_failed_waits_for_a_person_who_continues_it(world: World) -> None:
    world.nodes = template(Group=GROUP, Other={**GROUP, "Properties": {"RetentionInDays": 1}, "DependsOn": ["Group"]})
    world.deploy(NODES)
    world.days = 14

    def lock() -> None:  # the group has changed; from now on no one may change it back
        world.faults.refused = {"PutRetentionPolicy"}

    world.faults.reasons["Other"] = "no room"
    world.nodes = world.nodes.replace('"RetentionInDays": 1}', '"RetentionInDays": 3}')
    world.aws.server.faults = world.aws.faults = Watching(world.faults, lock)
    ended, remedy = world.refusal(NODES, StackFailed)
    assert ended == (
        f"The stack {NODES} ended UPDATE_ROLLBACK_FAILED: Other (AWS::Logs::LogGroup) is UPDATE_FAILED: no room"
    )
    assert remedy == (
        "Fix what its last events name, and continue its rollback; then start the execution again "
        "(docs/operations.md, StackRefused)."
    )
    assert world.refusal(NODES, StackRefused)[0].endswith(f"which needs a person. {remedy}")
    world.aws.server.faults = world.aws.faults = NoFaults()
    world.api.continue_update_rollback(StackName=NODES)
    assert (world.settled(NODES), world.retention()["group"]) == ("UPDATE_ROLLBACK_COMPLETE", 7)
    world.deploy(NODES)
    assert (world.settled(NODES), world.retention()["group"]) == ("UPDATE_COMPLETE", 14)


@dataclass
class Watching(NoFaults):
    """Faults, with something that happens when one is taken."""

    faults: Orders
    then: Callable[[], None]

    def take(self, kind: str, **facts: str) -> dict[str, str] | None:
        taken = self.faults.take(kind, **facts)
        if taken and kind == "stack":
            self.then()
        return taken


def test_a_change_that_a_person_left_half_made_waits_for_that_person(world: World) -> None:
    world.deploy(NODES)
    world.days = 14
    world.faults.reasons["Group"] = "no"
    assert world.execute_half(NODES) == "UPDATE_FAILED"
    assert world.refusal(NODES, StackRefused)[0].endswith(
        "which needs a person. Roll it back; then start the execution again (docs/operations.md, StackRefused)."
    )


# A change set that is slow, or fails, or that a hook of the account reports


def begin_slowly(world: World) -> str:
    """Look until the change set is executed, and some times more before CloudFormation begins; return its name."""
    world.faults.change_sets["slow"] = {}
    world.look(NODES)
    (name,) = world.change_sets(NODES)
    world.created(NODES, name)
    with world.aws.clock.busy():  # no time passes
        assert world.look(NODES)["change_set"] == name
        for _ in range(3):
            assert world.look(NODES, name)["change_set"] == name
        assert world.calls()[-1]["operation"] == "DescribeChangeSet"
    world.faults.change_sets.clear()
    return name


def test_a_slow_beginning_after_a_change_that_was_rolled_back_is_no_failure(world: World) -> None:
    world.deploy(NODES)
    world.days, world.faults.reasons["Group"] = 14, "no room"
    (ended, _) = world.refusal(NODES, StackFailed)
    assert ended.endswith(" ended UPDATE_ROLLBACK_COMPLETE: Group (AWS::Logs::LogGroup) is UPDATE_FAILED: no room")
    world.faults.reasons.clear()
    world.deploy(NODES, change_set=begin_slowly(world))
    assert (world.settled(NODES), world.retention()) == ("UPDATE_COMPLETE", {"group": 14})


def test_a_change_that_began_slowly_and_failed_is_a_failure_with_its_own_cause(world: World) -> None:
    world.deploy(NODES)
    for days in (14, 30):
        world.days, world.faults.reasons["Group"] = days, f"no room for {days}"
        begun = begin_slowly(world)
        with pytest.raises(StackFailed) as caught:
            world.deploy(NODES, change_set=begun)
        assert str(caught.value).splitlines() == [
            (
                f"The stack {NODES} ended UPDATE_ROLLBACK_COMPLETE: Group (AWS::Logs::LogGroup) is UPDATE_FAILED: "
                f"no room for {days}"
            ),
            "The change was rolled back: the stack is as it was before.",
        ]


def test_a_change_that_failed_after_a_look_at_the_stack_is_described_as_it_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(NODES)
    world.days, world.faults.reasons["Group"] = 14, "no room"
    begun, describe = begin_slowly(world), change_sets.describe
    ended: list[str] = []

    def has_failed() -> bool:
        change_set = world.api.describe_change_set(StackName=NODES, ChangeSetName=begun)
        return bool(change_set["ExecutionStatus"] == "EXECUTE_FAILED")

    def describe_too_early(name: str) -> Stack | None:
        stack = describe(name)
        if not ended:
            until(has_failed, "the end of the change")
            ended.append(begun)
        return stack

    monkeypatch.setattr(change_sets, "describe", describe_too_early)
    with pytest.raises(StackFailed) as caught:
        world.deploy(NODES, change_set=begun)
    assert ended == [begun]
    assert str(caught.value).splitlines() == [
        f"The stack {NODES} ended UPDATE_ROLLBACK_COMPLETE: Group (AWS::Logs::LogGroup) is UPDATE_FAILED: no room",
        "The change was rolled back: the stack is as it was before.",
    ]


@pytest.mark.parametrize("there", [False, True])
def test_a_change_set_whose_execution_fails_ends_the_step_and_the_next_execution_makes_another(
    world: World, there: bool
) -> None:
    if there:
        world.deploy(NODES)
        world.days, world.faults.reasons["Group"] = 5, "no room"
        world.refusal(NODES, StackFailed)  # an older failure, which is not that of the next change
        world.faults.reasons.clear()
    world.days = 14
    world.faults.change_sets["fails"] = {"reason": "Role arn:aws:iam::123456789012:role/service cannot be assumed"}
    before = "UPDATE_ROLLBACK_COMPLETE" if there else "REVIEW_IN_PROGRESS"
    for _ in range(2):
        (ended,) = world.refusal(NODES, StackFailed)
        assert ended == (
            f"CloudFormation could not begin the change of {NODES}: Role arn:aws:iam::123456789012:role/service cannot "
            f"be assumed. The stack is as it was before: {before}. Fix what the reason names, often a permission of "
            "the role that CloudFormation assumes, and start again."
        )
    world.faults.change_sets.clear()
    world.deploy(NODES)
    assert (world.retention(), world.change_sets(NODES)) == ({"group": 14}, [])


def test_events_of_a_hook_between_two_looks_change_nothing(world: World) -> None:
    world.deploy(NODES)
    world.faults.change_sets["hooks"] = {}
    world.days = 14
    world.deploy(NODES)
    assert (world.retention(), world.change_sets(NODES)) == ({"group": 14}, [])
    asked = [call["operation"] for call in world.calls() if call["operation"] == "CreateChangeSet"]
    assert len(asked) == 2


def test_a_template_beyond_ascii_is_what_it_must_be_once_it_is_deployed(world: World) -> None:
    described = {"Description": "Größe – 日本 😀", **json.loads(template(Group=GROUP))}
    world.nodes = yaml.safe_dump(described, allow_unicode=True)
    assert yaml.safe_load(world.nodes) == described
    for _ in range(2):
        world.deploy(NODES)
        assert [call["operation"] for call in world.calls()].count("CreateChangeSet") == 1


def test_each_look_describes_the_stack_once_and_no_events(world: World) -> None:
    world.deploy(NODES)
    before = len(world.calls())
    world.days = 14
    for _ in range(3):
        world.look(NODES)
        asked = [call["operation"] for call in world.calls()[before:]]
        before += len(asked)
        assert asked.count("DescribeStacks") == 1
        assert "DescribeStackEvents" not in asked


# A deletion by a person


def test_nodes_that_a_person_deletes_come_again(world: World) -> None:
    world.deploy(NODES)
    world.days = 14
    world.deploy(NODES, meanwhile=lambda: world.api.delete_stack(StackName=NODES))
    assert (world.settled(NODES), world.retention()) == ("CREATE_COMPLETE", {"group": 14})


def test_nodes_whose_deletion_failed_are_deleted_and_come_again(world: World) -> None:
    world.deploy(NODES)
    world.faults.refused = {"DeleteLogGroup"}
    assert world.delete(NODES) == "DELETE_FAILED"
    ended = world.refusal(NODES, StackFailed)
    assert ended[0].startswith(f"The stack {NODES} ended DELETE_FAILED: Group (AWS::Logs::LogGroup) is DELETE_FAILED: ")
    (next_action,) = ended[1:]
    assert next_action.endswith("If that fails, too, delete by hand what the event names, and start again.")
    world.faults.refused.clear()
    world.deploy(NODES)
    assert (world.settled(NODES), world.retention()) == ("CREATE_COMPLETE", {"group": 7})


def test_a_foundation_whose_deletion_failed_or_ended_keeps_its_data_and_says_so(world: World) -> None:
    world.foundation = template(Data=DATA, Group=GROUP)
    world.deploy(FOUNDATION)
    data = world.secret()
    world.faults.refused = {"DeleteLogGroup"}
    assert world.delete(FOUNDATION) == "DELETE_FAILED"
    world.faults.refused.clear()
    refused = world.refusal(FOUNDATION, StackRefused)
    assert refused[0].endswith(
        "which needs a person. Someone deleted it, and what it left holds the data of the cluster. Finish the "
        "deletion, which keeps that, and import it into a new stack of this name, or give the cluster up; then start "
        "the execution again (docs/operations.md, StackRefused)."
    )
    assert sorted(line.partition(" (")[0] for line in refused[2:]) == ["- Data", "- Group"]
    assert (world.settled(FOUNDATION), world.secret()) == ("DELETE_FAILED", data)

    assert world.delete(FOUNDATION) == ""
    for _ in range(2):
        failed, named, kept = world.refusal(FOUNDATION, StackFailed)
        assert failed == (
            f"CloudFormation refused the change of {FOUNDATION}: The following hook(s)/validation failed: "
            "[AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot Early Validation errors, use the "
            "DescribeEvents API for detailed failure information."
        )
        assert named == (
            "- Data (AWS::SecretsManager::Secret): Resource of type 'AWS::SecretsManager::Secret' with identifier "
            f"'{SECRET}' already exists."
        )
        assert kept == (
            "What exists may be what an earlier stack of this name kept when it was deleted: docs/operations.md "
            "(StackFailed) says how to keep its data, and how to give it up."
        )
        assert (world.secret(), world.change_sets(FOUNDATION)) == (data, [])
    world.forget_secret()
    world.deploy(FOUNDATION)
    assert world.secret() not in ("", data)


def test_a_secret_that_waits_for_its_deletion_is_named(world: World) -> None:
    world.deploy(FOUNDATION)
    world.delete(FOUNDATION)
    world.aws.client("secretsmanager").delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    failed, left = world.refusal(FOUNDATION, StackFailed)
    assert "Data (AWS::SecretsManager::Secret) is CREATE_FAILED: " in failed
    assert left == (
        "Its creation was rolled back: the next execution removes what is left of it and starts again. What exists may "
        "be what an earlier stack of this name kept when it was deleted: docs/operations.md (StackFailed) says how to "
        "keep its data, and how to give it up."
    )


# Change sets that were made and never executed


@pytest.mark.parametrize("stack", [FOUNDATION, NODES])
def test_the_change_set_of_an_execution_that_was_stopped_goes_with_the_next_one(world: World, stack: str) -> None:
    world.deploy(stack)
    parameters = [{"ParameterKey": "Days", "ParameterValue": "30"}]
    body = {"TemplateBody": world.desired(stack).template, "Parameters": parameters}
    world.api.create_change_set(StackName=stack, ChangeSetName="of-a-person", **body)
    world.days = 14
    world.look(stack)  # and then its execution is stopped
    assert len(world.change_sets(stack)) == 2
    world.days = 7
    world.deploy(stack)
    assert world.change_sets(stack) == ["of-a-person"]
    assert set(world.retention().values()) == {7}
