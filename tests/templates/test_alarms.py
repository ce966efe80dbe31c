"""Every alarm: whom it notifies, its runbook, whether anything publishes what it watches, and the states it goes
through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchwright import observability
from benchwright.settings import Settings
from rehearsal.aws.services import alarms
from rehearsal.aws.services.alarms import Datum, Metric
from rehearsal.aws.services.cloudformation.intrinsics import Scope
from rehearsal.aws.services.cloudwatch import arithmetic_problems, body_problems
from rehearsal.aws.services.embedded_metrics import metrics_of
from tests.documentation.pages import anchors
from tests.templates.templates import APPLICATION, NODES, ROOT, TEMPLATES, resources

ACCOUNT = "arn:aws:{}:us-east-1:123456789012:{}"
PSEUDO = {"AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::AccountId": "123456789012", "AWS::StackName": "wb"}
PARAMETERS: dict[str, Any] = {
    "Application": "wb",
    "Cluster": "one",
    "VerifiedNightly": "ENABLED",
    "TopicArn": ACCOUNT.format("sns", "topic"),
    "DatabaseEndpoint": "wb-one-databasecluster-0.cluster-0.us-east-1.rds.amazonaws.com",
    "DatabaseConnectionsLimit": 1280,
    "FileSystemId": "fs-0",
    "RootVolumeSize": 0,
    "TargetGroupArn": ACCOUNT.format("elasticloadbalancing", "targetgroup/wb/1"),
    "LoadBalancerArn": ACCOUNT.format("elasticloadbalancing", "loadbalancer/app/wb/2"),
    "CertificateArn": ACCOUNT.format("acm", "certificate/3"),
}
GROUP = {"AutoScalingGroupName": "AutoScalingGroup"}
OWN = {"service": "wb", "cluster": "one"}
DATABASE = {"DBClusterIdentifier": "wb-one-databasecluster-0"}

# What AWS publishes, with the dimensions that its user guides list for these metrics.
PUBLISHED: dict[tuple[str, str], list[dict[str, str]]] = {
    ("AWS/ApplicationELB", "UnHealthyHostCount"): [{"TargetGroup": "targetgroup/wb/1", "LoadBalancer": "app/wb/2"}],
    ("AWS/AutoScaling", "GroupInServiceInstances"): [GROUP],
    ("AWS/CertificateManager", "DaysToExpiry"): [{"CertificateArn": PARAMETERS["CertificateArn"]}],
    **{
        ("AWS/EFS", name): [{"FileSystemId": "fs-0"}]
        for name in ("PercentIOLimit", "MeteredIOBytes", "PermittedThroughput")
    },
    **{("AWS/RDS", name): [DATABASE] for name in ("ACUUtilization", "FreeLocalStorage", "DatabaseConnections")},
    ("AWS/Lambda", "Errors"): [{"FunctionName": "HealNodes"}],
    ("AWS/Scheduler", "TargetErrorCount"): [{"ScheduleGroup": "ScheduleGroup"}],
    **{
        ("AWS/States", f"Executions{end}"): [
            {"StateMachineArn": "DeployStateMachine"},
            {"StateMachineArn": "VerifyStateMachine"},
            {"StateMachineArn": "DestroyStateMachine"},
        ]
        for end in ("Failed", "TimedOut", "Aborted")
    },
}

# For each alarm: the values of a period by metric that raise it, and those that end it; in how many periods.
GIB = 1 << 30
CASES: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "ExecutionFailed": ({"ExecutionsFailed": 1}, {"ExecutionsFailed": 0}),
    "HealFailed": ({"Errors": 1}, {"Errors": 0}),
    "ScheduleFailed": ({"TargetErrorCount": 1}, {"TargetErrorCount": 0}),
    "NodeWithoutWorkbench": ({"WorkbenchAnswers": 0}, {"WorkbenchAnswers": 1}),
    "NodeSilent": ({"GroupInServiceInstances": 1}, {"GroupInServiceInstances": 1, "mem_used_percent": 40}),
    "NodeMemory": ({"mem_used_percent": 90.5}, {"mem_used_percent": 90}),
    "NodeDisk": ({"disk_used_percent": 85.5}, {"disk_used_percent": 85}),
    "NodeInodes": ({"disk_inodes_free": 49_999}, {"disk_inodes_free": 50_000}),
    "UnhealthyTargets": ({"UnHealthyHostCount": 1}, {"UnHealthyHostCount": 0}),
    "CertificateExpires": ({"DaysToExpiry": 20}, {"DaysToExpiry": 21}),
    "FilesAtTheirLimit": ({"PercentIOLimit": 95}, {"PercentIOLimit": 90}),
    "FilesThroughput": (
        {"MeteredIOBytes": 300 * 81, "PermittedThroughput": 100},
        {"MeteredIOBytes": 300 * 80, "PermittedThroughput": 100},
    ),
    "DatabaseAtItsLimit": ({"ACUUtilization": 100}, {"ACUUtilization": 99}),
    "DatabaseLocalStorage": ({"FreeLocalStorage": 2 * GIB - 1}, {"FreeLocalStorage": 2 * GIB}),
    "DatabaseConnections": ({"DatabaseConnections": 1281}, {"DatabaseConnections": 1280}),
    "ClusterNotVerified": ({"ClusterVerified": 0}, {"ClusterVerified": 1}),
    "VerificationMissing": ({"GroupInServiceInstances": 2}, {"GroupInServiceInstances": 2, "ClusterVerified": 0}),
    "LicenseExpires": ({"LicenseDaysLeft": 6}, {"LicenseDaysLeft": 7}),
}
SILENCE = {  # what an alarm that was raised becomes when nothing is published any more, and why
    "breaching": "ALARM",
    "notBreaching": "OK",
    "ignore": "ALARM",
    "missing": "INSUFFICIENT_DATA",
}
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def _alarms() -> dict[str, dict[str, Any]]:
    """The alarms as DescribeAlarms shows them; references to resources are their logical ids."""
    return {
        name: _scope(template).value(alarm["Properties"])
        for template in TEMPLATES.values()
        for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items()
    }


def _scope(template: dict[str, Any], **changed: str) -> Scope:
    return Scope(template, {**PARAMETERS, **changed}, PSEUDO, lambda name, _: name, lambda _: [])


ALARMS = _alarms()


def _data(alarm: dict[str, Any], values: dict[str, float], periods: Sequence[int]) -> Iterator[Datum]:
    """A value of each metric of an alarm in each period before NOW, 1 being the last; a metric may have none."""
    for metric in alarms.metrics_of(alarm):
        if metric["MetricName"] not in values:
            continue
        for number in periods:
            at = NOW - timedelta(seconds=metric["Period"] * (number - 0.5))
            yield Datum(Metric.read(metric), at, values[metric["MetricName"]])


def test_every_alarm_has_a_case() -> None:
    assert CASES.keys() == ALARMS.keys()


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_is_raised_and_ends(name: str) -> None:
    alarm, (bad, good) = ALARMS[name], CASES[name]
    count = alarm["EvaluationPeriods"]
    window = range(1, count + alarms.EXTRA_PERIODS + 1)
    assert alarms.state(alarm, _data(alarm, good, window), NOW, "OK") == "OK"
    assert alarms.state(alarm, _data(alarm, bad, window), NOW, "OK") == "ALARM"
    if count > 1:  # one good period among the bad ones is enough
        mixed = [*_data(alarm, bad, window[1:]), *_data(alarm, good, [1])]
        assert alarms.state(alarm, mixed, NOW, "ALARM") == "OK"
    assert alarms.state(alarm, _data(alarm, good, window), NOW, "ALARM") == "OK"
    assert alarms.state(alarm, [], NOW, "ALARM") == SILENCE[alarm["TreatMissingData"]]


def test_a_group_without_nodes_is_not_missed() -> None:
    """While an upgrade takes all nodes offline, or a cluster is paused."""
    for name in ("NodeSilent", "VerificationMissing"):
        window = range(1, ALARMS[name]["EvaluationPeriods"] + 3)
        assert alarms.state(ALARMS[name], _data(ALARMS[name], {"GroupInServiceInstances": 0}, window), NOW) == "OK"


def test_a_new_cluster_is_not_taken_for_one_that_no_one_verifies() -> None:
    alarm = ALARMS["VerificationMissing"]
    assert alarms.state(alarm, [], NOW) == "OK"
    assert alarms.state(alarm, _data(alarm, {"GroupInServiceInstances": 2}, range(1, 26)), NOW) == "OK"
    assert alarms.state(alarm, _data(alarm, {"GroupInServiceInstances": 2}, range(1, 27)), NOW) == "ALARM"


def test_a_node_that_reports_late_is_not_silent() -> None:
    alarm = ALARMS["NodeSilent"]
    late = [
        *_data(alarm, {"GroupInServiceInstances": 1}, range(1, 13)),
        *_data(alarm, {"mem_used_percent": 40}, range(3, 13)),
    ]
    assert alarms.state(alarm, late, NOW) == "OK"


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_notifies_explains_itself_and_has_a_runbook(name: str) -> None:
    alarm = ALARMS[name]
    topic = [PARAMETERS["TopicArn"] if name in NODES["Resources"] else "Topic"]
    without_beginning = {"ClusterNotVerified"}  # the execution has reported it, and ExecutionFailed once more
    assert alarm.get("AlarmActions", topic if name in without_beginning else []) == topic
    assert alarm["AlarmName"].startswith("wb-one-" if name in NODES["Resources"] else "wb-")
    text, _, runbook = alarm["AlarmDescription"].rpartition(" Runbook: docs/operations.md#")
    assert text.endswith(".")
    assert runbook.removesuffix(".") in anchors((ROOT / "docs/operations.md").read_text())
    assert len(alarm["AlarmDescription"]) <= 1024


def test_no_two_alarms_have_one_name_or_watch_the_same() -> None:
    names = [alarm["AlarmName"] for alarm in ALARMS.values()]
    assert len(set(names)) == len(names)
    watched = [
        json.dumps([alarm.get("Statistic"), alarm.get("ComparisonOperator"), alarms.metrics_of(alarm)], sort_keys=True)
        for alarm in ALARMS.values()
    ]
    assert len(set(watched)) == len(watched)


def test_something_publishes_what_every_alarm_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch finds no metric for an alarm unless namespace, name and every dimension are the same.

    What nodes publish is asked of real ones: tests/nodes/test_cloudwatch_agent.py has the same metrics.
    """
    published = {Metric(*key, frozenset(each.items())) for key, found in PUBLISHED.items() for each in found}
    published |= {Metric(namespace, name, frozenset(own.items())) for namespace, name, own in NODE_METRICS}
    variables = APPLICATION["Globals"]["Function"]["Environment"]["Variables"]
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", variables["POWERTOOLS_METRICS_NAMESPACE"])
    monkeypatch.setattr(observability, "settings", lambda: Settings(application="wb"))
    observability.report_verdict("one", verified=True)
    observability.report_days_of_license("one", 6)
    for line in capsys.readouterr().out.splitlines():
        published |= {Metric.read({"Namespace": namespace, **datum}) for namespace, datum in metrics_of(line)}
    wanted = {name: map(Metric.read, alarms.metrics_of(alarm)) for name, alarm in ALARMS.items()}
    assert {name: missing for name, metrics in wanted.items() if (missing := set(metrics) - published)} == {}


