"""The states that CloudWatch gives alarms, and the metrics that it extracts from log events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import alarms
from rehearsal.aws.services.alarms import Datum, Metric
from rehearsal.aws.services.embedded_metrics import extract, metrics_of

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
DIMENSIONS = [{"Name": "cluster", "Value": "one"}]
SINGLE: dict[str, Any] = {
    "Namespace": "Wb",
    "MetricName": "Answers",
    "Dimensions": DIMENSIONS,
    "Statistic": "Minimum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 1,
    "ComparisonOperator": "LessThanThreshold",
}


def data(text: str, name: str = "Answers", dimensions: dict[str, str] | None = None) -> list[Datum]:
    """A value for each minute from START on; `-` is none."""
    metric = Metric("Wb", name, frozenset((dimensions or {"cluster": "one"}).items()))
    return [
        Datum(metric, START + timedelta(minutes=minute, seconds=30), float(word))
        for minute, word in enumerate(text.split())
        if word != "-"
    ]


@pytest.mark.parametrize(
    ("values", "states"),
    [  # as in the table of "Configuring how CloudWatch alarms treat missing data", with 3 of 3 datapoints
        ("1 - 0 - 0", {"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}),
        ("1 - - - -", {"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}),
        ("- - - - -", {"missing": "INSUFFICIENT_DATA", "ignore": "OK", "breaching": "ALARM", "notBreaching": "OK"}),
        ("0 0 - 0 -", dict.fromkeys(("missing", "ignore", "breaching", "notBreaching"), "ALARM")),
        ("- - 0 - -", {"ignore": "OK", "breaching": "ALARM", "notBreaching": "OK"}),
        ("1 1 0 0 0", dict.fromkeys(("missing", "ignore", "breaching", "notBreaching"), "ALARM")),
        ("1 1 0 0 1", dict.fromkeys(("missing", "ignore", "breaching", "notBreaching"), "OK")),
    ],
)
def test_missing_data_is_treated_as_the_user_guide_says(values: str, states: dict[str, str]) -> None:
    at = START + timedelta(minutes=5, seconds=10)
    for treatment, expected in states.items():
        alarm = {**SINGLE, "TreatMissingData": treatment}
        assert alarms.state(alarm, data(values), at, before="OK") == expected, treatment


@pytest.mark.parametrize(
    "other",
    [{"cluster": "two"}, {"cluster": "one", "instance": "i-0"}, {"Cluster": "one"}],
    ids=["value", "more", "case"],
)
def test_a_metric_with_other_dimensions_is_another_metric(other: dict[str, str]) -> None:
    at = START + timedelta(minutes=5)
    assert alarms.state(SINGLE, data("0 0 0 0 0", dimensions=other), at) == "INSUFFICIENT_DATA"


def test_a_period_that_is_not_over_does_not_count() -> None:
    assert alarms.state(SINGLE, data("0 0 0"), START + timedelta(minutes=2, seconds=59), before="OK") != "ALARM"
    assert alarms.state(SINGLE, data("0 0 0"), START + timedelta(minutes=3), before="OK") == "ALARM"


@pytest.mark.parametrize(
    ("expression", "left", "right", "state"),
    [
        ("a - FILL(b, 0)", "2 2 2", "1 1 1", "ALARM"),
        ("a - FILL(b, 0)", "2 2 2", "2 2 2", "OK"),
        ("a - FILL(b, 0)", "2 2 2", "- - -", "ALARM"),
        ("a - FILL(b, 0)", "2 2 2", "2 2 -", "OK"),
        ("a - b", "2 2 2", "- - -", "INSUFFICIENT_DATA"),
        ("IF(FILL(b, 0) > 0, 0, a)", "2 2 2", "- 1 -", "OK"),
        ("IF(FILL(b, 0) > 0, 0, a)", "2 2 2", "- - -", "ALARM"),
        ("IF(FILL(b, 0) > 0, 0, a)", "- 0 0", "- - -", "OK"),
    ],
)
def test_metrics_are_reckoned_with(expression: str, left: str, right: str, state: str) -> None:
    stats = [
        {
            "Id": name.lower(),
            "MetricStat": {
                "Metric": {"Namespace": "Wb", "MetricName": name, "Dimensions": DIMENSIONS},
                "Stat": "Sum",
                "Period": 60,
            },
            "ReturnData": False,
        }
        for name in "AB"
    ]
    alarm = {
        "Metrics": [{"Id": "result", "Expression": expression}, *stats],
        "EvaluationPeriods": 3,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    assert alarms.state(alarm, [*data(left, "A"), *data(right, "B")], START + timedelta(minutes=3)) == state


def test_a_log_event_gives_a_metric_for_each_set_of_dimensions() -> None:
    directive = {"Namespace": "Wb", "Dimensions": [["cluster"], ["cluster", "node"]], "Metrics": [{"Name": "Answers"}]}
    event = {"_aws": {"Timestamp": 1764417600000, "CloudWatchMetrics": [directive]}, "cluster": "one", "node": "i-0"}
    datum = {"MetricName": "Answers", "Value": 1, "Timestamp": datetime.fromtimestamp(1764417600, UTC)}
    own = {"Name": "node", "Value": "i-0"}
    assert list(metrics_of(json.dumps({**event, "Answers": 1}))) == [
        ("Wb", {**datum, "Dimensions": DIMENSIONS}),
        ("Wb", {**datum, "Dimensions": [*DIMENSIONS, own]}),
    ]


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 2),
        ({"node": 5}, 1),
        ({"cluster": ""}, 0),
        ({"Answers": "1"}, 0),
        ({"_aws": {}}, 0),
        ({"Answers": [1, 0]}, 4),
    ],
)
def test_a_log_event_that_is_not_as_specified_gives_none(change: dict[str, Any], count: int) -> None:
    directive = {"Namespace": "Wb", "Dimensions": [["cluster"], ["cluster", "node"]], "Metrics": [{"Name": "Answers"}]}
    event = {"_aws": {"Timestamp": 1764417600000, "CloudWatchMetrics": [directive]}, "cluster": "one", "node": "i-0"}
    assert len(list(metrics_of(json.dumps({**event, "Answers": 1, **change})))) == count


@pytest.mark.parametrize("message", ["", "plain text", '{"_aws": ', '["_aws"]', '=== {"_aws": {}}'])
def test_other_log_events_give_none(message: str) -> None:
    assert list(metrics_of(message)) == []


def test_a_metric_of_a_log_event_is_read_beside_one_that_was_put(aws: LocalAws) -> None:
    """Both are asked of one API, which compares their times."""
    directive = {"Namespace": "Wb", "Dimensions": [["cluster"]], "Metrics": [{"Name": "Answers"}]}
    at = int(START.timestamp() * 1000)
    event = {"_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]}, "cluster": "one", "Answers": 1}
    extract(cloudwatch_backends[aws.account][aws.region], json.dumps(event))
    watch = aws.client("cloudwatch")
    later = {"MetricName": "Answers", "Dimensions": DIMENSIONS, "Timestamp": START + timedelta(minutes=1), "Value": 0}
    watch.put_metric_data(Namespace="Wb", MetricData=[later])
    metric = {"Namespace": "Wb", "MetricName": "Answers", "Dimensions": DIMENSIONS}
    query = {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Minimum"}}
    (found,) = watch.get_metric_data(
        MetricDataQueries=[query], StartTime=START, EndTime=START + timedelta(minutes=2), ScanBy="TimestampAscending"
    )["MetricDataResults"]
    assert (found["Timestamps"], found["Values"]) == ([START, START + timedelta(minutes=1)], [1.0, 0.0])
