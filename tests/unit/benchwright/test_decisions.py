"""From what was observed to the next action: a table for each decision."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchwright.errors import NodeConfigurationFailed
from benchwright.image import builder, retirement
from benchwright.image.builder import Build
from benchwright.image.retirement import Candidate
from benchwright.nodes import replacement, rollout
from benchwright.nodes.auto_scaling import Node
from benchwright.nodes.replacement import Refresh
from benchwright.nodes.run_command import Invocation
from benchwright.settings import Settings
from benchwright.stacks import change_sets, desired_state
from benchwright.stacks.change_sets import DELETION, ChangeSet, Desired, Stack
from tests.unit.benchwright.steps import COMMAND
from tests.unit.benchwright.verification.test_checks import a_plan

# An image


def build(number: int, status: str, ami: str = "") -> Build:
    return Build(f"arn:image/r/1.0.0/{number}", status, "", ami)


@pytest.mark.parametrize(
    ("builds", "joined", "action"),
    [
        ([], "", "build"),
        ([build(1, "BUILDING")], "", "wait"),
        ([build(1, "A STATE OF TOMORROW")], "", "wait"),
        ([build(1, "AVAILABLE", "ami-1")], "", "use"),
        ([build(1, "AVAILABLE")], "", "build"),  # its AMI is gone
        ([build(1, "DEPRECATED")], "", "build"),
        ([build(1, "FAILED")], "", "build"),  # it failed under an earlier execution
        ([build(1, "FAILED")], "arn:image/r/1.0.0/1", "fail"),
        ([build(1, "CANCELLED")], "arn:image/r/1.0.0/1", "fail"),
        ([build(1, "FAILED"), build(2, "TESTING")], "arn:image/r/1.0.0/1", "wait"),
        ([build(1, "AVAILABLE", "ami-1"), build(2, "FAILED")], "", "use"),
    ],
)
def test_image(builds: Sequence[Build], joined: str, action: str) -> None:
    assert builder.next_build_step(builds, joined).action == action


@pytest.mark.parametrize(
    ("current", "verified", "retired"),
    [
        (6, [6, 5, 4], [1, 3, 4]),
        (6, [6, 3], [1, 4, 5]),  # 4 and 5 were built and never verified
        (3, [3, 6, 1], [1, 4, 5]),  # someone went back to 3
        (6, [6, 9, 4], [1, 3, 5]),  # 9 is someone's own: what was built before it is kept
        (6, [6], []),  # the first image, or the first one since an earlier release of Benchwright
        (6, [6, 9], []),
        (6, [], []),
    ],
)
def test_the_current_image_the_last_verified_one_before_it_and_used_ones_stay(
    current: int, verified: list[int], retired: list[int]
) -> None:
    images = [Candidate(f"arn-{n}", f"ami-{n}", f"2026-0{n}-01") for n in (2, 1, 6, 5, 4, 3)]
    old = retirement.superseded(images, frozenset({"ami-2"}), f"ami-{current}", [f"ami-{n}" for n in verified])
    assert [candidate.ami for candidate in old] == [f"ami-{n}" for n in retired]


def test_what_a_cluster_was_verified_with_is_remembered_in_order_and_not_for_ever() -> None:
    verified: list[str] = []
    for ami in [*"abcabb", *"0123456789"]:
        verified = retirement.remember(ami, verified)
        if ami == "b":
            assert verified[:2] == ["b", "a"]
    assert verified == [*"9876543210"]


def test_the_default_version_of_our_own_launch_template_keeps_no_image() -> None:
    ours = {"Arn": "arn:aws:iam::123456789012:instance-profile/benchwright/nodes"}
    versions = [
        {"LaunchTemplateId": name, "VersionNumber": number, "LaunchTemplateData": data}
        for name, number, data in (
            ("lt-ours", 1, {"ImageId": "ami-1", "IamInstanceProfile": ours}),
            ("lt-ours", 3, {"ImageId": "ami-3", "IamInstanceProfile": ours}),
            ("lt-of-others", 1, {"ImageId": "ami-4"}),
            ("lt-of-others", 2, {"ImageId": "ami-5"}),
            ("lt-without", 1, {}),
        )
    ]
    assert retirement.template_images(versions, "benchwright") == {"ami-3", "ami-4", "ami-5"}


# A stack

DESIRED = Desired("s", "template", {"a": "1"}, {"t": "v"}, protected=True)


def change_set(execution_status: str, status: str = "CREATE_COMPLETE", name: str = "next") -> ChangeSet:
    return ChangeSet(name, status, execution_status)


READY = change_set("AVAILABLE")


def stack(status: str, **changed: Any) -> Stack:
    values: dict[str, Any] = {"template": "template", "parameters": {"a": "1"}, "tags": {"t": "v"}, "protected": True}
    return Stack(status, "arn", "2026-01-01", **(values | changed))


@pytest.mark.parametrize(
    ("found", "change_set", "begun", "action"),
    [
        (None, None, "", "create change set"),
        (stack("DELETE_COMPLETE"), None, "", "create change set"),
        (stack("DELETE_COMPLETE"), None, DELETION, "create change set"),
        (stack("REVIEW_IN_PROGRESS"), None, "", "create change set"),
        (stack("REVIEW_IN_PROGRESS"), change_set("UNAVAILABLE", "CREATE_IN_PROGRESS"), "", "wait"),
        (stack("REVIEW_IN_PROGRESS"), READY, "", "execute"),
        (stack("REVIEW_IN_PROGRESS"), READY, "next", "wait"),  # executed, and CloudFormation does not say so yet
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_IN_PROGRESS"), "next", "wait"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_IN_PROGRESS"), "", "wait"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_FAILED"), "next", "failed"),
        (stack("REVIEW_IN_PROGRESS"), change_set("EXECUTE_FAILED"), "", "discard unused"),
        (stack("CREATE_IN_PROGRESS"), None, "one", "wait"),
        (stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), None, "one", "wait"),
        (stack("CREATE_COMPLETE"), None, "one", "done"),
        (stack("CREATE_COMPLETE"), change_set("EXECUTE_COMPLETE", name="one"), "one", "wait"),  # it is about to change
        (stack("CREATE_COMPLETE", protected=False), None, "one", "protect"),
        (stack("CREATE_COMPLETE", parameters={"a": "1", "left to its default": "x"}), None, "", "done"),
        (stack("CREATE_COMPLETE", template="other"), None, "", "create change set"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), READY, "", "execute"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), READY, "one", "execute"),  # the first one is complete
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("OBSOLETE"), "", "discard unused"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE"), "", "discard unused"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("EXECUTE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("EXECUTE_COMPLETE"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "CREATE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "DELETE_PENDING"), "", "wait"),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("UNAVAILABLE", "DELETE_IN_PROGRESS"), "", "wait"),
        (
            stack("CREATE_COMPLETE", parameters={"a": "2"}),
            change_set("UNAVAILABLE", "DELETE_FAILED"),
            "",
            "discard unused",
        ),
        (stack("CREATE_COMPLETE", parameters={"a": "2"}), change_set("OBSOLETE", name="one"), "one", "discard unused"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("OBSOLETE", name="one"), "one", "discard unused"),
        (stack("UPDATE_COMPLETE", tags={}), change_set("UNAVAILABLE", "FAILED"), "", "discard"),
        (stack("ROLLBACK_IN_PROGRESS"), None, "one", "wait"),
        (stack("ROLLBACK_COMPLETE"), None, "one", "failed"),
        (stack("ROLLBACK_COMPLETE"), change_set("EXECUTE_FAILED", name="one"), "one", "failed"),
        (stack("ROLLBACK_COMPLETE"), None, "", "delete stack"),
        (stack("ROLLBACK_COMPLETE"), None, DELETION, "delete stack"),  # CloudFormation has not begun with it
        (stack("UPDATE_ROLLBACK_COMPLETE"), None, "one", "failed"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("EXECUTE_FAILED", name="one"), "one", "failed"),
        (stack("UPDATE_ROLLBACK_COMPLETE"), change_set("EXECUTE_IN_PROGRESS", name="one"), "one", "wait"),
        (stack("UPDATE_ROLLBACK_COMPLETE", template="other"), None, "", "create change set"),
        (stack("UPDATE_ROLLBACK_COMPLETE", template="other"), change_set("EXECUTE_FAILED"), "", "discard unused"),
        (stack("UPDATE_ROLLBACK_FAILED"), None, "", "ask"),
        (stack("UPDATE_FAILED"), None, "", "ask"),
        (stack("CREATE_COMPLETE", parameters={"a": "1", "Application": "other"}), None, "", "refuse"),
        (stack("UPDATE_IN_PROGRESS", parameters={"a": "1", "Cluster": "other"}), READY, "", "refuse"),
        (stack("ROLLBACK_COMPLETE", parameters={"Application": "other"}), None, "", "refuse"),
        (stack("REVIEW_IN_PROGRESS", parameters={}, reviewed=({}, {"Application": "other"})), READY, "", "refuse"),
        (stack("REVIEW_IN_PROGRESS", parameters={}, reviewed=({"a": "2"},)), READY, "", "execute"),
    ],
)
def test_stack(found: Stack | None, change_set: ChangeSet | None, begun: str, action: str) -> None:
    assert change_sets.next_action(found, change_set, DESIRED, begun) == action


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"])
@pytest.mark.parametrize(
    ("protected", "left", "begun", "action"),
    [
        (True, (), "", "delete stack"),
        (True, ("Secret",), "", "ask"),
        (False, ("Group",), "", "delete stack"),
        (False, ("Group",), "one", "failed"),
        (True, ("Secret",), "one", "failed"),
    ],
)
def test_a_stack_is_not_deleted_where_that_would_orphan_what_it_left(
    status: str, protected: bool, left: tuple[str, ...], begun: str, action: str
) -> None:
    wanted = Desired("s", "template", {"a": "1"}, {"t": "v"}, protected=protected)
    assert change_sets.next_action(stack(status, left=left), None, wanted, begun) == action


def change(action: str, resource_type: str, replacement: str = "False", target: str = "") -> Mapping[str, Any]:
    return {
        "ResourceChange": {
            "Action": action,
            "LogicalResourceId": "R",
            "ResourceType": resource_type,
            "Replacement": replacement,
            "Details": [{"Target": {"Attribute": "Properties", "Name": target}}],
        }
    }


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        (change("Add", "AWS::RDS::DBCluster"), []),
        (change("Modify", "AWS::RDS::DBCluster"), []),
        (
            change("Modify", "AWS::RDS::DBCluster", "True"),
            ["R (AWS::RDS::DBCluster) would be replaced (Replacement: True)"],
        ),
        (
            change("Modify", "AWS::EFS::FileSystem", "Conditional"),
            ["R (AWS::EFS::FileSystem) would be replaced (Replacement: Conditional)"],
        ),
        (change("Remove", "AWS::KMS::Key"), ["R (AWS::KMS::Key) would be removed"]),
        (change("Remove", "AWS::EC2::SecurityGroup"), []),
        (change("Modify", "AWS::AutoScaling::AutoScalingGroup", "True"), []),
        (
            change("Modify", "AWS::SecretsManager::Secret", target="GenerateSecretString"),
            ["R (AWS::SecretsManager::Secret) would get a newly generated value"],
        ),
        (change("Modify", "AWS::SecretsManager::Secret", target="Description"), []),
    ],
)
def test_a_change_that_loses_something_is_refused(item: Mapping[str, Any], refused: list[str]) -> None:
    assert change_sets.refused_changes([item]) == refused


@pytest.mark.parametrize(
    ("parameters", "instances", "offline"),
    [
        ({"WorkbenchVersion": "2026.07.1+147.pro6", "NodeCount": "2"}, 2, False),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "2"}, 2, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 1, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 0, False),
        ({}, 0, False),
    ],
)
def test_another_version_takes_all_nodes_offline_first(
    parameters: Mapping[str, str], instances: int, offline: bool
) -> None:
    assert (
        desired_state.must_go_offline(a_plan({}), stack("CREATE_COMPLETE", parameters=parameters), instances) is offline
    )


def test_deletion_protection_comes_after_the_creation() -> None:
    settings = Settings(application="benchwright")
    directory = Path(__file__).parents[3] / "infra"
    first = desired_state.foundation(settings, a_plan({}), None, directory)
    later = desired_state.foundation(settings, a_plan({}), stack("CREATE_COMPLETE"), directory)
    assert (first.parameters["DeletionProtection"], later.parameters["DeletionProtection"]) == ("false", "true")


# The nodes


def nodes(*states: str, version: str = "2") -> list[Node]:
    return [Node(f"i-{number}", state, version) for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("group", "refresh", "started", "action"),
    [
        ([], None, "", "wait"),
        (nodes("InService", "Pending"), None, "", "wait"),
        (nodes("InService", "InService"), None, "", "done"),
        (nodes("InService", "Pending:Wait"), None, "", "done"),
        (nodes("InService", "InService", "Terminating:Wait"), None, "", "wait"),
        (nodes("InService", "InService", version="1"), None, "", "refresh"),
        (nodes("InService", "InService", version="1"), Refresh("r", "InProgress"), "r", "wait"),
        (nodes("InService", "InService"), Refresh("r", "Successful"), "r", "done"),
        (nodes("InService", "InService", version="1"), Refresh("r", "Failed"), "r", "fail"),
        (nodes("InService", "InService", version="1"), Refresh("r", "Failed"), "", "refresh"),
        (nodes("InService", "InService", "InService"), None, "", "wait"),
        (nodes("InService", "Standby"), None, "", "fail"),
        (nodes("InService", "Standby"), Refresh("r", "InProgress"), "r", "fail"),
    ],
)
def test_nodes(group: Sequence[Node], refresh: Refresh | None, started: str, action: str) -> None:
    assert replacement.next_replacement_step(group, refresh, 2, "2", started).action == action


def ran(instance: str, status: str = "Success", applied: str = "hash") -> Invocation:
    return Invocation(instance, status, status, f'{{"instance": "{instance}", "configuration": "{applied}"}}', "c")


@pytest.mark.parametrize(
    ("online", "invocations", "action", "send"),
    [
        ({"a", "b"}, [], "wait", ()),
        ({"a", "b", "c"}, [], "send", ("a",)),
        ({"a", "b", "c"}, [ran("a", "Pending")], "wait", ()),
        ({"a", "b", "c"}, [ran("a", "InProgress")], "wait", ()),
        ({"a", "b", "c"}, [ran("a")], "send", ("b", "c")),
        ({"a", "b", "c"}, [ran("a"), ran("b"), ran("c", "InProgress")], "wait", ()),
        ({"a", "b", "c"}, [ran("a"), ran("b"), ran("c")], "done", ()),
        ({"a", "b", "c"}, [ran("a"), ran("b")], "send", ("c",)),  # c came in the place of another node
        ({"a", "b", "c"}, [ran("a"), ran("b", "Failed"), ran("c", "InProgress")], "wait", ()),  # c must end first
    ],
)
def test_one_node_first_then_the_rest(
    online: set[str], invocations: Sequence[Invocation], action: str, send: tuple[str, ...]
) -> None:
    decision = rollout.next_step(["a", "b", "c"], online, invocations, "hash", 3)
    assert (decision.action, decision.send) == (action, send)


def test_many_nodes_go_in_batches_of_fifty() -> None:
    names = [f"i-{number:03}" for number in range(120)]
    decision = rollout.next_step(names, set(names), [ran(names[0])], "hash", 120)
    assert len(decision.send) == 50


def test_a_node_that_fails_is_named_with_its_reason_and_its_log() -> None:
    error = "/efs/home is not mounted; look at mount.log"
    output = json.dumps({"instance": "a", "error": error, "log": f"line 1\nline 2\nFAILED: {error}"})
    with pytest.raises(NodeConfigurationFailed) as caught:
        rollout.next_step(["a"], {"a"}, [Invocation("a", "Failed", "Failed", output, COMMAND)], "hash", 1)
    assert str(caught.value).splitlines() == [
        "a: /efs/home is not mounted; look at mount.log",
        "Last lines of its log:",
        "  line 1",
        "  line 2",
        f"Its command in Run Command: {COMMAND}",
        "To look at the node: aws ssm start-session --target a",
        (
            "To have a new one in its place: aws autoscaling terminate-instance-in-auto-scaling-group "
            "--no-should-decrement-desired-capacity --instance-id a"
        ),
    ]


def test_a_node_that_says_nothing_is_explained_by_run_command() -> None:
    lost = Invocation("a", "TimedOut", "Delivery Timed Out", "", COMMAND)
    with pytest.raises(NodeConfigurationFailed) as caught:
        rollout.next_step(["a"], {"a"}, [lost], "hash", 1)
    assert str(caught.value).splitlines()[0] == (
        "a: the command ended Delivery Timed Out, so the agent did not take it: the node has lost its network, "
        "or its agent hangs. It said last: nothing"
    )


def test_at_the_last_look_each_node_that_has_failed_or_not_ended_is_named() -> None:
    with pytest.raises(NodeConfigurationFailed) as caught:
        invocations = [ran("a"), ran("b", "Failed"), ran("c", "InProgress")]
        rollout.next_step(["a", "b", "c"], {"a", "b", "c"}, invocations, "hash", 3, last=True)
    named = [line for line in str(caught.value).splitlines() if line.startswith(("a: ", "b: ", "c: "))]
    assert [line.partition(",")[0].partition(".")[0] for line in named] == [
        "b: the command ended Failed",
        "c: the command has not ended",
    ]


def test_the_node_that_takes_the_place_of_a_lost_one_is_waited_for() -> None:
    decision = rollout.next_step(["a", "b"], {"a", "b"}, [ran("a"), ran("b")], "hash", 3)
    assert (decision.action, decision.waiting_for) == ("wait", "Auto Scaling: 2 of 3 nodes are there")


def test_a_node_with_another_configuration_is_not_taken_for_configured() -> None:
    with pytest.raises(NodeConfigurationFailed, match="another configuration"):
        rollout.next_step(["a"], {"a"}, [ran("a", applied="old")], "hash", 1)
