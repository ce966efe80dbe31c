"""What Benchwright costs, reckoned from the templates' own quantities and the list prices of `benchwright.prices`."""

from __future__ import annotations

import itertools
import json
from typing import NamedTuple

import yaml

from benchwright import prices
from benchwright.healing.decision import BETWEEN
from tests.documentation.pages import ROOT, table
from tests.templates.templates import APPLICATION, FOUNDATION, NETWORK, NODES, resources

PROBED = 2  # WorkbenchAnswers and ActiveSessions of the cluster; each node has the first for itself, too

HEALINGS = prices.HOURS * 60 // BETWEEN
BUILD_MINUTES = 17  # as long as the rehearsal lets a build take
SECOND_PER_INVOCATION = 1  # more than `make bench` measures, cold starts included


class Run(NamedTuple):
    """What a kind of execution takes, as rehearsals report it."""

    name: str
    transitions: int
    invocations: int
    builds: int


RUNS = (
    Run("a first deployment", 303, 105, 1),
    Run("the same input again", 33, 15, 0),
    Run("one node more", 51, 21, 0),
    Run("a verification", 15, 5, 0),
)


class Line(NamedTuple):
    """A line of the monthly bill."""

    what: str
    arithmetic: str
    dollars: float


def standing() -> list[Line]:
    """What a cluster with all defaults costs in a month without sessions."""
    parameters = {name: item["Default"] for name, item in APPLICATION["Parameters"].items()}
    nodes, kind = int(parameters["NodeCount"]), str(parameters["InstanceType"])
    zones = int(parameters["AvailabilityZoneCount"])
    least = float(parameters["DatabaseMinCapacity"])
    readers_and_writer = len(resources(FOUNDATION, "AWS::RDS::DBInstance"))
    gateways = [
        name
        for name, item in resources(NETWORK, "AWS::EC2::NatGateway").items()
        if zones == 3 or "Condition" not in item
    ]
    keys = len(resources(APPLICATION, "AWS::KMS::Key")) + len(resources(FOUNDATION, "AWS::KMS::Key"))
    secrets = len(resources(FOUNDATION, "AWS::SecretsManager::Secret")) + 1  # and the master's, which RDS makes
    with_address = ("HasBalancedTargets", "HasCertificate")
    watch = [template["Resources"].values() for template in (APPLICATION, NODES)]
    alarms = [
        item
        for item in itertools.chain(*watch)
        if item["Type"] == "AWS::CloudWatch::Alarm" and item.get("Condition") not in with_address
    ]
    watched = sum(
        sum("MetricStat" in metric for metric in alarm["Properties"].get("Metrics", [])) or 1 for alarm in alarms
    )
    agent = ROOT / "image/files/usr/local/share/benchwright/cloudwatch-agent.json"
    measured = json.loads(agent.read_text())["metrics"]["metrics_collected"].values()
    measurements = sum(len(each["measurement"]) for each in measured)
    gigabytes = yaml.safe_load((ROOT / "image" / "recipe.yaml").read_text())["block_devices"][0]["ebs"]["volumeSize"]
    return [
        _line(f"{nodes} nodes, {kind}", (nodes, _instance_hour(kind), prices.HOURS)),
        _line(f"their disks, {gigabytes} GB gp3 each", (nodes, gigabytes, prices.GP3_GB_MONTH)),
        _line(
            f"Aurora, {readers_and_writer} instances of {least} ACU",
            (readers_and_writer, least, prices.ACU_HOUR, prices.HOURS),
        ),
        _line(f"{len(gateways)} NAT gateways", (len(gateways), prices.NAT_HOUR, prices.HOURS)),
        _line("their public addresses", (len(gateways), prices.ADDRESS_HOUR, prices.HOURS)),
        _line(f"{keys} keys in KMS", (keys, prices.KEY_MONTH)),
        _line(f"{secrets} secrets", (secrets, prices.SECRET_MONTH)),
        _line(f"{len(alarms)} alarms on {watched} metrics", (watched, prices.ALARM_METRIC_MONTH)),
        _line(
            f"{measurements} metrics of each node and their group",
            (measurements, nodes + 1, prices.CUSTOM_METRIC_MONTH),
        ),
        _line(f"{nodes + PROBED} metrics of the probe", (nodes + PROBED, prices.CUSTOM_METRIC_MONTH)),
        _line("2 dashboards, of the application and the cluster", (2, prices.DASHBOARD_MONTH)),
        _line("healing: a metric of each node is read every 5 minutes", (nodes, HEALINGS, prices.METRIC_READ)),
        _line("healing: its function, a second each time", (HEALINGS, 0.5, prices.LAMBDA_GB_SECOND)),
    ]


def standing_table() -> str:
    lines = standing()
    total = sum(line.dollars for line in lines)
    rows = [[line.what, line.arithmetic, f"{line.dollars:,.2f}"] for line in lines]
    return table(["what", "arithmetic", "USD a month"], [*rows, ["**together**", "", f"**{total:,.2f}**"]])


def brief() -> str:
    """What README.md says."""
    an_hour = sum(line.dollars for line in standing()) / prices.HOURS
    first, again, *_ = (_of_run(run) for run in RUNS)
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


def _of_run(run: Run) -> tuple[float, float, float]:
    """Dollars of a run: state transitions, functions, image."""
    memory = int(APPLICATION["Globals"]["Function"]["MemorySize"]) / 1024
    seconds = run.invocations * SECOND_PER_INVOCATION
    functions = seconds * memory * prices.LAMBDA_GB_SECOND + run.invocations * prices.LAMBDA_REQUEST
    return run.transitions * prices.TRANSITION, functions, run.builds * BUILD_MINUTES / 60 * _instance_hour("m7i.large")


def runs_table() -> str:
    """The cost of executions. A build also takes an instance for its time."""
    memory = int(APPLICATION["Globals"]["Function"]["MemorySize"]) / 1024
    rows = []
    for run in RUNS:
        machine, functions, build = _of_run(run)
        rows.append(
            [
                run.name,
                f"{run.transitions} × 0.000025 = {_small(machine)}",
                f"{run.invocations} × {SECOND_PER_INVOCATION} s × {memory} GB = {_small(functions)}",
                f"{BUILD_MINUTES} min of m7i.large = {_small(build)}" if run.builds else "",
                _small(machine + functions + build),
            ]
        )
    return table(["execution", "state transitions", "functions", "image", "USD"], rows)


def _line(what: str, factors: tuple[float, ...]) -> Line:
    product = 1.0
    for factor in factors:
        product *= factor
    return Line(what, " × ".join(f"{factor:g}" for factor in factors), product)


def _instance_hour(kind: str) -> float:
    found = prices.instance_hour(kind)
    assert found is not None, kind
    return found


def _small(dollars: float) -> str:
    return f"{dollars:.4f}" if dollars >= 0.0001 else "less than 0.0001"
