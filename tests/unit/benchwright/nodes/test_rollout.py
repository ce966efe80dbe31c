"""Which nodes get the configuration next, and what is said of those that did not apply it."""

import json
from collections.abc import Sequence

import pytest

from benchwright.errors import NodeConfigurationFailed
from benchwright.nodes import rollout
from benchwright.nodes.run_command import Invocation
from tests.unit.benchwright.steps import COMMAND


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


def test_a_node_that_failed_is_explained_by_who_knows_more() -> None:
    answer = {"method": "oidc", "place": "https://idp.example.com", "problem": "it answers 404"}
    output = json.dumps(
        {"instance": "a", "error": "it does not fit", "sign_in": answer, "log": "FAILED: it does not fit"}
    )
    with pytest.raises(NodeConfigurationFailed) as caught:
        rollout.next_step(
            *(["a"], {"a"}, [Invocation("a", "Failed", "Failed", output, COMMAND)], "hash", 1),
            explain=lambda report: f"{report.sign_in.place}: {report.sign_in.problem}" if report.sign_in else "",
        )
    assert str(caught.value).splitlines()[:2] == [
        "a: https://idp.example.com: it answers 404",
        f"Its command in Run Command: {COMMAND}",
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
