"""What a person finds in the console: the dashboard, the alarms, the addresses in the outputs."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from rehearsal.aws.services.cloudwatch import body_problems, metrics
from tests.templates.templates import APPLICATION, PATHS, ROOT, resources

FUNCTIONS = resources(APPLICATION, "AWS::Serverless::Function")
MACHINES = ("DeployStateMachine", "VerifyStateMachine", "DestroyStateMachine")
SHOWN = MACHINES[:2]
"""Those of which the dashboard has a widget, and which schedules start."""


def substituted(value: Any, partition: str = "aws") -> str:
    """A Fn::Sub as CloudFormation computes it in us-east-1, resources by their logical ids."""
    if isinstance(value, str):
        return value
    if "Fn::FindInMap" in value:
        name, _, key = value["Fn::FindInMap"]
        return str(APPLICATION["Mappings"][name][partition][key])
    if value == {"Fn::Select": [5, {"Fn::Split": [":", {"Ref": "Topic"}]}]}:
        return "the name of Topic"
    text, names = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
    known = {"AWS::Region": "us-east-1", "AWS::StackName": "wb", "AWS::Partition": partition, "AWS::AccountId": "1"}
    known |= {name: substituted(given, partition) for name, given in names.items()}
    found = re.sub(r"\$\{([^!}][^}]*)\}", lambda match: known.get(match[1], match[1]), text)
    return found.replace("${!", "${")


BODY = substituted(APPLICATION["Resources"]["Dashboard"]["Properties"]["DashboardBody"])
WIDGETS = json.loads(BODY)["widgets"]
BY_TITLE = {widget["properties"].get("title"): widget["properties"] for widget in WIDGETS}
ALARMS = resources(APPLICATION, "AWS::CloudWatch::Alarm")


def test_aws_accepts_the_dashboard() -> None:
    assert list(body_problems(BODY)) == []


def test_no_widget_covers_another() -> None:
    cells = [
        (column, row)
        for widget in WIDGETS
        for column in range(widget["x"], widget["x"] + widget["width"])
        for row in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    bottom = max(row for _, row in cells)
    assert set(cells) == set(itertools.product(range(24), range(bottom + 1))), "a gap"


def test_widgets_show_this_region() -> None:
    regions = {widget["properties"]["region"] for widget in WIDGETS if widget["type"] in ("log", "metric")}
    assert regions == {"us-east-1"}


def test_every_execution_is_counted_by_how_it_ended() -> None:
    """The metrics and their dimension: docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html."""
    ends = ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"]
    for title, machine in zip(("Deployments a day", "Verifications a day"), SHOWN, strict=True):
        assert list(metrics(BY_TITLE[title]["metrics"])) == [
            ["AWS/States", end, "StateMachineArn", machine] for end in ends
        ]


@pytest.mark.parametrize(("start", "metric"), [("Errors of functions", "Errors"), ("Longest call", "Duration")])
def test_every_function_is_watched_under_its_name(start: str, metric: str) -> None:
    (properties,) = [shown for title, shown in BY_TITLE.items() if title and title.startswith(start)]
    assert list(metrics(properties["metrics"])) == [["AWS/Lambda", metric, "FunctionName", name] for name in FUNCTIONS]
    assert [row[-1]["label"] for row in properties["metrics"]] == [
        re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower() for name in FUNCTIONS
    ]


def test_log_widgets_read_log_groups_of_the_stack() -> None:
    sources = {
        title: re.findall(r"SOURCE '(\w+)'", shown["query"]) for title, shown in BY_TITLE.items() if "query" in shown
    }
    assert set(sources["Errors in the logs of functions"]) == {f"{name}LogGroup" for name in FUNCTIONS}
    assert all(set(groups) <= set(resources(APPLICATION, "AWS::Logs::LogGroup")) for groups in sources.values())


def test_the_verdicts_on_the_dashboard_are_those_that_the_code_shows() -> None:
    code = (ROOT / "layers" / "benchwright" / "benchwright" / "observability.py").read_text()
    query = BY_TITLE["Last verdicts"]["query"]
    messages = re.findall(r"'(cluster is [a-z ]+)'", query)
    assert len(messages) == 2
    assert all(f'"{message}"' in code for message in messages)
    shown = BY_TITLE["Is the cluster what its record says? 1: yes, 0: no"]["metrics"][0][0]
    assert shown["label"] == "${PROP('Dim.cluster')}"
    assert shown["expression"] == (
        """SEARCH('{Benchwright,service,cluster} MetricName="ClusterVerified" service="wb"', 'Minimum', 60)"""
    )


def test_the_dashboard_shows_every_alarm() -> None:
    assert BY_TITLE["Alarms"]["alarms"] == [f"{name}.Arn" for name in ALARMS]


def counted(name: str, metric: str, machine: str) -> dict[str, Any]:
    """A part of an alarm's arithmetic: how many executions ended so in five minutes."""
    dimensions = [{"Name": "StateMachineArn", "Value": {"Ref": machine}}]
    counts = {"Namespace": "AWS/States", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": counts, "Stat": "Sum", "Period": 300}, "ReturnData": False}


def test_alarms_watch_what_they_say() -> None:
    """That of executions has every end but success, of every machine, so of every cluster; and takes nothing off."""
    topic = {"AlarmActions": [{"Ref": "Topic"}]}
    any_at_all = topic | {
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    ends = {"failed": "ExecutionsFailed", "timed_out": "ExecutionsTimedOut", "aborted": "ExecutionsAborted"}
    ended = {
        f"{machine.removesuffix('StateMachine').lower()}_{end}": (metric, machine)
        for machine in MACHINES
        for end, metric in ends.items()
    }
    unsuccessful = {
        "Id": "unsuccessful",
        "Expression": " + ".join(f"FILL({name}, 0)" for name in ended),
        "Label": "Executions that did not succeed",
    }
    texts = {"AlarmName", "AlarmDescription"}
    assert {
        name: {key: value for key, value in alarm["Properties"].items() if key not in texts}
        for name, alarm in ALARMS.items()
    } == {
        "ExecutionFailed": any_at_all
        | {"Metrics": [unsuccessful, *(counted(name, *counts) for name, counts in ended.items())]},
        "HealFailed": any_at_all
        | {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "HealNodes"}}],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 3,
            "OKActions": [{"Ref": "Topic"}],
        },
        "ScheduleFailed": any_at_all
        | {
            "Namespace": "AWS/Scheduler",
            "MetricName": "TargetErrorCount",
            "Dimensions": [{"Name": "ScheduleGroup", "Value": {"Ref": "ScheduleGroup"}}],
            "Statistic": "Sum",
            "Period": 300,
        },
    }


