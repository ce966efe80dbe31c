"""What state CloudWatch gives an alarm, by the metrics that were published.

Sources: Amazon CloudWatch user guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" and
"Using math expressions with CloudWatch metrics". A metric is found by its namespace, its name and exactly its
dimensions; periods begin at multiples of their length; only periods that are over count.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from moto.cloudwatch.models import cloudwatch_backends

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
EXTRA_PERIODS: Final = 2
"""How many periods more than the alarm has CloudWatch looks at; it says that there are some, and not how many."""

STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": sum,
}
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
OPERATORS: Final[Mapping[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}

type Series = dict[float, float]
"""Values by the beginning of their periods; a period without a value is missing."""


class Metric(NamedTuple):
    """What identifies a metric: it is another one if any of these differs."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> "Metric":
        """In the form of CloudWatch's API: Namespace, MetricName and Dimensions."""
        dimensions = frozenset((each["Name"], each["Value"]) for each in shown.get("Dimensions", []))
        return cls(shown["Namespace"], shown["MetricName"], dimensions)


@dataclass(frozen=True)
class Datum:
    """A value that was published."""

    metric: Metric
    at: datetime
    value: float


def published(account: str, region: str) -> list[Datum]:
    """Every value that was published in an account, in the order in which it arrived."""
    return [
        Datum(Metric(each.namespace, each.name, frozenset((own.name, own.value) for own in each.dimensions)), at, value)
        for each in list(cloudwatch_backends[account][region].metric_data)
        for at, value in [(each.timestamp.replace(tzinfo=UTC), each.value)]  # moto keeps UTC without saying so
    ]


def metrics_of(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Namespace, MetricName, Dimensions, Stat and Period of each metric that an alarm of DescribeAlarms asks for."""
    if queries := alarm.get("Metrics"):
        stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
        return [{**stat["Metric"], "Stat": stat["Stat"], "Period": stat["Period"]} for stat in stats]
    own = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions", "Period")}
    return [{**own, "Stat": alarm["Statistic"]}]


def state(alarm: Mapping[str, Any], data: Iterable[Datum], at: datetime, before: str = INSUFFICIENT_DATA) -> str:
    """The state of an alarm of DescribeAlarms at a time, when its state was `before`."""
    periods = {metric["Period"] for metric in metrics_of(alarm)}
    assert len(periods) == 1, "the metrics of an alarm have one period here"
    (period,) = periods
    count = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm") or count
    end = at.timestamp() // period * period
    times = [end - period * number for number in range(1, count + EXTRA_PERIODS + 1)]  # the newest first
    series = _series(alarm, list(data), times, period)
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    points = [compare(series[time], alarm["Threshold"]) if time in series else None for time in times]
    return _judged(points, count, needed, alarm.get("TreatMissingData", "missing"), before)


def _judged(points: Sequence[bool | None], count: int, needed: int, treatment: str, before: str) -> str:
    """points: whether each breaches, the newest first; None is missing. Missing ones are filled only where too few are
    there.
    """
    if None not in points[:count]:
        return ALARM if sum(map(bool, points[:count])) >= needed else OK
    real = [point for point in points if point is not None]
    if len(real) >= count:
        return ALARM if sum(real[:count]) >= needed else OK
    missing = count - len(real)
    if treatment == "breaching":
        return ALARM if sum(real) + missing >= needed else OK
    if treatment == "notBreaching":
        return ALARM if sum(real) >= needed else OK
    if sum(real) >= needed:
        return ALARM
    if count - sum(real) - missing > count - needed:  # it could not breach, whatever the missing ones are
        return OK
    if treatment == "ignore":
        return before
    return INSUFFICIENT_DATA if not real else (OK if not all(real) else before)


def _series(alarm: Mapping[str, Any], data: Sequence[Datum], times: Sequence[float], period: int) -> Series:
    if not alarm.get("Metrics"):
        (metric,) = metrics_of(alarm)
        return _of_metric(metric, data, times, period)
    named: dict[str, Series] = {}
    for query in alarm["Metrics"]:
        if stat := query.get("MetricStat"):
            named[query["Id"]] = _of_metric({**stat["Metric"], "Stat": stat["Stat"]}, data, times, period)
    (returned,) = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]
    if "Expression" not in returned:
        return named[returned["Id"]]
    tree = ast.parse(returned["Expression"].strip(), mode="eval").body
    # A number has no time of its own: there are values where a metric has one.
    known = {time for each in named.values() for time in each}
    found = {time: _value(tree, named, time) for time in times if time in known}
    return {time: value for time, value in found.items() if value is not None}


def _of_metric(metric: Mapping[str, Any], data: Sequence[Datum], times: Sequence[float], period: int) -> Series:
    wanted = Metric.read(metric)
    values: dict[float, list[float]] = {}
    for datum in data:
        if datum.metric == wanted:
            values.setdefault(datum.at.timestamp() // period * period, []).append(datum.value)
    return {time: float(STATISTICS[metric["Stat"]](values[time])) for time in times if time in values}


def _value(node: ast.expr, named: Mapping[str, Series], time: float) -> float | None:
    """The value of an expression at a time; None where a metric in it has none. FILL and IF are what is understood."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return named[name].get(time)
        case ast.Call(func=ast.Name(id="FILL"), args=[ast.Name(id=name), filling]):
            return named[name].get(time, _value(filling, named, time))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            if (holds := _value(condition, named, time)) is None:
                return None
            return _value(then if holds else otherwise, named, time)
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            first, second = _value(left, named, time), _value(right, named, time)
            return None if first is None or second is None else float(OPERATORS[type(op)](first, second))
    raise ValueError(f"the rehearsal does not understand {ast.unparse(node)}")
