"""What a failed stack, a failed image and nodes that stay away are said to have failed of."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.image import builder
from benchwright.image.builder import Build
from benchwright.nodes import instances, offline
from benchwright.stacks import change_sets
from benchwright.stacks.change_sets import Desired, Stack
from tests.unit.benchwright.conversation import Conversation, refusal

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/wb/1"
BUILD = Build("arn:aws:imagebuilder:eu-west-1:123456789012:image/wb/1.2.3/1", "FAILED")


def event(resource: str, status: str, reason: str = "") -> dict[str, str]:
    is_stack = resource == "wb"
    return {
        "StackId": STACK,
        "LogicalResourceId": resource,
        "PhysicalResourceId": STACK if is_stack else f"{resource}-1",
        "ResourceType": "AWS::CloudFormation::Stack" if is_stack else "AWS::Some::Thing",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def reported(monkeypatch: pytest.MonkeyPatch, status: str, events: Sequence[dict[str, str]]) -> str:
    """What is said of a stack with these events, oldest first."""
    pages = [{"StackEvents": [one]} for one in reversed(events)]
    paginator = SimpleNamespace(paginate=lambda **_: pages)
    monkeypatch.setattr(change_sets, "client", lambda _: SimpleNamespace(get_paginator=lambda _: paginator))
    return str(change_sets.stack_failure(Desired("wb", "template", {}, {}), Stack(status)))


def test_the_root_event_is_the_first_failure_and_no_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("wb", "CREATE_IN_PROGRESS"),
        event("Key", "CREATE_FAILED", "Resource creation cancelled"),
        event("Database", "CREATE_FAILED", "The request was cancelled: no capacity"),
        event("FileSystem", "CREATE_FAILED", "no quota"),
        event("wb", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Key, Database, FileSystem]."),
        event("wb", "ROLLBACK_COMPLETE"),
    ]
    assert reported(monkeypatch, "ROLLBACK_COMPLETE", events).splitlines() == [
        (
            "The stack wb ended ROLLBACK_COMPLETE: "
            "Database (AWS::Some::Thing) is CREATE_FAILED: The request was cancelled: no capacity"
        ),
        "Its creation was rolled back: the next execution removes what is left of it and starts again.",
    ]


def test_failures_before_the_last_operation_are_another_story(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("wb", "UPDATE_IN_PROGRESS"),
        event("Old", "UPDATE_FAILED", "long ago"),
        event("wb", "UPDATE_ROLLBACK_COMPLETE"),
        event("wb", "UPDATE_IN_PROGRESS"),
        event("New", "UPDATE_FAILED", "now"),
    ]
    text = reported(monkeypatch, "UPDATE_ROLLBACK_COMPLETE", events)
    assert text.endswith(
        "New (AWS::Some::Thing) is UPDATE_FAILED: now\nThe change was rolled back: the stack is as it was before."
    )
    assert reported(monkeypatch, "UPDATE_ROLLBACK_FAILED", events).endswith(
        "now\nFix what its last events name, and continue its rollback; then start the execution again "
        "(docs/operations.md, StackRefused)."
    )


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (["one", "two"], "wb. The last lines:\n  one\n  two"),
        ([], "wb."),
    ],
)
def test_a_failed_build_is_reported_with_step_component_reason_and_log(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], end: str
) -> None:
    failure: dict[str, Any] = {
        "componentArn": "arn:aws:imagebuilder:eu-west-1:123456789012:component/wb-r/1.0.0/1",
        "phaseName": "build",
        "stepName": "InstallR",
        "errorMessage": "no such version",
    }
    image = {"state": {"status": "FAILED", "failureContext": {"componentFailure": failure}}}
    monkeypatch.setattr(builder, "client", lambda _: SimpleNamespace(get_image=lambda **_: {"image": image}))
    monkeypatch.setattr(builder, "last_lines", lambda *_: lines)
    text = str(builder.build_failure(SimpleNamespace(name="wb"), BUILD))  # type: ignore[arg-type]
    assert text == (
        f"The image build {BUILD.arn} ended FAILED in step InstallR of component wb-r (build): no such version\n"
        "Fix what the log says of the component of image/, of a version in the input or of a download.\n"
        f"Its log is the CloudWatch log group /aws/imagebuilder/{end}"
    )


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("SSM Agent verification failed", "Systems Manager did not reach the build instance. "),
        ("You have requested more vCPU capacity than your current vCPU limit of 8", "Request more of the EC2 quota "),
        ("VcpuLimitExceeded", "Request more of the EC2 quota "),
        ("We currently do not have sufficient m7i.large capacity", "The zone has no such instance now"),
        ("Client.InternalError: Client error on launch", "The key that encrypts EBS volumes by default "),
        ("ServiceQuotaExceededException: too many AMIs", "Request more of the quota that the reason names"),
        ("is not authorized to perform: ec2:RunInstances", "Allow what the reason names"),
        ("no reason was given", "Look at the reason, and at the instance of the build in CloudTrail."),
    ],
)
def test_a_build_that_failed_outside_of_its_components_has_a_remedy_by_its_cause(reason: str, remedy: str) -> None:
    assert builder.remedy(reason, is_component=False).startswith(remedy)


def test_a_node_that_stays_away_is_named_with_what_becomes_of_it_and_its_system_log() -> None:
    text = str(offline.not_online(["i-1", "i-2"], ["i-2"], {"i-1": [], "i-2": ["no route"]}))
    assert text.startswith(
        "Systems Manager did not hear of i-1, i-2 in time. Auto Scaling now replaces what never registered: i-2. "
    )
    assert text.endswith("SSM agent.\nLast lines of the system log of i-2:\n  no route")
    alone = str(offline.not_online(["i-1"], [], {}))
    assert "Terminate a node that stays away" in alone
    assert alone.endswith("--no-should-decrement-desired-capacity --instance-id i-1")


def test_the_system_log_is_its_last_lines_without_what_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "one\r\n\n\x1b[0;32m  OK  \x1b[0m two\r\nthree\r\n"
    monkeypatch.setattr(
        instances, "client", lambda _: SimpleNamespace(get_console_output=lambda **_: {"Output": output})
    )
    assert instances.console_lines("i-1", 2) == ["  OK   two", "three"]


@pytest.mark.parametrize("latest", [{"Output": "now"}, {}, refusal("UnsupportedOperation")])
def test_the_system_log_is_the_latest_one_where_there_is_one(aws: Conversation, latest: dict[str, Any]) -> None:
    aws.answers = {"GetConsoleOutput": lambda asked: latest if asked["Latest"] else {"Output": "of the boot"}}
    assert instances.console_lines("i-1", 2) == (["now"] if "Output" in latest else ["of the boot"])


def test_a_system_log_that_may_not_be_read_hides_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "GetConsoleOutput")

    monkeypatch.setattr(instances, "client", lambda _: SimpleNamespace(get_console_output=refuse))
    assert instances.console_lines("i-1", 2) == []
