"""Who may do what: every role, its boundary, whom it trusts, and what it may write."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.templates import (
    APPLICATION,
    FOUNDATION,
    PSEUDO_PARAMETERS,
    TEMPLATES,
    Statement,
    policy_documents,
    render,
    resources,
    statements,
    translated,
)

READS = ("Describe", "Get", "List", "Query", "Scan")
BOUNDARY = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}

# Writing actions that are allowed on every resource, and why.
WITHOUT_RESOURCE = {
    "a certificate has no ARN before it is requested, and SetWebACL knows no resource": {
        "acm:RequestCertificate",
        "elasticloadbalancing:SetWebAcl",
    },
    "Step Functions sets up log delivery; the actions have no resource level": {
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    },
    "traces have no resource level": {"xray:PutTelemetryRecords", "xray:PutTraceSegments"},
    "Lambda makes network interfaces, and its check of the role names no resource": {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
    },
    "a file system and a key have no resource before they exist": {
        "elasticfilesystem:CreateFileSystem",
        "kms:CreateKey",
    },
    "metrics have no resource level; a condition names their namespace": {"cloudwatch:PutMetricData"},
    "the agent of Systems Manager speaks for the instance that it runs on": {
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:SendReply",
        "ssm:UpdateAssociationStatus",
        "ssm:UpdateInstanceAssociationStatus",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    },
}


def test_no_role_exists_that_the_templates_do_not_spell_out() -> None:
    assert set(resources(translated(), "AWS::IAM::Role")) == set(resources(APPLICATION, "AWS::IAM::Role"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_boundary_reaches_every_role(name: str) -> None:
    roles = resources(TEMPLATES[name], "AWS::IAM::Role")
    assert {role: item["Properties"].get("PermissionsBoundary") for role, item in roles.items()} == dict.fromkeys(
        roles, BOUNDARY
    )


def test_the_role_of_nodes_lies_below_its_cluster_and_all_others_directly_below_the_application() -> None:
    """CloudFormation's role may write IAM below /application/cluster/ and not directly below /application/."""
    named = ("AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role")
    application = {item["Properties"]["Path"]["Fn::Sub"] for item in resources(APPLICATION, *named).values()}
    foundation = {item["Properties"]["Path"]["Fn::Sub"] for item in resources(FOUNDATION, *named).values()}
    assert (application, foundation) == ({"/${AWS::StackName}/"}, {"/${Application}/${Cluster}/"})
    written = {
        str(resource)
        for statement in statements(APPLICATION)
        if statement.where.startswith("CloudFormation")
        for resource in render(list(statement.resources))
        if ":iam:" in str(resource)
    }
    account = "arn:aws-us-gov:iam::123456789012"
    assert written == {
        f"{account}:role/{PSEUDO_PARAMETERS['AWS::StackName']}/*/*",
        f"{account}:instance-profile/{PSEUDO_PARAMETERS['AWS::StackName']}/*/*",
        f"{account}:role/aws-service-role/*",
    }


def test_each_role_trusts_one_service() -> None:
    trusted = {
        name: _service(item["Properties"]["AssumeRolePolicyDocument"])
        for template in TEMPLATES.values()
        for name, item in resources(template, "AWS::IAM::Role").items()
    }
    functions = (
        "ResolvePlan",
        "BuildImage",
        "DeployStack",
        "CreateDatabase",
        "RequestCertificate",
        "ConfigureNodes",
        "VerifyCluster",
        "DestroyCluster",
        "ExplainFailure",
        "WriteReport",
        "HealNodes",
    )
    assert trusted == {
        **{f"{name}Role": "lambda.amazonaws.com" for name in functions},
        "DeployRole": "states.amazonaws.com",
        "VerifyRole": "states.amazonaws.com",
        "DestroyRole": "states.amazonaws.com",
        "VerifyScheduleRole": "scheduler.amazonaws.com",
        "RebuildScheduleRole": "scheduler.amazonaws.com",
        "HealScheduleRole": "scheduler.amazonaws.com",
        "CloudFormationRole": "cloudformation.amazonaws.com",
        "BuildInstanceRole": "ec2.amazonaws.com",
        "NodeRole": "ec2.amazonaws.com",
    }