NODE_METRICS = [
    ("Benchwright", "WorkbenchAnswers", OWN),
    ("Benchwright", "WorkbenchAnswers", {**OWN, "instance": "i-0"}),
    ("Benchwright", "ActiveSessions", OWN),
    *(
        ("CWAgent", name, GROUP)
        for name in ("mem_used_percent", "swap_used_percent", "disk_used_percent", "disk_inodes_free")
    ),
]
"""What a node publishes that alarms can ask for."""


def test_the_group_publishes_what_alarms_ask_of_it() -> None:
    collected = NODES["Resources"]["AutoScalingGroup"]["Properties"]["MetricsCollection"]
    assert [name for each in collected for name in each["Metrics"]] == ["GroupInServiceInstances"]


def test_the_arithmetic_of_alarms_adds_up() -> None:
    assert [list(arithmetic_problems(alarm.get("Metrics", []))) for alarm in ALARMS.values()] == [[]] * len(ALARMS)


def test_the_dashboard_of_a_cluster_shows_its_alarms_and_is_one_that_aws_accepts() -> None:
    described = NODES["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    body = _scope(NODES).value(described)
    assert list(body_problems(body)) == []
    widgets = [widget["properties"] for widget in json.loads(body)["widgets"]]
    (shown,) = [widget["alarms"] for widget in widgets if "alarms" in widget]
    assert sorted(shown) == sorted(resources(NODES, "AWS::CloudWatch::Alarm"))
    titles = " ".join(widget["title"] for widget in widgets)
    assert all(re.search(word, titles) for word in ("Nodes", "Sessions", "Database", "Files"))
    bare = _scope(NODES, TargetGroupArn="", LoadBalancerArn="", CertificateArn="", VerifiedNightly="DISABLED")
    assert list(body_problems(bare.value(described))) == []
