"""Elastic Load Balancing: Application Load Balancers, as moto keeps them, with what AWS refuses and how long it takes.

`load_balancers`, `listeners` and `target_groups` each check what moto does not look at before it answers; `targets`
has what moto has not: targets whose health is found out; `proxy` really listens and forwards, by `routing`. An
operation of another kind of load balancer is refused by name.
"""

from rehearsal.aws.local_aws import LocalAws

from .listeners import Listeners
from .load_balancers import LoadBalancers
from .model import Balancing
from .target_groups import TargetGroups
from .targets import Targets, probe

__all__ = ["Balancing", "install"]


def install(aws: LocalAws) -> None:
    """Answer the calls of Elastic Load Balancing on this local AWS."""
    balancing = Balancing(aws, probe)
    balancing.targets = Targets(balancing)
    owners = LoadBalancers(balancing), Listeners(balancing), TargetGroups(balancing), balancing.targets
    aws.server.serve("elbv2", *owners, within=balancing.settled, whole=True)
    aws.balancing = balancing


def stop(aws: LocalAws) -> None:
    """End what listens, and the health checks."""
    aws.balancing.stop()
