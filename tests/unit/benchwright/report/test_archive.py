"""The function that writes reports: what it reads, what it puts where, and what it says to people."""

import json
import re
import time
from typing import Any

import pytest

from benchwright.errors import TransientError
from benchwright.report import history
from benchwright.report.history import HISTORY_EVENTS
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.report.test_history import RESOLVE, History
from tests.unit.benchwright.steps import EXECUTION, handle

MACHINE = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Task", "Arguments": {"FunctionName": RESOLVE}, "Next": "Write report"},
        "Write report": {"Type": "Task", "Next": "Good"},
        "Good": {"Type": "Succeed"},
    },
}
FOLDER = "reports/blue/deploy/one"
CONSOLE = f"https://eu-west-1.console.aws.amazon.com/s3/object/bucket?region=eu-west-1&prefix={FOLDER}/report.html"


def ran(output: str) -> History:
    """An execution that is in the state Write report, to which the state before gave its output."""
    made = History()
    looked = made.enter("Task", "Look", 0, 0)
    details = {"resourceType": "lambda", "parameters": json.dumps({"FunctionName": RESOLVE})}
    scheduled = made.add("TaskScheduled", 0, looked, taskScheduledEventDetails=details)
    left = made.exit("Task", "Look", 2, scheduled)
    made.enter("Task", "Write report", 3, left, output)
    return made


def account(aws: Conversation, made: History, **described: Any) -> None:
    def pages(asked: Any) -> dict[str, Any]:
        """Two events of a page, and where the next one begins."""
        begin = int(asked.get("nextToken", "0"))
        more = {"nextToken": str(begin + 2)} if begin + 2 < len(made.events) else {}
        return {"events": made.events[begin : begin + 2], **more}

    about = {"executionArn": EXECUTION, "name": "one", "status": "RUNNING", "input": '{"nodes": {"count": 2}}'}
    aws.answers = {
        "DescribeExecution": about | described,
        "GetExecutionHistory": pages,
        "DescribeStateMachineForExecution": {"definition": json.dumps(MACHINE)},
        "PutObject": {},
    }


def put(aws: Conversation) -> dict[str, tuple[str, bytes]]:
    """Kind and content of each object, by its key."""
    return {asked["Key"]: (asked["ContentType"], asked["Body"]) for asked in aws.asked("PutObject")}


def test_the_report_of_a_success_has_what_the_execution_will_answer_and_all_until_now(aws: Conversation) -> None:
    output = {"cluster": "blue", "nodes": [], "workbench": "2026.07"}
    account(aws, ran(json.dumps(output)))
    answer = handle("write_report", state="Write report")
    assert answer == {
        "done": True,
        "report": {
            "page": f"s3://bucket/{FOLDER}/report.html",
            "data": f"s3://bucket/{FOLDER}/report.json",
            "console": CONSOLE,
        },
        "text": f"\n\nReport:\n- {CONSOLE}\n- s3://bucket/{FOLDER}/report.html",
    }
    written = put(aws)
    assert {key: kind for key, (kind, _) in written.items()} == {
        f"{FOLDER}/report.json": "application/json",
        f"{FOLDER}/report.html": "text/html; charset=utf-8",
    }
    report = json.loads(written[f"{FOLDER}/report.json"][1])
    execution = report["execution"]
    assert (report["execution_arn"], report["machine"]["StartAt"]) == (EXECUTION, "Look")
    assert (execution["status"], execution["output"]) == ("SUCCEEDED", output)
    assert execution["input"] == {"nodes": {"count": 2}}
    assert [state["name"] for state in execution["states"]] == ["Look"]
    assert (execution["makespan_s"], sum(execution["lambda_invocations"].values())) == (2.0, 1)
    assert "✓ SUCCEEDED" in written[f"{FOLDER}/report.html"][1].decode()


def test_the_report_of_a_failure_has_its_error_and_no_output(aws: Conversation) -> None:
    account(aws, ran('{"of": "the step before"}'))
    handle("write_report", state="Write report", error="StackFailed", cause="StackFailed in step 'Look'\n\nNo room.")
    execution = json.loads(put(aws)[f"{FOLDER}/report.json"][1])["execution"]
    assert (execution["status"], execution["error"], execution["output"]) == ("FAILED", "StackFailed", None)
    page = put(aws)[f"{FOLDER}/report.html"][1].decode()
    assert "No room." in page
    assert "✕ FAILED" in page


def test_an_execution_of_no_cluster_has_a_folder_that_no_cluster_can_have(aws: Conversation) -> None:
    account(aws, ran("{}"))
    answer = handle("write_report", cluster="", state="Write report", error="InvalidInput", cause="no")
    assert answer["report"]["page"] == "s3://bucket/reports/no_cluster/deploy/one/report.html"
    assert not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", "no_cluster")


def test_in_a_partition_without_a_console_the_address_is_that_of_s3_alone(aws: Conversation) -> None:
    account(aws, ran("{}"))
    answer = handle("write_report", execution=EXECUTION.replace("arn:aws:", "arn:aws-cn:"), state="Write report")
    assert answer["report"]["console"] == ""
    assert answer["text"] == f"\n\nReport:\n- s3://bucket/{FOLDER}/report.html"


def test_a_history_that_does_not_show_the_state_yet_is_read_again_later(aws: Conversation) -> None:
    made = ran("{}")
    made.events.pop()
    account(aws, made)
    with pytest.raises(TransientError, match="does not show the state 'Write report'"):
        handle("write_report", state="Write report")
    assert aws.asked("PutObject") == []


def test_the_longest_history_is_read_within_the_memory_and_the_time_of_the_function(aws: Conversation) -> None:
    """25,000 events, as many as Step Functions keeps, of a step that looks again and again at what carries 20 KB."""
    carried = json.dumps({"Payload": {"waiting_for": "Run Command", "commands": "x" * 20_000}})
    details = {"resourceType": "lambda", "parameters": json.dumps({"FunctionName": RESOLVE, "Payload": "x" * 20_000})}
    made, left = History(), 0
    while len(made.events) < HISTORY_EVENTS - 8:
        entered = made.enter("Task", "Look", len(made.events), left, carried)
        scheduled = made.add("TaskScheduled", len(made.events), entered, taskScheduledEventDetails=details)
        answered = {"output": carried}
        succeeded = made.add("TaskSucceeded", len(made.events), scheduled, taskSucceededEventDetails=answered)
        left = made.exit("Task", "Look", len(made.events), succeeded)
        left = made.state("Wait", "Wait", len(made.events), len(made.events) + 1, left)
    made.enter("Task", "Write report", len(made.events), left, "{}")
    account(aws, made)
    aws.answers["GetExecutionHistory"] = {"events": made.events}
    began = time.process_time()
    handle("write_report", state="Write report")
    assert time.process_time() - began < 20  # of a whole processor; the function has 0.6 of one for a minute
    assert max(len(str(event)) for event in history.read(made.events).events) < 1_000  # so all need less than 25 MB
    assert len(put(aws)[f"{FOLDER}/report.html"][1]) < 2_000_000
