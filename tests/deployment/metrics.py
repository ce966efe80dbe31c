"""What nodes report of their Workbench, as CloudWatch has it after a quarter of an hour."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

NAMESPACE, METRIC, SILENT, BETWEEN = "Benchwright", "WorkbenchAnswers", 15, 5
"""As in layers/benchwright/benchwright/healing, which a program of the tests does not import."""


def arrived(aws: Any, said: Mapping[str, Any]) -> bool:
    """Whether CloudWatch has what a line of the probe's log says; lines are sent in their order."""
    moment, backend = said["_aws"]["Timestamp"] / 1000, cloudwatch_backends[aws.account][aws.region]
    return any(
        datum.name == METRIC
        and datum.timestamp.replace(tzinfo=UTC).timestamp() == moment
        and said["instance"] in {each.value for each in datum.dimensions}
        for datum in backend.metric_data
    )


def report_answers(aws: Any, application: str, answers: Mapping[str, bool], cluster: str = "workbench") -> None:
    """Have nodes report for a quarter of an hour whether Workbench answers, and before that it did.

    Functions have the clock of this machine, on which a quarter of an hour of AWS time is seconds: what nodes have
    reported until now is taken away.
    """
    backend = cloudwatch_backends[aws.account][aws.region]
    backend.metric_data = [each for each in backend.metric_data if each.name != METRIC]
    now = datetime.now(UTC).replace(second=30)
    for instance, answers_now in answers.items():
        dimensions = {"service": application, "cluster": cluster, "instance": instance}
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        data = [
            {
                "MetricName": METRIC,
                "Dimensions": named,
                "Timestamp": now - timedelta(minutes=minute),
                "Value": float(answers_now or minute > SILENT + 1),
            }
            for minute in range(SILENT + BETWEEN + 2)
        ]
        aws.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)
