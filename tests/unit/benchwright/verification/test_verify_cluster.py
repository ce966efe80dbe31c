"""The looks of a verification: whatever the last one meets, it ends with what was found wrong, on which node, and the
remedy; and where someone deploys the cluster meanwhile, with nothing.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.errors import VerificationFailed
from benchwright.nodes.report import accounts_digest
from benchwright.verification.checks import REMEDIES
from benchwright.verification.list_nodes import STATUS_SEPARATOR
from tests.unit.benchwright.conversation import Answer, Conversation
from tests.unit.benchwright.steps import COMMAND, OTHER, handle, record
from tests.unit.benchwright.test_handlers import AMI, NODES, agents, group, stack
from tests.unit.benchwright.verification.test_checks import a_plan, report

LOOKS = 28
HERE, AWAY = "i-0123456789abcdef0", "i-0123456789abcdef1"
ADDRESSES = {HERE: "10.0.0.1", AWAY: "10.0.0.2"}
OFFLINE = f"- online: {AWAY} (10.0.0.2): Offline. {REMEDIES['online']}"
NOT_AS_PLANNED = "The cluster blue is not what its plan says:\n"


def printed(*statuses: str) -> str:
    """What Workbench prints of a cluster whose nodes have these statuses."""
    rows = [
        f"{number}   host  {address}  8787  {status:<9} now"
        for number, (address, status) in enumerate(zip(["10.0.0.1", "10.0.0.2", "10.0.0.9"], statuses, strict=False), 1)
    ]
    blocks = [f"h:8787 - {address}  Load: 0\n" for address in ADDRESSES.values()]
    table = ["ID  Host  IPv4      Port  Status    Last Seen", *rows, "", STATUS_SEPARATOR, *blocks]
    return "\n".join(table)


def item(holder: str = "", ami: str = AMI, configuration: str = "hash", **wanted: Any) -> dict[str, Any]:
    """The record of a cluster that was verified once."""
    found: dict[str, Any] = record(holder, **wanted)["Item"]
    values = {"ami": {"S": ami}, "configuration": {"S": configuration}, "verified": {"BOOL": True}}
    return {"Item": {key: value for key, value in (found | values).items() if value != {"S": ""}}}


def reported(away: str = "Success") -> dict[str, Any]:
    """What Run Command says of the reports, and how far the one of AWAY is."""
    users = {"count": 0, "digest": accounts_digest(a_plan({"cluster": "blue"}))}
    return {
        "CommandInvocations": [
            {
                "InstanceId": name,
                "CommandId": COMMAND,
                "Status": status,
                "CommandPlugins": [{"Output": report(name, users=users).model_dump_json() if status else ""}],
            }
            for name, status in {HERE: "Success", AWAY: away}.items()
        ]
    }


@pytest.fixture
def cluster(aws: Conversation) -> Conversation:
    """Two nodes as planned, of which Workbench calls one Offline; no one deploys them."""
    instances = [
        {"InstanceId": name, "PrivateIpAddress": address, "ImageId": AMI} for name, address in ADDRESSES.items()
    ]
    aws.answers = {
        **stack("UPDATE_COMPLETE", outputs=NODES),
        **group("2", "2"),
        **agents("Online", "Online"),
        "SendCommand": {"Command": {"CommandId": COMMAND}},
        "GetItem": item(),
        "DescribeExecution": {"executionArn": OTHER, "stateMachineArn": OTHER, "status": "ABORTED", "startDate": 0},
        "DescribeInstances": {"Reservations": [{"Instances": instances}]},
        "ListCommandInvocations": reported(),
        "GetCommandInvocation": {"StandardOutputContent": printed("Online", "Offline")},
    }
    return aws


def look(locked: bool = False, **event: Any) -> dict[str, Any]:
    """What a look answers, of a record that is as it was inspected."""
    inspected = handle("resolve_plan", action="inspect")
    return handle("verify_cluster", **{"locked": locked, "revision": inspected["revision"], **event})


def looks(cluster: Conversation, *shown: Mapping[str, Answer]) -> dict[str, Any]:
    """As often as the state machine. shown: look by look, what AWS answers in place of what it answered before."""
    answer: dict[str, Any] = {}
    for number in range(LOOKS):
        cluster.answers |= shown[number] if number < len(shown) else {}
        answer = look(**answer, last=number == LOOKS - 1)
    return answer


SLOW: dict[str, Answer] = {"ListCommandInvocations": reported("InProgress")}
REPORTED: dict[str, Answer] = {"ListCommandInvocations": reported()}
SILENT: dict[str, Answer] = {"DescribeInstanceInformation": {"InstanceInformationList": []}}
SAME: dict[str, Answer] = {}


@pytest.mark.parametrize("shown", [[], [SAME, SLOW, REPORTED]], ids=["two looks a round", "a round of three"])
def test_a_node_that_stays_offline_is_named_whatever_the_last_look_meets(
    cluster: Conversation, shown: list[Mapping[str, Answer]]
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        looks(cluster, *shown)
    assert str(caught.value) == NOT_AS_PLANNED + OFFLINE


def test_who_is_silent_at_the_last_look_does_not_hide_what_was_found_before(cluster: Conversation) -> None:
    with pytest.raises(VerificationFailed) as caught:
        looks(cluster, *[SAME] * 18, SLOW)
    silent = f"- reports: {AWAY}: no report. {REMEDIES['reports']}"
    assert str(caught.value) == f"{NOT_AS_PLANNED}{silent}\n{OFFLINE}\nFound in the round before:\n{OFFLINE}"


NO_ANSWER = (
    f"- reports: no node answers Systems Manager ({HERE}, {AWAY}). Start a deployment with {{}}: it replaces a node "
    "that never registered, and says how to replace one that stopped reporting."
)


@pytest.mark.parametrize("judged", [0, 18], ids=["never", "at first"])
def test_a_cluster_of_which_no_node_answers_is_reported_so(cluster: Conversation, judged: int) -> None:
    with pytest.raises(VerificationFailed) as caught:
        looks(cluster, *[SAME] * judged, SILENT)
    assert str(caught.value) == NOT_AS_PLANNED + NO_ANSWER


def test_what_workbench_printed_unreadably_does_not_hide_what_nodes_report(cluster: Conversation) -> None:
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": "Segmentation fault"}
    cluster.answers["ListCommandInvocations"] = reported("Failed")
    with pytest.raises(VerificationFailed) as caught:
        looks(cluster)
    unreadable = "the node printed no line '=== load-balancer status ===': 'Segmentation fault'"
    assert str(caught.value).splitlines() == [
        NOT_AS_PLANNED.strip(),
        f"- reports: {AWAY}: no report. {REMEDIES['reports']}",
        f"- node table: {AWAY}: {unreadable}. {REMEDIES['node table']}",
    ]


def test_the_last_look_asks_no_one(cluster: Conversation) -> None:
    """No one would read the answer; and rows would be deleted when the lock was given back."""
    cluster.answers["GetItem"] = record()
    with pytest.raises(VerificationFailed, match=f"^{NOT_AS_PLANNED}what was$"):
        handle("verify_cluster", last=True, round=5, stale=[7], problems="what was")
    assert cluster.writes == []


@pytest.mark.parametrize("last", [False, True])
def test_a_stale_row_waits_for_the_lock_also_at_the_last_look(cluster: Conversation, last: bool) -> None:
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": printed("Online", "Offline", "Offline")}
    answer = look(questions=look()["questions"], last=last)
    assert (answer["done"], answer["needs_lock"], answer["stale"]) == (False, True, [])


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(item(OTHER), id="a deployment has begun"),
        pytest.param(item(nodes={"count": 3}), id="one with another plan has come and gone"),
        pytest.param(item(ami="ami-2"), id="one with another image has come and gone"),
        pytest.param(item(configuration="other"), id="one with another configuration has come and gone"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_cluster_that_is_deployed_meanwhile_is_judged_under_the_lock_alone(
    cluster: Conversation, later: dict[str, Any], last: bool
) -> None:
    inspected = handle("resolve_plan", action="inspect")
    event = {"locked": False, "revision": inspected["revision"], "last": last}
    asked = handle("verify_cluster", **event | {"last": False})
    cluster.answers = {"GetItem": later}
    answer = handle("verify_cluster", **asked | event)
    assert (answer["done"], answer["needs_lock"], answer["problems"]) == (False, True, "")


def test_a_holder_that_no_longer_runs_hinders_no_verification(cluster: Conversation) -> None:
    cluster.answers["GetItem"] = item(OTHER)
    asked = look()
    judged = look(**asked)
    assert (asked["needs_lock"], judged["needs_lock"], judged["problems"]) == (False, False, OFFLINE)
