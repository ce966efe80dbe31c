"""Auto Scaling: groups whose instances are real, lifecycle hooks, instance refreshes.

Everything that concerns groups is answered here; moto's groups know neither hooks at work nor time.
"""

from rehearsal.aws.local_aws import LocalAws

from .groups import Groups
from .instance_refresh import InstanceRefreshes
from .lifecycle_hooks import LifecycleHooks
from .target_groups import TargetGroups


def install(aws: LocalAws) -> None:
    """Answer the calls of Auto Scaling on this local AWS."""
    groups = Groups(aws)
    aws.machines.watchers.append(groups.notice)
    owners = groups, LifecycleHooks(aws, groups), InstanceRefreshes(aws, groups), TargetGroups(aws, groups)
    aws.server.serve("autoscaling", *owners, within=lambda: groups.lock, whole=True)
