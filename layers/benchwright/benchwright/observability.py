"""The one place of logger and metrics."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from benchwright.settings import settings

logger = Logger()  # service name: POWERTOOLS_SERVICE_NAME, level: POWERTOOLS_LOG_LEVEL
metrics = Metrics()  # namespace: POWERTOOLS_METRICS_NAMESPACE


def report_verdict(cluster: str, verified: bool, **reason: str) -> None:
    """Report to the dashboard and its alarm: as the metric `ClusterVerified` of the cluster, 1 or 0, and in the log.

    Powertools gives every metric the dimension `service`, the function's name unless it has a value: the application
    stands there, so that both functions that report write one metric.
    """
    _report("ClusterVerified", cluster, int(verified))
    logger.info("cluster is verified" if verified else "cluster is not verified", extra=reason)


def report_days_of_license(cluster: str, days: int) -> None:
    """Report to the dashboard and its alarm how long the cluster's licence lasts."""
    _report("LicenseDaysLeft", cluster, days)


def _report(name: str, cluster: str, value: int) -> None:
    with single_metric(name=name, unit=MetricUnit.Count, value=value) as metric:
        metric.add_dimension("service", settings().application)
        metric.add_dimension("cluster", cluster)
