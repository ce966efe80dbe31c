"""CloudWatch: dashboards whose bodies are read as AWS reads them, and alarms whose arithmetic adds up.

moto keeps both and looks into neither; it knows no tags of dashboards.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws

# docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
BODY: Final = {"start", "end", "periodOverride", "widgets", "variables"}
REQUIRED: Final = {
    "alarm": {"alarms"},
    "log": {"query", "region"},
    "metric": {"metrics", "region"},
    "text": {"markdown"},
}
OPTIONAL: Final = {
    "alarm": {"sortBy", "states", "title"},
    "log": {"accountId", "queryLanguage", "stacked", "title", "view"},
    "metric": {
        *("accountId", "annotations", "labels", "legend", "liveData", "period", "setPeriodToTimeRange", "sparkline"),
        *("stacked", "stat", "table", "timezone", "title", "trend", "view", "yAxis"),
    },
    "text": {"background"},
}
VIEWS: Final = {
    "log": {"bar", "pie", "table", "timeSeries"},
    "metric": {"bar", "gauge", "pie", "singleValue", "table", "timeSeries"},
}
RENDERING: Final = {
    *("accountId", "color", "expression", "id", "label", "period", "region", "stat", "stacked", "visible", "yAxis"),
}
# docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
FUNCTION = re.compile(r"[A-Z_]+(?=\()")
WORD = re.compile(r"\b[a-z]\w*\b")


def install(aws: LocalAws) -> None:
    """Add to the server what moto lacks."""
    aws.server.serve("cloudwatch", CloudWatch(aws.account))


@dataclass(frozen=True)
class CloudWatch:
    """Checks of dashboards and alarms, and the tags of dashboards."""

    account: str

    def _backend(self, call: Call) -> CloudWatchBackend:
        return cloudwatch_backends[self.account][call.region]

    def put_dashboard(self, call: Call) -> Proceed:
        if problems := list(body_problems(call["DashboardBody"])):
            raise ServiceError("InvalidParameterInput", f"The dashboard body is invalid: {'; '.join(problems)}")
        arn = f"arn:aws:cloudwatch::{self.account}:dashboard/{call['DashboardName']}"
        self._backend(call).tagger.tag_resource(arn, list(call.get("Tags") or []))
        return PROCEED

    def put_metric_alarm(self, call: Call) -> Proceed:
        if problems := list(arithmetic_problems(call.get("Metrics") or [])):
            raise ServiceError("ValidationError", "; ".join(problems))
        return PROCEED

    def tag_resource(self, call: Call) -> Mapping[str, Any] | Proceed:
        arn = call["ResourceARN"]
        if ":dashboard/" not in arn:
            return PROCEED
        backend = self._backend(call)
        if arn.rpartition("/")[2] not in backend.dashboards:
            raise ServiceError("ResourceNotFoundException", f"There is no dashboard {arn}")
        if call.operation == "TagResource":
            backend.tagger.tag_resource(arn, list(call["Tags"]))
        else:
            backend.tagger.untag_resource_using_names(arn, list(call["TagKeys"]))
        return {}

    untag_resource = tag_resource


def body_problems(body: str) -> Iterator[str]:
    """Say what is wrong with the body of a dashboard, each with its path."""
    try:
        dashboard = json.loads(body)
    except ValueError as error:
        yield f"it is not JSON: {error}"
        return
    yield from _unknown("", set(dashboard) - BODY)
    for index, widget in enumerate(dashboard.get("widgets", [])):
        path, kind = f"/widgets/{index}", widget.get("type")
        if kind not in REQUIRED:
            yield f"{path}/type: {kind!r} is none of {', '.join(sorted(REQUIRED))}"
            continue
        properties = widget.get("properties", {})
        yield from _unknown(path, set(widget) - {"type", "x", "y", "width", "height", "properties"})
        yield from (f"{path}/properties/{name} is required" for name in sorted(REQUIRED[kind] - set(properties)))
        yield from _unknown(f"{path}/properties", set(properties) - REQUIRED[kind] - OPTIONAL[kind])
        if not 1 <= widget.get("width", 6) <= 24 - widget.get("x", 0):
            yield f"{path}: it reaches beyond the 24 columns"
        if properties.get("view", "timeSeries") not in VIEWS.get(kind, {"timeSeries"}):
            yield f"{path}/properties/view: {properties['view']!r} is no view of this widget"
        if kind == "metric":
            yield from _metric_problems(f"{path}/properties/metrics", properties.get("metrics", []))


def metrics(rows: Sequence[Sequence[Any]]) -> Iterator[list[str]]:
    """The metrics of a widget, each with namespace, name and dimensions in full; expressions are left out.

    `.` repeats what stands there in the row before, `...` all that is not said.
    """
    before: list[str] = []
    for row in rows:
        parts = [part for part in row if isinstance(part, str)]
        if not parts:
            continue
        if parts[0] == "...":
            parts = [*before[: len(before) - len(parts) + 1], *parts[1:]]
        before = [before[place] if part == "." else part for place, part in enumerate(parts)]
        yield before


def arithmetic_problems(queries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what is wrong with the metrics of an alarm on metric math."""
    ids = [query["Id"] for query in queries]
    yield from (f"The id {name} is given twice" for name in sorted({name for name in ids if ids.count(name) > 1}))
    if queries and sum(query.get("ReturnData", True) for query in queries) != 1:
        yield "Exactly one element of the metrics list should return data"
    for query in queries:
        if ("Expression" in query) == ("MetricStat" in query):
            yield f"{query['Id']} must have either an expression or a metric"
        words = set(WORD.findall(FUNCTION.sub("", query.get("Expression", ""))))
        yield from (f"The expression of {query['Id']} names {word}, no id" for word in sorted(words - set(ids)))


def _unknown(path: str, names: set[str]) -> Iterator[str]:
    yield from (f"{path}/{name} is unknown" for name in sorted(names))


def _metric_problems(path: str, rows: list[list[Any]]) -> Iterator[str]:
    for index, row in enumerate(rows):
        options = row[-1] if isinstance(row[-1], dict) else {}
        yield from _unknown(f"{path}/{index}", set(options) - RENDERING)
        if not any(isinstance(part, str) for part in row) and "expression" not in options:
            yield f"{path}/{index}: neither a metric nor an expression"
    try:
        yield from (f"{path}: a metric has a dimension without value" for metric in metrics(rows) if len(metric) % 2)
    except IndexError:
        yield f"{path}: '.' repeats what no row before says"
