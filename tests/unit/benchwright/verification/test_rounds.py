"""From the answers of the nodes, and what real clusters printed, to what an execution says of the cluster."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from benchwright.errors import VerificationFailed
from benchwright.models import Plan
from benchwright.nodes.run_command import Command
from benchwright.record import Record
from benchwright.verification import rounds
from benchwright.verification.acceptance import acceptance
from benchwright.verification.connection import connect
from benchwright.verification.list_nodes import SIGN_IN_SEPARATOR, STATUS_SEPARATOR, read_list_nodes, table
from benchwright.verification.rounds import Cluster, Node, Questions
from tests.documentation.input_reference import SAML
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.verification.test_checks import PLAN, a_plan, report
from tests.unit.benchwright.verification.test_list_nodes import RECORDED_2024, RECORDED_STATUS

FIRST, SECOND = "i-0123456789abcdef0", "i-0123456789abcdef1"
ADDRESSES = {FIRST: "10.2.2.105", SECOND: "10.2.1.113"}
REPORTS = "4d1ff1ac-4f2a-4c09-bd8b-6c1b5a6b1c2d"
LISTING = "c0d0f4a3-5f7e-4b3c-9b6f-0a8f6c0d2e11"
QUESTIONS = Questions(
    reports=[Command(id=REPORTS, instances=[FIRST, SECOND])], listing=Command(id=LISTING, instances=[SECOND])
)


def answered(instance: str, status: str = "Success", **changed: Any) -> dict[str, Any]:
    """What Run Command says of the report of a node."""
    output = report(instance, **changed).model_dump_json()
    plugins = [{"Output": f"{output}\n"}]
    return {"InstanceId": instance, "CommandId": REPORTS, "Status": status, "CommandPlugins": plugins}


@pytest.fixture
def cluster(aws: Conversation) -> Conversation:
    """The cluster that was recorded, whose nodes report what the plan says."""
    instances = [
        {"InstanceId": instance, "PrivateIpAddress": address, "ImageId": "ami-1"}
        for instance, address in ADDRESSES.items()
    ]
    found = {"DatabaseEndpoint": "db", "FileSystemId": "fs-1", "Other": "x"}
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in found.items()]
    aws.answers = {
        "ListCommandInvocations": {"CommandInvocations": [answered(FIRST), answered(SECOND)]},
        "GetCommandInvocation": {"StandardOutputContent": f"{RECORDED_2024}\n{STATUS_SEPARATOR}\n{RECORDED_STATUS}"},
        "DescribeInstances": {"Reservations": [{"Instances": instances}]},
        "DescribeStacks": {"Stacks": [{"Outputs": outputs}]},
    }
    return aws


def judge(plan: Plan = PLAN) -> Cluster:
    record, answers = Record(ami="ami-1", configuration="hash"), rounds.answers_to(QUESTIONS)
    return rounds.judge(plan, record, [FIRST, SECOND], QUESTIONS, answers)


@pytest.mark.judge
def test_the_recorded_cluster_is_reported_with_the_sessions_of_each_node(cluster: Conversation) -> None:
    found = judge()
    assert found == Cluster(
        cluster="workbench",
        nodes=[
            Node(
                instance=FIRST,
                ipv4="10.2.2.105",
                host="ip-10-2-2-105",
                status="Online",
                sessions=["user1 rworkspaces", "user1 rsession", "user1 rsession"],
            ),
            Node(
                instance=SECOND,
                ipv4="10.2.1.113",
                host="ip-10-2-1-113",
                status="Online",
                sessions=["user1 rsession", "user1 rsession"],
            ),
        ],
        workbench="2026.07.1+147.pro6",
        image="ami-1",
        configuration="hash",
        endpoints={"database": "db", "file_system": "fs-1"},
        list_nodes=table(read_list_nodes(RECORDED_2024)),
        metrics=["http://10.2.2.105:8989/metrics", "http://10.2.1.113:8989/metrics"],
        connection=connect("eu-west-1", "wb-workbench", [FIRST, SECOND]),
        acceptance=acceptance(PLAN, "wb", "http://localhost:8787"),
        verification=found.verification,
    )
    assert (found.verification.verified, found.verification.stale) == (True, [])
    assert cluster.asked("GetCommandInvocation") == [{"CommandId": LISTING, "InstanceId": SECOND}]
    assert cluster.asked("DescribeStacks") == [{"StackName": "wb-workbench-foundation"}]


@pytest.mark.usefixtures("cluster")
def test_a_cluster_without_metrics_has_no_addresses_of_them() -> None:
    assert judge(a_plan({"metrics": None})).metrics == []


def test_a_node_that_workbench_does_not_name_is_reported_so(cluster: Conversation) -> None:
    listing, status = RECORDED_2024.rpartition("2   ip")[0], RECORDED_STATUS.partition("\n\n")[2]
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": f"{listing}\n{STATUS_SEPARATOR}\n{status}"}
    nodes = [(node.instance, node.host, node.status, node.sessions) for node in judge().nodes]
    assert nodes == [
        (FIRST, "", "not listed", []),
        (SECOND, "ip-10-2-1-113", "Online", ["user1 rsession", "user1 rsession"]),
    ]


def test_what_a_node_got_of_the_identity_provider_is_judged(cluster: Conversation) -> None:
    got = {"method": "saml", "place": SAML["auth"]["metadata_url"], "problem": "it answers 404"}
    text = f"{RECORDED_2024}\n{STATUS_SEPARATOR}\n{RECORDED_STATUS}\n{SIGN_IN_SEPARATOR}\n{json.dumps(got)}\n"
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": text}
    found = {check.name: check.found for check in judge(a_plan(SAML)).verification.checks}
    assert found["sign in"] == "https://idp.example.com/metadata.xml: it answers 404"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (answered(SECOND, "TimedOut"), f"{SECOND}: no report"),
        (answered(SECOND, "Failed", error="the disk is full"), f"{SECOND}: the disk is full"),
        (answered(SECOND) | {"CommandPlugins": [{"Output": "Segmentation fault"}]}, f"{SECOND}: no report"),
        (answered(SECOND) | {"InstanceId": "i-0123456789abcdef9"}, f"{SECOND}: no report"),
    ],
)
def test_what_a_node_did_not_report_well_does_not_count(
    cluster: Conversation, answer: Mapping[str, Any], found: str
) -> None:
    cluster.answers["ListCommandInvocations"] = {"CommandInvocations": [answered(FIRST), answer]}
    failed = {check.name: check.found for check in judge().verification.checks if not check.holds}
    assert failed == {"reports": found}


def test_a_node_that_has_gone_meanwhile_is_no_node_of_the_cluster(cluster: Conversation) -> None:
    instance = {"InstanceId": FIRST, "PrivateIpAddress": ADDRESSES[FIRST], "ImageId": "ami-1"}
    cluster.answers["DescribeInstances"] = {"Reservations": [{"Instances": [instance, {"InstanceId": SECOND}]}]}
    assert [node.instance for node in judge().nodes] == [FIRST]


@pytest.mark.parametrize(
    ("output", "unreadable"),
    [
        ("", "the node printed no line '=== load-balancer status ===': ''"),
        (
            json.dumps({"instance": SECOND, "error": "The disk is full. Delete what fills it.", "log": "x" * 900}),
            "The disk is full. Delete what fills it.",
        ),
        (
            f"x\n{STATUS_SEPARATOR}\n",
            "list-nodes printed no table with the header ID  Host  IPv4  Port  Status  Last Seen: 'x'",
        ),
    ],
)
def test_what_workbench_printed_in_another_form_is_reported_of_the_node_that_was_asked(
    cluster: Conversation, output: str, unreadable: str
) -> None:
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": output}
    failed = {check.name: check.found for check in judge().verification.checks if not check.holds}
    assert failed == {"node table": f"{SECOND}: {unreadable}"}


def test_an_odd_line_of_the_status_page_hides_neither_its_other_nodes_nor_the_node_table(cluster: Conversation) -> None:
    odd = RECORDED_STATUS.replace("Load: 0, 0, 0", "Load: none")
    cluster.answers["GetCommandInvocation"] = {"StandardOutputContent": f"{RECORDED_2024}\n{STATUS_SEPARATOR}\n{odd}"}
    found = judge()
    failed = {check.name: check.found for check in found.verification.checks if not check.holds}
    assert failed == {
        "load balancer": f"names 10.2.2.105; not {SECOND} (10.2.1.113); unreadable: "
        "ip-10-2-1-113:8787 – 10.2.1.113  Load: none |    1963 – user1 rsession |    2000 – user1 rsession"
    }
    assert [(node.status, len(node.sessions)) for node in found.nodes] == [("Online", 3), ("Online", 0)]


def test_the_image_of_an_instance_that_comes_or_goes_is_not_judged(cluster: Conversation) -> None:
    leaving = "i-0123456789abcdef9"
    (found,) = cluster.answers["DescribeInstances"]["Reservations"]  # type: ignore[index]
    found["Instances"].append({"InstanceId": leaving, "PrivateIpAddress": "10.2.1.9", "ImageId": "ami-0"})
    record, answers = Record(ami="ami-1", configuration="hash"), rounds.answers_to(QUESTIONS)
    judged = rounds.judge(PLAN, record, [FIRST, SECOND], QUESTIONS, answers, others=[leaving])
    assert judged.verification.verified
    assert [node.instance for node in judged.nodes] == [FIRST, SECOND]
    assert [set(asked["Filters"][0]["Values"]) for asked in cluster.asked("DescribeInstances")] == [
        {FIRST, SECOND, leaving}
    ]


@pytest.fixture
def online(aws: Conversation) -> Conversation:
    """Three nodes, two of which answer."""
    statuses = {SECOND: "Online", "i-0123456789abcdef2": "ConnectionLost", FIRST: "Online"}
    agents = [{"InstanceId": instance, "PingStatus": status} for instance, status in statuses.items()]
    aws.answers = {
        "DescribeInstanceInformation": {"InstanceInformationList": agents},
        "ListCommands": {"Commands": []},
        "SendCommand": {"Command": {"CommandId": REPORTS}},
    }
    return aws


@pytest.mark.parametrize(("number", "lister"), [(0, FIRST), (1, SECOND), (2, FIRST)])
def test_each_round_has_the_cluster_listed_by_another_node(online: Conversation, number: int, lister: str) -> None:
    asked = rounds.ask("document", [FIRST], ("execution", str(number)), [], number)
    assert asked == Questions(
        reports=[Command(id=REPORTS, instances=[FIRST, SECOND])], listing=Command(id=REPORTS, instances=[lister])
    )
    assert [sent["InstanceIds"] for sent in online.asked("SendCommand")] == [[FIRST, SECOND], [lister]]


def test_as_many_stale_rows_are_named_as_the_document_takes(online: Conversation) -> None:
    rounds.ask("document", [FIRST], ("execution",), list(range(1000, 1100)), 0)
    _, listing = online.asked("SendCommand")
    assert listing["Parameters"]["StaleNodes"] == [" ".join(map(str, range(1000, 1040)))]
    assert len(listing["Parameters"]["StaleNodes"][0]) <= rounds.LONGEST_ROWS


def test_where_no_node_answers_no_one_is_asked(online: Conversation) -> None:
    online.answers["DescribeInstanceInformation"] = {"InstanceInformationList": []}
    assert rounds.ask("document", [FIRST], ("execution",), [], 0) is None
    assert online.writes == []


def test_who_has_not_answered_is_named_once(aws: Conversation) -> None:
    def listed(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if asked["CommandId"] == LISTING:
            return {"CommandInvocations": []}
        return {"CommandInvocations": [answered(FIRST, "Failed"), answered(SECOND, "InProgress")]}

    aws.answers = {"ListCommandInvocations": listed}
    assert rounds.unanswered(rounds.answers_to(QUESTIONS)) == [SECOND]


def test_a_cluster_without_a_stack_of_nodes_is_reported_so(aws: Conversation) -> None:
    aws.answers = {"DescribeStacks": refusal("ValidationError", "Stack with id wb-workbench-nodes does not exist")}
    with pytest.raises(VerificationFailed) as caught:
        rounds.node_outputs(PLAN)
    assert str(caught.value) == "The cluster workbench has no nodes. Start a deployment with {}."
