"""The report of a verification of one cluster, and of every recorded one."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from benchwright.failure.explanation import LONGEST, NEXT_ACTIONS
from benchwright.verification.verdicts import (
    LEFT_OUT,
    LONGEST_MESSAGE,
    ClusterVerdict,
    Report,
    brief,
    fit,
    report_every,
    report_one,
)
from tests.unit.benchwright.steps import EXECUTION, handle

LINK = "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/" + EXECUTION
SUMMARY: dict[str, Any] = {
    "cluster": "blue",
    "nodes": [{"instance": "i-1"}, {"instance": "i-2"}],
    "workbench": "2026.07",
    "image": "ami-1",
    "warnings": ["The licence ends."],
    "connection": {"url": "https://wb.example.com", "port_forwarding": "aws ssm start-session"},
    "verification": {"checks": [{"name": "online", "holds": True, "found": "2 nodes", "remedy": ""}]},
}
VERIFIED = ClusterVerdict(cluster="blue", status="verified", message="2 nodes\nWarning: the licence ends")
BUSY = ClusterVerdict(cluster="busy", status="not verified", message="deployment in progress (arn)")
WRONG = ClusterVerdict(cluster="red", status="failed", error="VerificationFailed", message="why red")
DENIED = ClusterVerdict(cluster="tan", status="failed", error="AwsCallFailed", message="why tan")


def every(*verdicts: ClusterVerdict, left_out: tuple[str, ...] = ()) -> Report:
    return report_every(verdicts, left_out, EXECUTION)


def test_clusters_that_failed_come_first_each_with_its_reason_and_each_error_with_what_to_do() -> None:
    assert every(VERIFIED, WRONG, BUSY, DENIED, left_out=("zoo",)) == Report(
        failed=True,
        error="VerificationFailed",
        subject="Benchwright: 3 of 5 recorded clusters failed verification: red, tan, zoo",
        text="\n".join(
            [
                "3 of 5 recorded clusters failed verification: red, tan, zoo.",
                "",
                "red: why red",
                "",
                "tan: why tan",
                "",
                f"zoo: {LEFT_OUT}",
                "",
                "Not verified, which is no failure:",
                "- busy: deployment in progress (arn)",
                "",
                "Verified:",
                "- blue: 2 nodes",
                "Warning: the licence ends",
                "",
                "Evidence:",
                f"- the execution: {LINK}",
                "",
                f"Next, for VerificationFailed: {NEXT_ACTIONS['VerificationFailed']}",
                f"Next, for AwsCallFailed: {NEXT_ACTIONS['AwsCallFailed']}",
                'For all that is known of one, start `verify` with {"cluster": "red"}.',
                f"Execution: {EXECUTION}",
            ]
        ),
    )


def test_clusters_that_failed_alike_give_the_execution_their_error() -> None:
    assert every(DENIED, VERIFIED).error == "AwsCallFailed"


def test_a_cluster_that_was_not_verified_is_in_the_report_and_is_no_failure() -> None:
    found = every(VERIFIED, BUSY)
    assert (found.failed, found.error, found.subject) == (False, "", "Benchwright: 1 of 2 recorded clusters verified")
    assert found.output == {
        "message": "1 of 2 recorded clusters verified",
        "clusters": [
            {"cluster": "blue", "status": "verified", "message": VERIFIED.message},
            {"cluster": "busy", "status": "not verified", "message": BUSY.message},
        ],
    }


def test_an_empty_record_is_reported_so() -> None:
    found = every()
    message = "no cluster is recorded, so there was nothing to verify"
    assert (found.failed, found.output) == (False, {"message": message, "clusters": []})
    assert found.text.splitlines()[0] == "No cluster is recorded, so there was nothing to verify."


def test_a_report_is_never_longer_than_a_cause_and_shortens_what_did_not_fail_first() -> None:
    long = "y" * LONGEST_MESSAGE
    others = [ClusterVerdict(cluster=f"ok{number}", status="verified", message=long) for number in range(20)]
    failed = [WRONG.model_copy(update={"cluster": f"bad{number}", "message": long}) for number in range(20)]
    found = every(*others, *failed)
    assert len(found.text) == LONGEST
    assert [each.cluster for each in failed if f"\n{each.cluster}: yyy" not in found.text] == []
    assert found.text.endswith(f"Execution: {EXECUTION}")


@pytest.mark.parametrize("character", ["x", "ä", "\n", '"', "\U0001f600"])
def test_what_is_said_of_one_cluster_is_bounded_in_bytes(character: str) -> None:
    short = fit(character * 10_000)
    assert len(json.dumps(short, ensure_ascii=False).encode()) <= LONGEST_MESSAGE + 30
    assert short.endswith("\n… (shortened)")
    assert fit(character) == character


def test_a_verified_cluster_is_described_with_its_warnings() -> None:
    verification = SimpleNamespace(warnings=["The licence ends.", "A zone is full."])
    cluster: Any = SimpleNamespace(nodes=["one"], workbench="2026.07", image="ami-1", verification=verification)
    assert brief(cluster) == (
        "1 node with Workbench 2026.07 of the image ami-1\nWarning: The licence ends.\nWarning: A zone is full."
    )
    cluster.nodes.append("two")
    assert brief(cluster).startswith("2 nodes with")


@pytest.mark.usefixtures("aws")
def test_one_cluster_alone_is_reported_whole() -> None:
    whole = VERIFIED.model_copy(update={"summary": SUMMARY})
    answer = handle("explain_failure", action="report", verdicts=[whole.model_dump()])
    assert answer == {
        "done": True,
        "failed": False,
        "error": "",
        "subject": "Benchwright: the cluster blue is what its record says",
        "text": "\n".join(
            [
                "The cluster blue is what its record says.",
                "",
                "2 nodes with Workbench 2026.07 of the image ami-1",
                "Warning: The licence ends.",
                "",
                "Workbench: https://wb.example.com",
                "",
                "Checks:",
                "- online: 2 nodes",
                "",
                "Evidence:",
                f"- the execution: {LINK}",
                "",
                f"Execution: {EXECUTION}",
            ]
        ),
        "output": SUMMARY,
    }


@pytest.mark.usefixtures("aws")
def test_one_cluster_alone_fails_with_its_own_explanation() -> None:
    explained = {"error": "StackFailed", "subject": "Benchwright: red", "text": "all of it"}
    verdict = {**WRONG.model_dump(), "explanation": explained}
    answer = handle("explain_failure", action="report", verdicts=[verdict])
    assert answer == {"done": True, "failed": True, "output": {}, **explained}


def test_one_cluster_alone_that_was_not_verified_says_why() -> None:
    found = report_one(BUSY, EXECUTION)
    assert (found.failed, found.output) == (False, {"cluster": "busy", "message": BUSY.message})


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([], ["Nothing changed since it was last verified."]),
        (["nodes.count: 3 (was 2)"], ["Changed since it was last verified:", "- nodes.count: 3 (was 2)"]),
    ],
)
def test_a_deployment_is_reported_with_what_it_changed(changes: list[str], lines: list[str]) -> None:
    deployed = ClusterVerdict(cluster="blue", status="verified", summary=SUMMARY)
    found = report_one(deployed, EXECUTION, changes)
    assert (found.failed, found.subject, found.text) == (
        False,
        "Benchwright: the cluster blue is deployed and verified",
        "\n".join(
            [
                "The cluster blue is deployed and verified.",
                "",
                "2 nodes with Workbench 2026.07 of the image ami-1",
                "Warning: The licence ends.",
                "",
                "Workbench: https://wb.example.com",
                "",
                *lines,
                "",
                "Checks:",
                "- online: 2 nodes",
                "",
                "Evidence:",
                f"- the execution: {LINK}",
                "",
                f"Execution: {EXECUTION}",
            ]
        ),
    )


def test_without_an_address_the_way_in_is_a_command() -> None:
    connection = {"url": "http://localhost:8787", "port_forwarding": "aws ssm start-session --target i-1"}
    deployed = ClusterVerdict(cluster="blue", status="verified", summary=SUMMARY | {"connection": connection})
    way_in = ["Workbench: http://localhost:8787", "After this command:", "aws ssm start-session --target i-1"]
    assert report_one(deployed, EXECUTION).text.splitlines()[5:8] == way_in