def test_schedules_are_counted_in_a_group_of_their_own() -> None:
    for machine in SHOWN:
        (event,) = APPLICATION["Resources"][machine]["Properties"]["Events"].values()
        assert event["Properties"]["GroupName"] == {"Ref": "ScheduleGroup"}
    assert ALARMS["ScheduleFailed"]["Properties"]["Dimensions"] == [
        {"Name": "ScheduleGroup", "Value": {"Ref": "ScheduleGroup"}}
    ]


def test_alarms_and_eventbridge_may_publish_to_the_topic_and_use_its_key() -> None:
    policy = APPLICATION["Resources"]["TopicPolicy"]["Properties"]["PolicyDocument"]
    publishers = {
        statement["Principal"]["Service"]: substituted(statement["Condition"]["ArnLike"]["aws:SourceArn"])
        if "Condition" in statement
        else None
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
    }
    alarms = "arn:aws:cloudwatch:us-east-1:1:alarm:wb-*"
    assert publishers == {"events.amazonaws.com": None, "cloudwatch.amazonaws.com": alarms}
    names = [substituted(alarm["Properties"]["AlarmName"]) for alarm in ALARMS.values()]
    assert [name for name in names if not name.startswith("wb-")] == []
    (notices,) = [
        statement
        for statement in APPLICATION["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
        if "events.amazonaws.com" in str(statement["Principal"])
    ]
    assert set(notices["Principal"]["Service"]) == set(publishers)
    assert notices["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "us-east-1.console.aws.amazon.com"),
        ("aws-us-gov", "us-east-1.console.amazonaws-us-gov.com"),
    ],
)
def test_outputs_lead_to_the_console_of_the_partition(partition: str, host: str) -> None:
    addresses = {
        name: substituted(output["Value"], partition)
        for name, output in APPLICATION["Outputs"].items()
        if name.endswith("Url")
    }
    machines = f"https://{host}/states/home?region=us-east-1#/statemachines/view"
    assert addresses == {
        "StartDeploymentUrl": f"{machines}/DeployStateMachine",
        "StartVerificationUrl": f"{machines}/VerifyStateMachine",
        "DashboardUrl": f"https://{host}/cloudwatch/home?region=us-east-1#dashboards/dashboard/Dashboard",
    }


def test_the_template_is_plain_ascii() -> None:
    """CloudFormation shows other characters of descriptions as question marks."""
    assert PATHS["application"].read_text().isascii()


def test_a_saved_query_asks_all_functions_about_one_execution() -> None:
    """As operations.md writes it, but for the ARN."""
    properties = APPLICATION["Resources"]["OneExecution"]["Properties"]
    assert substituted(properties["Name"]) == "wb/one execution"
    assert [group["Ref"] for group in properties["LogGroupNames"]] == [f"{name}LogGroup" for name in FUNCTIONS]
    described = (ROOT / "docs" / "operations.md").read_text()
    assert (
        re.sub(r'"arn:aws:states:[^"]+"', '"the ARN of the execution"', described).count(properties["QueryString"]) == 1
    )
