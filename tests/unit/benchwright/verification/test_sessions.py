"""Sessions that a verification opens: by whom, what is asked of a node, and what is made of its answer."""

import json
from typing import Any

import pytest

from benchwright.errors import InvalidInput, VerificationFailed
from benchwright.nodes.report import accounts_digest
from benchwright.verification.checks import Verification, verify
from benchwright.verification.sessions import Spread, with_warning
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.steps import COMMAND, handle
from tests.unit.benchwright.verification.test_checks import PLAN, a_plan, observed, report
from tests.unit.benchwright.verification.test_verify_cluster import AWAY, HERE, cluster, item, look, printed

__all__ = ["cluster"]
ACCEPTANCE: Any = {"users": {"probe": {}}, "acceptance": {"account": "probe"}}


def verification() -> Verification:
    return verify(PLAN, "ami-1", "hash", observed())


@pytest.mark.parametrize(
    ("sessions", "warned"),
    [
        ({"i-1": 3, "i-2": 3}, False),
        ({"i-1": 6, "i-2": 0}, True),
        ({"i-1": 6}, False),
        ({"i-1": 1, "i-2": 5}, False),
    ],
)
def test_one_node_with_all_sessions_is_a_warning(sessions: dict[str, int], warned: bool) -> None:
    found = with_warning(verification(), Spread(account="probe", opened=6, sessions=sessions))
    assert found.verified
    assert [text.partition(". ")[0] for text in found.warnings] == (["sessions: all 6 ran on i-1"] if warned else [])


def test_a_cluster_without_an_account_for_them_is_named(cluster: Conversation) -> None:
    with pytest.raises(InvalidInput, match=r"blue has no account for which they could be opened\. Give it after"):
        handle("resolve_plan", action="find", input={"cluster": "blue", "sessions": 6})
    cluster.answers["GetItem"] = item(**ACCEPTANCE)
    assert handle("resolve_plan", action="find", input={"cluster": "blue", "sessions": 6})["sessions"] == 6


def reports() -> dict[str, Any]:
    """What Run Command says of the reports of both nodes."""
    plan = a_plan({"cluster": "blue", **ACCEPTANCE})
    users = {"count": 1, "digest": accounts_digest(plan)}
    return {
        "CommandInvocations": [
            invocation("Success", report(name, users=users).model_dump_json(), name) for name in (HERE, AWAY)
        ]
    }


def invocation(status: str, output: str, instance: str = HERE) -> dict[str, Any]:
    return {
        "InstanceId": instance,
        "CommandId": COMMAND,
        "Status": status,
        "StatusDetails": status,
        "CommandPlugins": [{"Output": output}],
    }


@pytest.fixture
def opening(cluster: Conversation) -> dict[str, Any]:
    """The answer of the look that finds the cluster verified, and has sessions opened."""
    cluster.answers |= {
        "GetItem": item(**ACCEPTANCE),
        "GetCommandInvocation": {"StandardOutputContent": printed("Online", "Online")},
        "ListCommandInvocations": reports(),
    }
    return look(**look(sessions=6), sessions=6)


def test_sessions_are_opened_on_one_node_once_the_cluster_is_verified(
    cluster: Conversation, opening: dict[str, Any]
) -> None:
    assert (opening["done"], opening["waiting_for"]) == (False, "Run Command: sessions to open and end")
    sent = [parameters for name, parameters in cluster.calls if name == "SendCommand"][-1]
    assert sent["InstanceIds"] == [HERE]
    assert sent["Parameters"] == {"Mode": ["sessions"], "Sessions": ["6 probe"], "ExecutionTimeout": ["480"]}
    cluster.answers["ListCommandInvocations"] = {"CommandInvocations": [invocation("InProgress", "")]}
    waiting = look(**opening, sessions=6)
    assert (waiting["done"], waiting["opening"]) == (False, opening["opening"])
    said = json.dumps({"opened": 6, "sessions": {"10.0.0.1": 6, "10.0.0.2": 0}})
    cluster.answers["ListCommandInvocations"] = {"CommandInvocations": [invocation("Success", f"{said}\n--- step\n")]}
    ended = look(**waiting, sessions=6)
    assert ended["done"]
    assert ended["summary"]["sessions"] == {"account": "probe", "opened": 6, "sessions": {HERE: 6, AWAY: 0}}
    assert f"Warning: sessions: all 6 ran on {HERE}. " in ended["brief"]


@pytest.mark.parametrize(
    ("status", "output", "cause"),
    [
        ("Failed", '{"instance": "i-1", "error": "Workbench refuses it."}', f"{HERE}: Workbench refuses it."),
        ("Failed", "Killed", f"{HERE}: Run Command says Failed"),
        ("Success", "", f"{HERE}: Run Command says Success"),
        ("InProgress", "", "sessions were not opened in time"),
    ],
)
def test_what_keeps_sessions_from_being_opened_ends_the_execution(
    cluster: Conversation, opening: dict[str, Any], status: str, output: str, cause: str
) -> None:
    cluster.answers["ListCommandInvocations"] = {"CommandInvocations": [invocation(status, output)]}
    with pytest.raises(VerificationFailed) as caught:
        look(**opening, sessions=6, last=True)
    assert "is what its plan says, but sessions" in str(caught.value) and cause in str(caught.value)


def test_under_the_lock_they_are_opened_again(cluster: Conversation, opening: dict[str, Any]) -> None:
    """A deployment has begun since, and perhaps ended with other nodes: what was opened before says nothing of them."""
    again = look(**look(sessions=6, round=7), sessions=6)
    assert again["opening"]
    sent = [parameters for name, parameters in cluster.calls if name == "SendCommand"]
    comments = [each["Comment"] for each in sent if each["Parameters"]["Mode"] == ["sessions"]]
    assert len(set(comments)) == 2


def test_at_the_last_look_none_is_opened(cluster: Conversation) -> None:
    """No one would count them."""
    cluster.answers |= {
        "GetItem": item(**ACCEPTANCE),
        "GetCommandInvocation": {"StandardOutputContent": printed("Online", "Online")},
        "ListCommandInvocations": reports(),
    }
    asked = look(sessions=6)
    before = len(cluster.calls)
    with pytest.raises(VerificationFailed, match="no time was left to open sessions"):
        look(**asked, sessions=6, last=True)
    assert "SendCommand" not in [name for name, _ in cluster.calls[before:]]


def test_without_a_number_none_is_opened(cluster: Conversation) -> None:
    cluster.answers |= {
        "GetItem": item(**ACCEPTANCE),
        "GetCommandInvocation": {"StandardOutputContent": printed("Online", "Online")},
        "ListCommandInvocations": reports(),
    }
    ended = look(**look())
    assert (ended["done"], ended["summary"]["sessions"]) == (True, None)
