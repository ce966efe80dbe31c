"""What nodes reported, on moto's CloudWatch."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from benchwright.healing import decision, probes
from benchwright.healing.probes import active_sessions, reported
from tests.deployment import metrics as put_metrics

NOW = datetime.now(UTC).replace(second=30, microsecond=0)
LAST = NOW.replace(second=30) - timedelta(minutes=2)  # the newest minute that counts


@pytest.fixture
def metrics(environment: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cloudwatch")


def put(metrics: Any, instance: str, minutes_before: int, value: float, **other: str) -> None:
    named = {"service": "wb", "cluster": "blue", "instance": instance, **other}
    datum = {
        "MetricName": "WorkbenchAnswers",
        "Dimensions": [{"Name": name, "Value": text} for name, text in named.items()],
        "Timestamp": LAST - timedelta(minutes=minutes_before),
        "Value": value,
    }
    metrics.put_metric_data(Namespace="Benchwright", MetricData=[datum])


def test_each_minute_of_each_node_has_its_place(metrics: Any) -> None:
    for before, value in ((0, 1.0), (1, 0.0), (3, 0.0)):
        put(metrics, "i-a", before, value)
    put(metrics, "i-b", 2, 1.0)
    assert reported("blue", ["i-a", "i-b", "i-c"], 4, NOW) == {
        "i-a": [0.0, None, 0.0, 1.0],
        "i-b": [None, 1.0, None, None],
        "i-c": [None] * 4,
    }


def test_what_is_older_or_newer_or_of_another_cluster_does_not_count(metrics: Any) -> None:
    put(metrics, "i-a", 4, 1.0)
    put(metrics, "i-a", -1, 1.0)
    put(metrics, "i-a", 0, 1.0, cluster="green")
    put(metrics, "i-a", 0, 1.0, service="other")
    assert reported("blue", ["i-a"], 4, NOW) == {"i-a": [None] * 4}


def put_sessions(metrics: Any, minutes_before: int, value: float, cluster: str = "blue") -> None:
    dimensions = [{"Name": "service", "Value": "wb"}, {"Name": "cluster", "Value": cluster}]
    at = LAST - timedelta(minutes=minutes_before)
    datum = {"MetricName": "ActiveSessions", "Dimensions": dimensions, "Timestamp": at, "Value": value}
    metrics.put_metric_data(Namespace="Benchwright", MetricData=[datum])


def test_sessions_of_all_nodes_are_those_of_the_newest_whole_minute(metrics: Any) -> None:
    for minutes_before, value in ((-1, 9), (0, 2), (0, 3), (1, 9)):
        put_sessions(metrics, minutes_before, value)
    put_sessions(metrics, 0, 9, cluster="green")
    assert active_sessions("blue", NOW) == 5


def test_without_a_recent_report_the_number_of_sessions_is_not_known(metrics: Any) -> None:
    put_sessions(metrics, 6, 9)
    assert active_sessions("blue", NOW) is None


def test_without_nodes_no_one_is_asked() -> None:
    assert reported("blue", [], 4, NOW) == {}


def test_fifty_nodes_are_one_question_of_at_most_five_hundred_metrics(metrics: Any) -> None:
    """docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
    nodes = [f"i-{number:02}" for number in range(50)]
    put(metrics, nodes[-1], 0, 1.0)
    assert reported("blue", nodes, 1, NOW)[nodes[-1]] == [1.0]


def test_what_tests_of_deployments_put_is_what_is_read() -> None:
    put = (put_metrics.NAMESPACE, put_metrics.METRIC, put_metrics.SILENT, put_metrics.BETWEEN)
    assert put == (probes.NAMESPACE, probes.METRIC, decision.SILENT, decision.BETWEEN)
