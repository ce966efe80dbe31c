"""What Benchwright costs, reckoned from the templates' own quantities and the list prices of `benchwright.prices`."""

from __future__ import annotations

import json
import tomllib
from typing import Any, NamedTuple

from benchwright import prices
from benchwright.healing.decision import BETWEEN
from benchwright.prices import Line, line
from tests.documentation.pages import ROOT, table
from tests.templates.templates import APPLICATION, FOUNDATION, NETWORK, NODES, resources

HEALINGS = prices.HOURS * 60 // BETWEEN
BUILDER = APPLICATION["Resources"]["BuildInfrastructure"]["Properties"]["InstanceTypes"][0]
BUILD_MINUTES = 19  # as long as the rehearsal lets a build take
GIGABYTES = int(APPLICATION["Globals"]["Function"]["MemorySize"]) / 1024  # of each function
SECOND_PER_INVOCATION = 1  # more than `make bench` measures, cold starts included


class Run(NamedTuple):
    """What a kind of execution takes, as rehearsals report it."""

    name: str
    transitions: int
    invocations: int
    builds: int


RUNS = (
    Run("a first deployment", 220, 79, 1),
    Run("the same input again", 35, 16, 0),
    Run("one node more", 53, 22, 0),
    Run("a verification", 17, 6, 0),
    Run("a dry run", 11, 8, 0),
)


def quantities() -> dict[str, int]:
    """What a cluster is made of, by the names that benchwright.prices has for it, as the templates say it."""
    agent = ROOT / "image/files/usr/local/share/benchwright/cloudwatch-agent.json"
    measured = json.loads(agent.read_text())["metrics"]["metrics_collected"].values()
    block_device = tomllib.loads((ROOT / "image" / "recipe.toml").read_text())["block_devices"][0]
    alarms, watched = _alarms(NODES)
    return {
        "ROOT_VOLUME_GB": block_device["ebs"]["volumeSize"],
        "DATABASE_INSTANCES": len(resources(FOUNDATION, "AWS::RDS::DBInstance")),
        "KEYS": len(resources(FOUNDATION, "AWS::KMS::Key")),
        "SECRETS": len(resources(FOUNDATION, "AWS::SecretsManager::Secret")) + 1,  # and the master's, which RDS makes
        "DASHBOARDS": len(resources(NODES, "AWS::CloudWatch::Dashboard")),
        "ALARMS": alarms,
        "WATCHED": watched,
        "MEASURED": sum(len(each["measurement"]) for each in measured),
        "HEALINGS": HEALINGS,
    }


def _alarms(template: dict[str, Any]) -> tuple[int, int]:
    """How many alarms a template has for a cluster without an address, and how many metrics they watch."""
    with_address = ("HasBalancedTargets", "HasCertificate")
    alarms = [
        item
        for item in template["Resources"].values()
        if item["Type"] == "AWS::CloudWatch::Alarm" and item.get("Condition") not in with_address
    ]
    metrics = [sum("MetricStat" in metric for metric in item["Properties"].get("Metrics", [])) or 1 for item in alarms]
    return len(alarms), sum(metrics)


def of_cluster() -> list[Line]:
    """What a cluster with all defaults costs in a month without sessions."""
    parameters = {name: item["Default"] for name, item in APPLICATION["Parameters"].items()}
    found = prices.of_cluster(
        int(parameters["NodeCount"]),
        str(parameters["InstanceType"]),
        prices.ROOT_VOLUME_GB,
        float(parameters["DatabaseMinCapacity"]),
        has_address=False,
    )
    assert found is not None
    return found


def shared() -> list[Line]:
    """What all clusters of an application share."""
    zones = int(APPLICATION["Parameters"]["AvailabilityZoneCount"]["Default"])
    gateways = [
        name
        for name, item in resources(NETWORK, "AWS::EC2::NatGateway").items()
        if zones == 3 or "Condition" not in item
    ]
    alarms, watched = _alarms(APPLICATION)
    keys = len(resources(APPLICATION, "AWS::KMS::Key"))
    return [
        line(f"{len(gateways)} NAT gateways", len(gateways), prices.NAT_HOUR, prices.HOURS),
        line("their public addresses", len(gateways), prices.ADDRESS_HOUR, prices.HOURS),
        line("the application's key in KMS", keys, prices.KEY_MONTH),
        line(f"its {alarms} alarms on {watched} metrics", watched, prices.ALARM_METRIC_MONTH),
        line("its dashboard", 1, prices.DASHBOARD_MONTH),
        line("healing: its function, a second each time", HEALINGS, GIGABYTES, prices.LAMBDA_GB_SECOND),
    ]


def standing() -> list[Line]:
    """What a cluster with all defaults costs, and what it shares."""
    return [*of_cluster(), *shared()]


def standing_table() -> str:
    rows = []
    for name, lines in (("**the cluster**", of_cluster()), ("**what clusters share**", shared())):
        rows += [[each.what, each.arithmetic, f"{each.dollars:,.2f}"] for each in lines]
        rows.append([name, "", f"**{sum(each.dollars for each in lines):,.2f}**"])
    total = sum(each.dollars for each in standing())
    return table(["what", "arithmetic", "USD a month"], [*rows, ["**together**", "", f"**{total:,.2f}**"]])


def brief() -> str:
    """What README.md says."""
    an_hour = sum(each.dollars for each in standing()) / prices.HOURS
    first, again, *_ = (of_run(run) for run in RUNS)
    return "\n".join(
        [
            standing_table(),
            "",
            f"That is about {an_hour:.2f} for each hour without sessions. Executions cost next to nothing:",
            "",
            f"- a first deployment {100 * sum(first):.0f} cents, most of it the instance that builds the image;",
            f"- the same input again {100 * sum(again):.1f} cents.",
        ]
    )


def of_run(run: Run) -> tuple[float, float, float]:
    """Dollars of a run: state transitions, functions, image."""
    seconds = run.invocations * SECOND_PER_INVOCATION
    functions = seconds * GIGABYTES * prices.LAMBDA_GB_SECOND + run.invocations * prices.LAMBDA_REQUEST
    return run.transitions * prices.TRANSITION, functions, run.builds * BUILD_MINUTES / 60 * _instance_hour(BUILDER)


def runs_table() -> str:
    """The cost of executions. A build also takes an instance for its time."""
    rows = []
    for run in RUNS:
        machine, functions, build = of_run(run)
        rows.append(
            [
                run.name,
                f"{run.transitions} × 0.000025 = {_small(machine)}",
                f"{run.invocations} × {SECOND_PER_INVOCATION} s × {GIGABYTES:g} GB = {_small(functions)}",
                f"{BUILD_MINUTES} min of {BUILDER} = {_small(build)}" if run.builds else "",
                _small(machine + functions + build),
            ]
        )
    return table(["execution", "state transitions", "functions", "image", "USD"], rows)


def _instance_hour(kind: str) -> float:
    found = prices.instance_hour(kind)
    assert found is not None, kind
    return found


def _small(dollars: float) -> str:
    return f"{dollars:.4f}" if dollars >= 0.0001 else "less than 0.0001"
