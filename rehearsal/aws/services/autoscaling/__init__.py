"""Auto Scaling: groups whose instances are real, lifecycle hooks, instance refreshes.

Everything that concerns groups is answered here; moto's groups know neither hooks at work nor time.
"""

from rehearsal.aws.local_aws import LocalAws

from .operations import AutoScaling


def install(aws: LocalAws) -> None:
    """Answer the calls of Auto Scaling on this local AWS."""
    service = AutoScaling(aws)
    aws.machines.watchers.append(service.notice)
    aws.server.serve("autoscaling", service, within=lambda: service.lock, whole=True)
