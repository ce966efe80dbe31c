"""List prices of AWS: those of us-east-1 in US dollars, without taxes, discounts and free tiers.

Source: AWS's pricing pages of EC2, EBS, VPC, Elastic Load Balancing, Aurora, EFS, KMS, Secrets Manager, CloudWatch,
Step Functions and Lambda, as they were at `AS_OF`. docs/costs.md is made from them.
"""

from __future__ import annotations

AS_OF = "2025"
REGION = "us-east-1"

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


def instance_hour(kind: str) -> float | None:
    """Return the price of an hour of an instance type; None where the list has none for it."""
    family, _, size = kind.partition(".")
    large = LARGE_HOUR.get(family)
    multiple = size.removesuffix("xlarge")
    if large is None or not (size == "large" or (size.endswith("xlarge") and (multiple.isdigit() or not multiple))):
        return None
    return large if size == "large" else large * 2 * int(multiple or 1)
