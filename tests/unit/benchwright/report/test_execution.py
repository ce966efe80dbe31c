"""What a report says of one execution."""

import json

from benchwright.report import history
from benchwright.report.execution import Execution, versions
from tests.unit.benchwright.report.test_history import History

PLAN = {
    "wanted": {"workbench": {"version": "2026.07"}, "r_versions": ["4.5.1", "4.4.3"], "python_versions": ["3.13.1"]}
}


def test_versions_are_those_that_were_found_and_else_those_that_were_planned() -> None:
    output = {
        "workbench": "2026.07.1",
        "image": "ami-1",
        "database": {"server_version": "17.7"},
        "configuration": "c0ffee",
    }
    planned = {"Workbench": "2026.07", "R": "4.5.1, 4.4.3", "Python": "3.13.1"}
    assert versions(PLAN, None) == planned
    found = {"Workbench": "2026.07.1", "PostgreSQL": "17.7", "Image": "ami-1", "Configuration": "c0ffee"}
    assert versions(PLAN, output) == planned | found
    assert versions(None, "no object") == {}


def test_plan_and_changes_are_what_the_step_answered_also_of_an_execution_that_failed() -> None:
    made = History()
    entered = made.enter("Task", "Resolve plan", 0, 0)
    scheduled = made.add("TaskScheduled", 0, entered, taskScheduledEventDetails={"resourceType": "lambda"})
    answer = {"Payload": {"plan": PLAN, "changes": ["nodes.count: 3 (was 2)"], "waiting_for": ""}}
    succeeded = made.add("TaskSucceeded", 2, scheduled, taskSucceededEventDetails={"output": json.dumps(answer)})
    left = made.exit("Task", "Resolve plan", 2, succeeded)
    released = {"Payload": {"plan": {}, "changes": [], "done": True}}  # by the same function
    made.add("TaskSucceeded", 2, left, taskSucceededEventDetails={"output": json.dumps(released)})
    described = {"name": "one", "status": "FAILED", "input": "{}", "error": "E", "cause": "c"}
    ran = Execution.read("deploy", described, history.read(made.events), {})
    assert (ran.plan, ran.changes) == (PLAN, ["nodes.count: 3 (was 2)"])
    assert (ran.status, ran.input, ran.output, ran.error, ran.cause) == ("FAILED", {}, None, "E", "c")
    assert (ran.makespan_s, ran.history_events, ran.max_payload_bytes) == (2.0, 5, len(json.dumps(answer)))
