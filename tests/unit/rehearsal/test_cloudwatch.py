"""CloudWatch: dashboards and arithmetic that AWS would refuse."""

import json
from typing import Any

import pytest

from rehearsal.aws.services.cloudwatch import arithmetic_problems, body_problems, metrics


def widget(kind: str, **properties: Any) -> dict[str, Any]:
    return {"type": kind, "properties": properties}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"widgets": [widget("text", markdown="# Hello")]}, []),
        ({"widgets": [widget("log", query="SOURCE 'g' | limit 1", region="us-east-1", view="bar")]}, []),
        ({"widget": []}, ["/widget is unknown"]),
        ({"widgets": [widget("graph")]}, ["/widgets/0/type: 'graph' is none of alarm, log, metric, text"]),
        ({"widgets": [widget("alarm", title="Alarms")]}, ["/widgets/0/properties/alarms is required"]),
        ({"widgets": [widget("text", markdown="", region="x")]}, ["/widgets/0/properties/region is unknown"]),
        (
            {"widgets": [widget("text", markdown="") | {"x": 12, "width": 13, "z": 1}]},
            ["/widgets/0/z is unknown", "/widgets/0: it reaches beyond the 24 columns"],
        ),
        (
            {"widgets": [widget("log", query="", region="r", view="gauge")]},
            ["/widgets/0/properties/view: 'gauge' is no view of this widget"],
        ),
        (
            {"widgets": [widget("metric", region="r", metrics=[["AWS/Lambda", "Errors", "FunctionName"]])]},
            ["/widgets/0/properties/metrics: a metric has a dimension without value"],
        ),
        (
            {"widgets": [widget("metric", region="r", metrics=[[".", "Errors"], [{"labels": "x"}]])]},
            [
                "/widgets/0/properties/metrics/1/labels is unknown",
                "/widgets/0/properties/metrics/1: neither a metric nor an expression",
                "/widgets/0/properties/metrics: '.' repeats what no row before says",
            ],
        ),
    ],
)
def test_the_body_of_a_dashboard_is_read(body: dict[str, Any], problems: list[str]) -> None:
    assert list(body_problems(json.dumps(body))) == problems


def test_a_body_that_is_no_json_is_refused() -> None:
    (problem,) = body_problems('{"widgets": [}')
    assert problem.startswith("it is not JSON: ")


def test_metrics_repeat_what_the_row_before_says() -> None:
    rows: list[list[Any]] = [
        ["AWS/States", "ExecutionsFailed", "StateMachineArn", "one", {"label": "failed"}],
        [".", "ExecutionsStarted", ".", "."],
        [{"expression": "SEARCH('x')"}],
        ["...", "two"],
    ]
    assert list(metrics(rows)) == [
        ["AWS/States", "ExecutionsFailed", "StateMachineArn", "one"],
        ["AWS/States", "ExecutionsStarted", "StateMachineArn", "one"],
        ["AWS/States", "ExecutionsStarted", "StateMachineArn", "two"],
    ]


STAT = {"MetricStat": {"Metric": {}, "Period": 60, "Stat": "Sum"}, "ReturnData": False}


@pytest.mark.parametrize(
    ("queries", "problems"),
    [
        ([], []),
        ([{"Id": "sum", "Expression": "FILL(a, 0) + b"}, {"Id": "a", **STAT}, {"Id": "b", **STAT}], []),
        ([{"Id": "sum", "Expression": "FILL(b, 0)"}], ["The expression of sum names b, no id"]),
        ([{"Id": "a", **STAT}], ["Exactly one element of the metrics list should return data"]),
        (
            [{"Id": "a", **STAT}, {"Id": "a"}],
            ["The id a is given twice", "a must have either an expression or a metric"],
        ),
    ],
)
def test_the_arithmetic_of_an_alarm_is_read(queries: list[dict[str, Any]], problems: list[str]) -> None:
    assert list(arithmetic_problems(queries)) == problems
