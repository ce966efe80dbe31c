"""How long AWS takes. Each service has its usual durations as constants; here they are changed, and the slowest stand.

A duration that nothing names is as long in every profile.
"""

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

type Durations = Mapping[str, Mapping[str, float]]
"""AWS seconds by the name of a module and that of its constant."""

SLOW: Final[Durations] = {
    # An image takes 15 to 45 minutes as a rule: aws/agent-toolkit-for-aws, image-builder.
    "rehearsal.aws.services.imagebuilder.build": {"BUILDING_SECONDS": 2100, "DISTRIBUTING_SECONDS": 600},
    # Cluster and instances take up to 20 minutes: aws/agent-toolkit-for-aws. The second instance came 445 seconds after
    # the first, deletion took 719: bshehram/myservice-devops-aws-tf, SAMPLE_TF_APPLY.md and SAMPLE_TF_DESTROY.md.
    "rehearsal.aws.services.rds.clusters": {"CLUSTER_SECONDS": 61},
    "rehearsal.aws.services.rds.instances": {
        "INSTANCE_SECONDS": 694,
        "FURTHER_INSTANCE_SECONDS": 445,
        "INSTANCE_DELETION_SECONDS": 719,
    },
    # A test with a snapshot took 470, and one without 167: hashicorp/terraform-provider-aws#34885 and #19413.
    "rehearsal.aws.services.rds.snapshots": {"SNAPSHOT_SECONDS": 303},
    # More than ten minutes: hashicorp/terraform-provider-aws#15278.
    "rehearsal.aws.services.efs": {"MOUNT_TARGET_SECONDS": 720},
    # Six minutes from "running" to Online: DataDog/stratus-red-team#108.
    "rehearsal.aws.services.ec2.instances": {"ONLINE_SECONDS": 367, "TERMINATING_SECONDS": 300},
    # Thirty minutes: hashicorp/terraform#24799; more than ten: hashicorp/terraform-provider-aws#8054.
    # Terraform waited 153 for the end of the interfaces of one.
    "rehearsal.aws.services.elbv2.load_balancers": {"PROVISIONING_SECONDS": 1800, "INTERFACES_GONE_SECONDS": 153},
    # "Up to a minute": cloudtools/stacker#389.
    "rehearsal.aws.services.cloudformation.api.change_sets": {"CHANGE_SET_SECONDS": 60},
    # With the health checks of a load balancer: repost.aws, QU9RKhLxhnSRGeKNlRWkP_2A.
    "rehearsal.aws.services.autoscaling.instance_refresh": {"BETWEEN_SECONDS": 90},
    # A change of IAM takes "a few seconds (usually) to a minute (rare)": DataDog/stratus-red-team#358.
    "rehearsal.aws.services.account": {"SETTLING_SECONDS": 60},
    # Lambda ends an initialization that takes longer: Lambda developer guide, "Lambda execution environment lifecycle".
    "rehearsal.aws.services.lambdas.execution_environment": {"COLD_START_SECONDS": 10},
    # A change of a zone reaches all name servers within 60 seconds as a rule: Route 53 developer guide, GetChange.
    "rehearsal.aws.services.route53": {"INSYNC_SECONDS": 60},
}
"""The slowest that are published, by people or by AWS, but for ACM: a certificate has taken more than an hour
(hashicorp/terraform-provider-aws#9338). A deployment gives up after ten minutes and says so, and the next one goes on.
"""


def change(durations: Durations) -> dict[str, dict[str, Any]]:
    """Set these from now on, in this process; return what they were. AttributeError names a constant that is gone."""
    before: dict[str, dict[str, Any]] = {}
    for name, constants in durations.items():
        module = importlib.import_module(name)
        before[name] = {constant: getattr(module, constant) for constant in constants}
        for constant, seconds in constants.items():
            setattr(module, constant, seconds)
    return before


@contextlib.contextmanager
def during(durations: Durations) -> Iterator[None]:
    """Let AWS take so long meanwhile."""
    before = change(durations)
    try:
        yield
    finally:
        change(before)
