"""Systems Manager: documents that are checked, agents that register, Run Command and State Manager on real hosts.

moto keeps parameters and documents.
"""

from rehearsal.aws.local_aws import LocalAws

from .instances import SystemsManager
from .run_command import RunCommand


def install(aws: LocalAws) -> None:
    """Answer the calls of Systems Manager that concern documents and instances."""
    manager = SystemsManager(aws)
    commands = RunCommand(aws, manager.prepare, manager.select)
    associations = manager.associations
    for parameter in ("AssociationId", "ResourceId"):
        aws.named.add(parameter, associations.known)
    aws.machines.watchers.append(manager.notice)
    aws.server.serve("ssm", manager, commands, associations)