def test_each_function_has_a_role_of_its_own() -> None:
    functions = resources(APPLICATION, "AWS::Serverless::Function")
    assert {name: item["Properties"]["Role"] for name, item in functions.items()} == {
        name: {"Fn::GetAtt": [f"{name}Role", "Arn"]} for name in functions
    }


def test_whoever_writes_names_what_it_writes() -> None:
    written = {
        action
        for statement in _every_statement()
        if "*" in statement.resources
        for action in statement.actions
        if not action.split(":")[1].startswith(READS)
    }
    assert written == set().union(*WITHOUT_RESOURCE.values())


def test_no_action_stands_for_others_but_in_reading() -> None:
    assert [
        (statement.where, action)
        for statement in _every_statement()
        for action in statement.actions
        if "*" in action and not action.split(":")[1].startswith("Describe")
    ] == []


def test_a_condition_on_all_values_does_not_hold_where_there_are_none() -> None:
    """ForAllValues is true of a request without the key (IAM user guide, "Multivalued context keys")."""
    by_all = [
        (statement.sid, {key for name, keys in statement.condition.items() if "ForAllValues" in name for key in keys})
        for statement in _every_statement()
        if statement.effect == "Allow"
    ]
    given = {
        statement.sid: {key for key, value in statement.condition.get("Null", {}).items() if value == "false"}
        for statement in _every_statement()
    }
    assert [sid for sid, keys in by_all if keys and not keys & given[sid]] == []
    assert [sid for sid, keys in by_all if keys] == ["ValidationRecords", "RecordsOfHostNames"]


def test_a_role_is_passed_only_to_the_service_that_needs_it() -> None:
    passed = {
        statement.where: (render(list(statement.resources)), statement.condition)
        for statement in _every_statement()
        if "iam:PassRole" in statement.actions
    }
    to_cloudformation = (
        ["CloudFormationRole.Arn"],
        {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    )
    assert passed == {
        "DeployStackRole": to_cloudformation,
        "DestroyClusterRole": to_cloudformation,
        "CloudFormationIdentityPolicy": (
            [f"arn:aws-us-gov:iam::123456789012:role/{PSEUDO_PARAMETERS['AWS::StackName']}/*/*"],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
    }


def test_with_a_boundary_cloudformation_makes_no_role_without_it() -> None:
    """Nor does it take the boundary away: that right exists only where there is no boundary."""
    bounded = [s for s in statements(APPLICATION) if "iam:CreateRole" in s.actions]
    assert [(set(s.actions), render(s.condition)) for s in bounded] == [
        (
            {
                "iam:CreateRole",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:UpdateAssumeRolePolicy",
            },
            {"StringEquals": {"iam:PermissionsBoundary": "PermissionsBoundary"}},
        )
    ]
    document = dict(policy_documents(APPLICATION))["CloudFormationIdentityPolicy"]
    removal = [item["Fn::If"] for item in document["Statement"] if "Fn::If" in item]
    assert [(condition, with_boundary, without["Action"]) for condition, with_boundary, without in removal] == [
        ("HasPermissionsBoundary", {"Ref": "AWS::NoValue"}, "iam:DeleteRolePermissionsBoundary")
    ]


def test_only_nodes_the_database_function_and_cloudformation_may_read_secrets() -> None:
    assert {
        statement.where for statement in _every_statement() if "secretsmanager:GetSecretValue" in statement.actions
    } == {
        "NodePolicy",
        "CreateDatabaseRole",
        "CloudFormationStoragePolicy",  # to regenerate a value it reads the template of the old one
    }


def _every_statement() -> list[Statement]:
    return [statement for template in TEMPLATES.values() for statement in statements(template)]


def _service(document: dict[str, Any]) -> str:
    (statement,) = document["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    service: str = statement["Principal"]["Service"]
    return service
