"""The conversation with CloudWatch: what nodes reported of their own Workbench, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from benchwright.aws import client
from benchwright.settings import settings

NAMESPACE, METRIC, SESSIONS = "Benchwright", "WorkbenchAnswers", "ActiveSessions"  # as the nodes report it: image/
PERIOD = 60  # seconds
RECENT = 5  # minutes of which the newest says how many sessions there are


def reported(cluster: str, instances: Sequence[str], minutes: int, now: datetime) -> dict[str, list[float | None]]:
    """Return what each instance reported in each of the last whole minutes, the latest last: 1 if Workbench answered, 0
    if not, None where nothing was reported.

    The minute that runs, and the one before it, are left out: what was measured then may still be on its way.
    """
    end = now.replace(second=0, microsecond=0) - timedelta(seconds=PERIOD)
    begin = end - timedelta(seconds=PERIOD * minutes)
    found: dict[str, list[float | None]] = {instance: [None] * minutes for instance in instances}
    if not instances:
        return found
    queries: list[Any] = [
        {
            "Id": f"node{number}",
            "MetricStat": {"Metric": _metric(METRIC, cluster, instance), "Period": PERIOD, "Stat": "Maximum"},
        }
        for number, instance in enumerate(instances)
    ]
    by_id = {query["Id"]: instance for query, instance in zip(queries, instances, strict=True)}
    pages = (
        client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=begin, EndTime=end)
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                place = int((moment - begin).total_seconds()) // PERIOD
                if 0 <= place < minutes:
                    found[by_id[result["Id"]]][place] = value
    return found


def active_sessions(cluster: str, now: datetime) -> int | None:
    """Return how many sessions ran on all nodes together in the newest whole minute; None where no node reported it.

    As in `reported`, the minute before the one that runs does not count. Each node reports its own, so they are added.
    """
    end = now.replace(second=0, microsecond=0) - timedelta(seconds=PERIOD)
    stat = {"Metric": _metric(SESSIONS, cluster), "Period": PERIOD, "Stat": "Sum"}
    found = client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "sessions", "MetricStat": stat}],
        StartTime=end - timedelta(seconds=PERIOD * RECENT),
        EndTime=end,
        ScanBy="TimestampDescending",
    )["MetricDataResults"]
    values = found[0]["Values"] if found else []
    return int(values[0]) if values else None


def _metric(name: str, cluster: str, instance: str = "") -> dict[str, Any]:
    dimensions = {"service": settings().application, "cluster": cluster} | ({"instance": instance} if instance else {})
    return {
        "Namespace": NAMESPACE,
        "MetricName": name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
