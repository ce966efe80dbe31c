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
    # A writer took 8.5 minutes, a reader 16: bshehram/myservice-devops-aws-tf, SAMPLE_TF_APPLY.md.
    "rehearsal.aws.services.rds.instances": {"INSTANCE_SECONDS": 954},
    # More than ten minutes: hashicorp/terraform-provider-aws#15278.
    "rehearsal.aws.services.efs": {"MOUNT_TARGET_SECONDS": 720},
    # Six minutes from "running" to Online: DataDog/stratus-red-team#108.
    "rehearsal.aws.services.ec2.instances": {"ONLINE_SECONDS": 367, "TERMINATING_SECONDS": 300},
    # Thirty minutes: hashicorp/terraform#24799; more than ten: hashicorp/terraform-provider-aws#8054.
    "rehearsal.aws.services.elbv2.load_balancers": {"PROVISIONING_SECONDS": 1800},
    # Lambda ends an initialization that takes longer: Lambda developer guide, "Lambda execution environment lifecycle".
    "rehearsal.aws.services.lambdas.execution_environment": {"COLD_START_SECONDS": 10},
    # A change of a zone reaches all name servers within 60 seconds as a rule: Route 53 developer guide, GetChange.
    "rehearsal.aws.services.route53": {"INSYNC_SECONDS": 60},
}
"""The slowest that are published, by people or by AWS."""


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
