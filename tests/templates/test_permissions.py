"""The permissions that matter, statement by statement, against a table written by hand: data/permissions.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.templates.templates import FOUNDATION, TEMPLATES, render, resources, statements

PERMISSIONS = yaml.load((Path(__file__).parent / "data" / "permissions.yaml").read_text(), yaml.CSafeLoader)
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "region", "AWS::AccountId": "account", "AWS::StackName": "app"}

# Secrets, keys, identities, commands on nodes, files, and whatever destroys; a wildcard may be any of these.
MATTERS = re.compile(
    r"(secretsmanager|kms|iam|sts):.*|ssm:SendCommand|ssm:StartSession|elasticfilesystem:Client.*"
    r"|\w+:(Delete|Deregister|Terminate|Execute|SetInstanceHealth).*|(\w+:)?\*"
)


def test_who_may_do_what_matters_is_as_the_table_says() -> None:
    said: dict[str, dict[str, Any]] = {}
    for template in TEMPLATES.values():
        for statement in statements(template):
            assert statement.effect == "Allow"
            if actions := sorted(filter(MATTERS.fullmatch, statement.actions)):
                listed = {"actions": actions, "resources": render(list(statement.resources), PSEUDO)}
                condition = {"condition": render(statement.condition, PSEUDO)} if statement.condition else {}
                policy = said.setdefault(statement.where, {})
                assert statement.sid not in policy
                policy[statement.sid] = listed | condition
    assert said == PERMISSIONS


def test_no_role_has_a_policy_that_the_table_does_not_know() -> None:
    attached = {
        name: render(role["Properties"].get("ManagedPolicyArns", []), PSEUDO)
        for template in TEMPLATES.values()
        for name, role in resources(template, "AWS::IAM::Role").items()
    }
    step, machine = ["FunctionTelemetry"], ["StateMachineTelemetry"]
    assert attached == {
        "ResolvePlanRole": step,
        "BuildImageRole": step,
        "DeployStackRole": step,
        "CreateDatabaseRole": step,
        "RequestCertificateRole": step,
        "ConfigureNodesRole": step,
        "VerifyClusterRole": step,
        "DestroyClusterRole": step,
        "ExplainFailureRole": step,
        "WriteReportRole": step,
        "HealNodesRole": step,
        "DeployRole": machine,
        "VerifyRole": machine,
        "DestroyRole": machine,
        "VerifyScheduleRole": [],
        "RebuildScheduleRole": [],
        "HealScheduleRole": [],
        "CloudFormationRole": [
            "CloudFormationDatabasePolicy",
            "CloudFormationStoragePolicy",
            "CloudFormationIdentityPolicy",
            "CloudFormationNodesPolicy",
            "CloudFormationAccessPolicy",
            "CloudFormationMonitoringPolicy",
        ],
        "BuildInstanceRole": [
            "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
            "arn:aws:iam::aws:policy/EC2InstanceProfileForImageBuilder",
        ],
        "NodeRole": [],
    }


def test_the_policy_of_files_lets_nodes_in_through_access_points_over_the_network_alone() -> None:
    deny, allow = FOUNDATION["Resources"]["FileSystem"]["Properties"]["FileSystemPolicy"]["Statement"]
    assert render(deny, PSEUDO) == {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert render(allow, PSEUDO) == {
        "Sid": "NodesThroughAccessPoints",
        "Effect": "Allow",
        "Principal": {"AWS": "NodeRole.Arn"},
        "Action": [
            "elasticfilesystem:ClientMount",
            "elasticfilesystem:ClientWrite",
            "elasticfilesystem:ClientRootAccess",
        ],
        "Resource": "*",
        "Condition": {
            "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
            "StringLike": {
                "elasticfilesystem:AccessPointArn": "arn:aws:elasticfilesystem:region:account:access-point/*"
            },
        },
    }
