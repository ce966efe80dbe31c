"""Metrics that CloudWatch extracts from log events in the embedded metric format.

Source: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html. An
event that does not follow the specification gives no metric, and no error either.
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend

MOST_DIMENSIONS = 30


def extract(backend: CloudWatchBackend, message: str) -> None:
    """Put what a log event says into the metrics of an account."""
    for namespace, datum in metrics_of(message):
        moment = datum["Timestamp"].replace(tzinfo=None)  # as moto keeps that of PutMetricData
        backend.put_metric_data(namespace, [{**datum, "Timestamp": moment}])


def metrics_of(message: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Namespace and datum, in the form of PutMetricData, of each value of an event for each set of its dimensions."""
    if '"_aws"' not in message:
        return
    with contextlib.suppress(ValueError, KeyError, TypeError):
        event = json.loads(message)
        at = datetime.fromtimestamp(event["_aws"]["Timestamp"] / 1000, UTC)
        for directive in event["_aws"]["CloudWatchMetrics"]:
            yield from _of_directive(directive, event, at)


def _of_directive(
    directive: dict[str, Any], event: dict[str, Any], at: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    for metric in directive["Metrics"]:
        found = event.get(metric["Name"])
        values = found if isinstance(found, list) else [found]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            continue
        for names in directive["Dimensions"]:
            texts = [event.get(name) for name in names]
            if len(names) > MOST_DIMENSIONS or not all(isinstance(text, str) and text for text in texts):
                continue
            dimensions = [{"Name": name, "Value": text} for name, text in zip(names, texts, strict=True)]
            for value in values:
                datum = {"MetricName": metric["Name"], "Value": value, "Timestamp": at, "Dimensions": dimensions}
                yield directive["Namespace"], datum
