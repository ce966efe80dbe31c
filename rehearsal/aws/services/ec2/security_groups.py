"""Security groups that something still uses are not deleted; moto deletes any.

The code and the text are those of DeleteSecurityGroup (EC2 API reference, error codes: DependencyViolation).
"""

from typing import Any

from moto.ec2.models import ec2_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws


def refuse_used(aws: LocalAws, call: Call) -> Proceed:
    """DeleteSecurityGroup: not while a load balancer's interface has the group, or another group's rule names it."""
    group = call.get("GroupId")
    backend = ec2_backends[aws.account][aws.region]
    if aws.balancing:
        with aws.balancing.settled():
            pass  # interfaces whose time has come are gone now
    with aws.server.moto_lock:  # stacks delete several groups at once
        interfaces = [each for each in backend.enis.values() if each.requester_id == "amazon-elb"]
        used = any(group == each.id for interface in interfaces for each in interface.group_set)
        named = any(_names(rules, group) for rules in _rules_of_others(backend, group))
    if used or named:
        raise ServiceError("DependencyViolation", f"resource {group} has a dependent object", 400)
    return PROCEED


def _rules_of_others(backend: Any, group: str) -> list[Any]:
    return [
        rule
        for groups in backend.groups.values()
        for each in groups.values()
        if each.id != group
        for rule in (*each.ingress_rules, *each.egress_rules)
    ]


def _names(rule: Any, group: str) -> bool:
    source = rule.source_group or {}
    return bool(source.get("GroupId") == group)
