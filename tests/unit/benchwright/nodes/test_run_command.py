"""The conversation with Run Command: what is sent, once, and what is known of it afterwards."""

from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.errors import TransientError
from benchwright.nodes.run_command import Command, Invocation, invocations, ping_status, send
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.steps import COMMAND

NODES = ["i-0123456789abcdef0", "i-0123456789abcdef1"]
TOKEN = ("arn:of:the:execution", "hash", *NODES)


@pytest.fixture
def sent(aws: Conversation) -> list[dict[str, Any]]:
    """The commands that Systems Manager knows, newest first, among those of others and after two pages of them."""
    commands: list[dict[str, Any]] = []
    others = [{"CommandId": f"of-others-{number}", "Comment": "benchwright 0"} for number in range(100)]

    def listed(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["Filters"] == [{"key": "DocumentName", "value": "document"}]
        return {"Commands": commands} if asked.get("NextToken") else {"Commands": others, "NextToken": "more"}

    def take(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        commands.insert(0, {"CommandId": f"command-{len(commands) + 1}", **asked})
        return {"Command": commands[0]}

    aws.answers = {"ListCommands": listed, "SendCommand": take}
    return commands


def test_a_command_goes_to_all_instances_at_once_and_its_output_to_the_log(
    aws: Conversation, sent: list[dict[str, Any]]
) -> None:
    assert send("document", NODES, {"Mode": "apply"}, TOKEN) == Command(id="command-1", instances=NODES)
    (asked,) = aws.asked("SendCommand")
    comment = asked.pop("Comment")
    assert comment.startswith("benchwright ")
    assert len(comment) <= 100  # SendCommand, Comment
    assert asked == {
        "InstanceIds": NODES,
        "DocumentName": "document",
        "DocumentVersion": "$LATEST",
        "Parameters": {"Mode": ["apply"]},
        "TimeoutSeconds": 120,
        "MaxConcurrency": "50",
        "MaxErrors": "0",
        "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": "/wb/nodes"},
    }


def test_a_repeated_call_finds_its_command_and_sends_none(sent: list[dict[str, Any]]) -> None:
    first = send("document", NODES, {"Mode": "apply"}, TOKEN)
    assert send("document", NODES, {"Mode": "apply"}, TOKEN) == first
    assert len(sent) == 1


@pytest.mark.parametrize(
    "token", [("another", *TOKEN[1:]), TOKEN[:-1], ("arn:of:the:executionhash", *NODES), tuple(reversed(TOKEN))]
)
def test_another_call_sends_a_command_of_its_own(sent: list[dict[str, Any]], token: tuple[str, ...]) -> None:
    assert send("document", NODES, {}, TOKEN).id == "command-1"
    assert send("document", NODES, {}, token).id == "command-2"


def test_a_node_that_went_meanwhile_is_a_case_for_patience(aws: Conversation, sent: list[dict[str, Any]]) -> None:
    aws.answers["SendCommand"] = refusal("InvalidInstanceId", "Instances not in a valid state")
    with pytest.raises(TransientError) as caught:
        send("document", NODES, {}, TOKEN)
    assert str(caught.value) == "Systems Manager has lost a node: Instances not in a valid state"


@pytest.mark.parametrize("detail", ["Execution Timed Out", "ExecutionTimedOut"])
def test_an_instance_that_is_not_listed_yet_is_pending(detail: str, aws: Conversation) -> None:
    plugins = [{"Output": "first"}, {"Output": "last"}]
    reported = {"InstanceId": NODES[0], "CommandId": COMMAND, "Status": "TimedOut", "CommandPlugins": plugins}
    aws.answers = {"ListCommandInvocations": {"CommandInvocations": [{**reported, "StatusDetails": detail}]}}
    assert invocations([Command(id=COMMAND, instances=NODES)]) == [
        Invocation(NODES[0], "TimedOut", "Execution Timed Out", "first\nlast", COMMAND),
        Invocation(NODES[1], "Pending", "Pending", "", COMMAND),
    ]


def test_of_no_instances_nothing_is_asked(aws: Conversation) -> None:
    assert ping_status([]) == {}  # without a filter the answer would be of all instances of the account
    assert aws.calls == []
