"""EC2 instances that are real: moto keeps the books, each running instance is a host.

An instance boots on the clock, runs its units and its user data, and shows its agent in Systems Manager. Who wants to
know (Systems Manager, Auto Scaling) watches.
"""

from rehearsal.aws.local_aws import LocalAws

from . import security_groups
from .instances import Machines


def install(aws: LocalAws) -> None:
    """Make instances real, and leave one AMI in the account: Ubuntu."""
    aws.machines = Machines(aws)
    aws.machines.images.publish_parent()
    aws.server.add("ec2", "GetConsoleOutput", aws.machines.get_console_output)
    aws.server.add("ec2", "DeleteSecurityGroup", lambda call: security_groups.refuse_used(aws, call))


def stop(aws: LocalAws) -> None:
    """End every host."""
    aws.machines.end()
