"""The table of alarms of docs/operations.md, from the templates that make them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.documentation.input_reference import escaped
from tests.documentation.pages import ROOT, headings, slug, table
from tests.templates.templates import APPLICATION, NODES, resources

NAMES = {"${AWS::StackName}": "<application>", "${Application}": "<application>", "${Cluster}": "<cluster>"}
WORDS = {
    "${AWS::StackName}-deploy": "`deploy`",
    "${AWS::StackName}-verify": "`verify`",
    "${AWS::StackName}-destroy": "`destroy`",
    " of ${AWS::StackName}": "",
    " of ${Application}": "",
    "the cluster ${Cluster}": "the cluster",
    "The cluster ${Cluster}": "The cluster",
    "${HealNodes}": "`HealNodes`",
    "${DatabaseConnectionsLimit}": "`DatabaseConnectionsLimit`",
}
"""What people read in place of what CloudFormation puts into names and descriptions."""

COMPARED = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}


def alarms() -> Iterator[dict[str, Any]]:
    """The properties of each alarm: those of a cluster, then those of the application."""
    for template in (NODES, APPLICATION):
        for resource in resources(template, "AWS::CloudWatch::Alarm").values():
            yield resource["Properties"]


def alarm_table() -> str:
    """Each alarm, the first sentence of its description, its threshold, and its section."""
    titles = {slug(heading): heading for heading in headings((ROOT / "docs/operations.md").read_text(encoding="utf-8"))}
    rows = []
    for alarm in alarms():
        text, _, anchor = _said(alarm["AlarmDescription"], WORDS).rpartition(" Runbook: docs/operations.md#")
        anchor = anchor.removesuffix(".")
        sentence = re.split(r"\.(?: |$)", text)[0]
        title = f"[{titles[anchor]}](#{anchor})"
        rows.append([f"`{_said(alarm['AlarmName'], NAMES)}`", sentence, escaped(_threshold(alarm)), title])
    return table(["alarm", "begins when", "threshold, and for how long", "section"], rows)


def _said(value: Any, words: Mapping[str, str]) -> str:
    """A text, or an Fn::Sub."""
    text: str = value["Fn::Sub"] if isinstance(value, dict) else value
    for written, said in words.items():
        text = text.replace(written, said)
    if "${" in text:
        raise ValueError(f"no words for a part of {text!r}")
    return text


def _threshold(alarm: dict[str, Any]) -> str:
    """A metric and what it is compared with, and the periods in which that must hold."""
    returned = next((metric["Label"] for metric in alarm.get("Metrics", ()) if "Expression" in metric), "")
    periods = [metric["MetricStat"]["Period"] for metric in alarm.get("Metrics", ()) if "MetricStat" in metric]
    watched, period = (returned, periods[0]) if returned else (f"`{alarm['MetricName']}`", alarm["Period"])
    limit = alarm["Threshold"]
    number = f"`{limit['Ref']}`" if isinstance(limit, dict) else f"{limit:,}"
    compared = f"{watched} {COMPARED[alarm['ComparisonOperator']]} {number}"
    return f"{compared}, {alarm['EvaluationPeriods']} × {_duration(period)}"


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"
