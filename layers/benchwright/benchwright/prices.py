"""List prices of AWS: those of us-east-1 in US dollars, without taxes, discounts and free tiers.

Source: AWS's pricing pages of EC2, EBS, VPC, Elastic Load Balancing, Aurora, EFS, KMS, Secrets Manager, CloudWatch,
Step Functions and Lambda, as they were at `AS_OF`. docs/costs.md is made from them.
"""

import math
from typing import NamedTuple

AS_OF = "2025"
REGION = "us-east-1"
LIST = f"list prices of {REGION} of {AS_OF}, without sessions, traffic and what clusters share"

HOURS = 730  # of a month

# On demand, with Linux, of the size `large` of each family. The price grows with the size.
LARGE_HOUR = {
    "c5": 0.085,
    "c6i": 0.085,
    "c7i": 0.08925,
    "m5": 0.096,
    "m6i": 0.096,
    "m7i": 0.1008,
    "m7i-flex": 0.09576,
    "r5": 0.126,
    "r6i": 0.126,
    "r7i": 0.1323,
}
GP3_GB_MONTH = 0.08
SNAPSHOT_GB_MONTH = 0.05
NAT_HOUR = 0.045
ADDRESS_HOUR = 0.005
LOAD_BALANCER_HOUR = 0.0225
ACU_HOUR = 0.12
AURORA_GB_MONTH = 0.10
EFS_GB_MONTH = 0.30
KEY_MONTH = 1.00
SECRET_MONTH = 0.40
ALARM_METRIC_MONTH = 0.10
CUSTOM_METRIC_MONTH = 0.30
DASHBOARD_MONTH = 3.00
LOG_GB_MONTH = 0.03
METRIC_READ = 0.01 / 1000  # of GetMetricData
TRANSITION = 0.025 / 1000
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20 / 1_000_000

# What a cluster is made of. tests/documentation/costs.py compares it with the templates.
ROOT_VOLUME_GB = 100
DATABASE_INSTANCES, KEYS, SECRETS, DASHBOARDS = 2, 1, 3, 1
ALARMS, WATCHED = 13, 16  # and the metrics that they watch
MEASURED = 4  # metrics of the CloudWatch agent, of each node and of their group
PROBED = 2  # WorkbenchAnswers and ActiveSessions of the cluster; each node has the first for itself, too
HEALINGS = 8760  # a month: each reads a metric of every node


class Line(NamedTuple):
    """A line of the monthly bill."""

    what: str
    arithmetic: str
    dollars: float


def line(what: str, *factors: float) -> Line:
    """Return a line of the bill, the product of its factors."""
    return Line(what, " × ".join(f"{factor:g}" for factor in factors), math.prod(factors))


def of_cluster(nodes: int, kind: str, gigabytes: int, least: float, *, has_address: bool) -> list[Line] | None:
    """Return what a cluster costs in a month without sessions; None where the list has no price of the nodes.

    gigabytes: of the disk of a node. least: capacity units that each database instance keeps. Without nodes there is
    nothing that watches them: a cluster that was destroyed and kept its data.
    """
    if (hour := instance_hour(kind)) is None and nodes:
        return None
    address = [line("load balancer", LOAD_BALANCER_HOUR, HOURS)] if has_address else []
    watching = [
        line(f"{ALARMS} alarms on {WATCHED} metrics", WATCHED, ALARM_METRIC_MONTH),
        line(f"{MEASURED} metrics of each node and their group", MEASURED, nodes + 1, CUSTOM_METRIC_MONTH),
        line(f"{nodes + PROBED} metrics of the probe", nodes + PROBED, CUSTOM_METRIC_MONTH),
        line("dashboard", DASHBOARDS, DASHBOARD_MONTH),
        line("healing: a metric of each node is read every 5 minutes", nodes, HEALINGS, METRIC_READ),
    ]
    return [
        line(f"{nodes} nodes, {kind}", nodes, hour or 0, HOURS),
        line(f"their disks, {gigabytes} GB gp3 each", nodes, gigabytes, GP3_GB_MONTH),
        line(f"Aurora, {DATABASE_INSTANCES} instances of {least} ACU", DATABASE_INSTANCES, least, ACU_HOUR, HOURS),
        *address,
        line(f"{KEYS} key in KMS", KEYS, KEY_MONTH),
        line(f"{SECRETS} secrets", SECRETS, SECRET_MONTH),
        *(watching if nodes else []),
    ]


def instance_hour(kind: str) -> float | None:
    """Return the price of an hour of an instance type; None where the list has none for it."""
    family, _, size = kind.partition(".")
    large = LARGE_HOUR.get(family)
    multiple = size.removesuffix("xlarge")
    if large is None or not (size == "large" or (size.endswith("xlarge") and (multiple.isdigit() or not multiple))):
        return None
    return large if size == "large" else large * 2 * int(multiple or 1)
