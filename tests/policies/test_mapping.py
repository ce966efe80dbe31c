"""What IAM is asked for a call: every action, on every resource, with everything that conditions can ask for."""

import ast
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call, UnjudgedError
from rehearsal.judges.policies.mapping import authorizations
from rehearsal.judges.policies.mapping.registry import MAPPINGS
from tests.policies.lines import ACCOUNT, REGION, ROLE, call

ROOT = Path(__file__).parents[2]
PRODUCT = sorted([*ROOT.glob("layers/benchwright/benchwright/**/*.py"), *ROOT.glob("functions/*/*.py")])


def asked(made: Call) -> list[tuple[str, str]]:
    """The actions with the end of the resource's ARN, in order."""
    return [(each.action, each.resource.rpartition(":")[2]) for each in authorizations(made)]


def test_a_command_is_asked_for_the_document_and_for_each_instance_with_its_tags() -> None:
    sent = call(
        "ssm",
        "SendCommand",
        {"DocumentName": "app-doc", "InstanceIds": ["i-1", "i-2"]},
        {"i-1": {"tags": {"team": "x"}}, "i-2": {"tags": {}}},
    )
    tags = (("aws:ResourceTag/team", "x"), ("ssm:resourceTag/team", "x"))
    ec2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance"
    assert list(authorizations(sent)) == [
        Authorization(ROLE, "ssm:SendCommand", f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/app-doc"),
        Authorization(ROLE, "ssm:SendCommand", f"{ec2}/i-1", tags),
        Authorization(ROLE, "ssm:SendCommand", f"{ec2}/i-2"),
    ]


def test_a_secret_is_read_with_its_key_through_secrets_manager() -> None:
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/one/database-AbCdEf"
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    named = {"app/one/database": {"arn": secret, "tags": {"a": "b"}, "key": {"arn": key, "tags": {"c": "d"}}}}
    read = call("secretsmanager", "GetSecretValue", {"SecretId": "app/one/database"}, named)
    through = (
        ("aws:ResourceTag/c", "d"),
        ("kms:CallerAccount", ACCOUNT),
        ("kms:ViaService", f"secretsmanager.{REGION}.amazonaws.com"),
    )
    assert list(authorizations(read)) == [
        Authorization(ROLE, "secretsmanager:GetSecretValue", secret, (("aws:ResourceTag/a", "b"),)),
        Authorization(ROLE, "kms:Decrypt", key, through, key),
    ]


def test_a_key_of_aws_asks_for_nothing() -> None:
    named: dict[str, Any] = {
        "theirs": {"arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:theirs-1", "tags": {}, "key": None}
    }
    assert asked(call("secretsmanager", "GetSecretValue", {"SecretId": "theirs"}, named)) == [
        ("secretsmanager:GetSecretValue", "theirs-1")
    ]


def test_a_change_set_passes_its_role_and_looks_up_its_parameters() -> None:
    service_role = f"arn:aws:iam::{ACCOUNT}:role/app/cloudformation"
    parameters = [{"ParameterKey": "Subnets", "ParameterValue": "subnet-1,subnet-2"}, {"ParameterKey": "Previous"}]
    made = call(
        "cloudformation",
        "CreateChangeSet",
        {
            "StackName": "app-nodes",
            "RoleARN": service_role,
            "Parameters": parameters,
            "Tags": [{"Key": "a", "Value": "b"}],
        },
    )
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/app-nodes/{UNKNOWN_ID}"
    tags = (("aws:RequestTag/a", "b"), ("aws:TagKeys", ("a",)))
    assert list(authorizations(made)) == [
        Authorization(ROLE, "cloudformation:CreateChangeSet", stack, tags),
        Authorization(ROLE, "cloudformation:TagResource", stack, tags),
        Authorization(ROLE, "iam:PassRole", service_role, (("iam:PassedToService", "cloudformation.amazonaws.com"),)),
        Authorization(ROLE, "ec2:DescribeSubnets", "*"),
    ]


def test_a_group_is_asked_for_everything_that_launching_its_instances_takes() -> None:
    launched = {"image": "ami-1", "groups": ["sg-1"], "roles": [f"arn:aws:iam::{ACCOUNT}:role/app/one/node"]}
    made = call(
        "autoscaling",
        "CreateAutoScalingGroup",
        {
            "AutoScalingGroupName": "app-group",
            "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
            "VPCZoneIdentifier": "subnet-1,subnet-2",
            "Tags": [{"Key": "a", "Value": "b"}],
        },
        {"lt-1": {"tags": {}, "versions": {"1": launched}}},
    )
    assert asked(made) == [
        ("autoscaling:CreateAutoScalingGroup", "autoScalingGroupName/app-group"),
        ("autoscaling:CreateOrUpdateTags", "autoScalingGroupName/app-group"),
        ("iam:CreateServiceLinkedRole", "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
        ("ec2:RunInstances", f"instance/instance-{UNKNOWN_ID}"),
        ("ec2:RunInstances", f"network-interface/network-interface-{UNKNOWN_ID}"),
        ("ec2:RunInstances", f"volume/volume-{UNKNOWN_ID}"),
        ("ec2:RunInstances", "image/ami-1"),
        ("ec2:RunInstances", "launch-template/lt-1"),
        ("ec2:RunInstances", "security-group/sg-1"),
        ("ec2:RunInstances", "subnet/subnet-1"),
        ("ec2:RunInstances", "subnet/subnet-2"),
        ("ec2:CreateTags", f"instance/instance-{UNKNOWN_ID}"),
        ("ec2:CreateTags", f"volume/volume-{UNKNOWN_ID}"),
        ("iam:PassRole", "role/app/one/node"),
    ]


def test_a_mount_target_is_asked_for_its_address_too() -> None:
    made = call(
        "efs", "CreateMountTarget", {"FileSystemId": "fs-1", "SubnetId": "subnet-1", "SecurityGroups": ["sg-1"]}
    )
    assert asked(made) == [
        ("elasticfilesystem:CreateMountTarget", "file-system/fs-1"),
        ("ec2:DescribeSubnets", "*"),
        ("ec2:DescribeNetworkInterfaces", "*"),
        ("ec2:CreateNetworkInterface", f"network-interface/network-interface-{UNKNOWN_ID}"),
        ("ec2:CreateNetworkInterface", "subnet/subnet-1"),
        ("ec2:CreateNetworkInterface", "security-group/sg-1"),
    ]


def test_a_security_group_is_asked_for_with_its_network_and_its_tags() -> None:
    named = {"sg-1": {"tags": {"a": "b"}, "vpc": "vpc-1"}}
    made = call("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "sg-1"}, named)
    of_group, _ = authorizations(made)
    network = f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"
    assert of_group.context == (("aws:ResourceTag/a", "b"), ("ec2:Vpc", network))


@pytest.mark.parametrize("operation", ["AddTagsToResource", "DeleteAssociation", "UpdateAssociation"])
def test_an_association_is_asked_for_with_its_tags(operation: str) -> None:
    parameters = {"AssociationId": "1", "ResourceId": "1", "ResourceType": "Association", "Name": "app-doc"}
    first, *_ = authorizations(call("ssm", operation, parameters, {"1": {"tags": {"a": "b"}}}))
    assert (first.resource.rpartition(":")[2], first.context) == ("association/1", (("aws:ResourceTag/a", "b"),))


@pytest.mark.parametrize(
    ("operation", "given", "boundary"),
    [
        ("PutRolePolicy", {}, "arn:of:boundary"),
        ("PutRolePermissionsBoundary", {"PermissionsBoundary": "arn:of:another"}, "arn:of:another"),
    ],
)
def test_what_changes_a_role_is_asked_with_its_boundary(operation: str, given: dict[str, str], boundary: str) -> None:
    named = {"node": {"arn": f"arn:aws:iam::{ACCOUNT}:role/app/one/node", "boundary": "arn:of:boundary"}}
    (changed,) = authorizations(call("iam", operation, {"RoleName": "node", **given}, named))
    assert changed.context == (("iam:PermissionsBoundary", boundary),)


def test_an_operation_that_no_one_has_mapped_is_an_error_by_its_name() -> None:
    with pytest.raises(UnjudgedError, match="s3:DeleteBucket"):
        list(authorizations(call("s3", "DeleteBucket", {"Bucket": "mine"})))


def test_every_operation_of_the_product_is_mapped() -> None:
    used = {operation for path in PRODUCT for operation in _operations(path)}
    assert len(used) > 30
    # The module that calls Image Builder's CreateImage names EC2 as well.
    assert used - MAPPINGS.keys() == {("ec2", "CreateImage")}


def _operations(path: Path) -> set[tuple[str, str]]:
    """The operations that a module calls: its methods, and its paginators, of the services that it names."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    services = {word for made in calls if _name(made) == "client" for word in _words(made)}
    names = {_name(made) for made in calls} | {
        w for made in calls if _name(made) == "get_paginator" for w in _words(made)
    }
    session = botocore.session.get_session()
    return {
        (service, operation)
        for service in services
        for operation in session.get_service_model(service).operation_names
        if xform_name(operation) in names
    }


def _name(made: ast.Call) -> str:
    return made.func.attr if isinstance(made.func, ast.Attribute) else getattr(made.func, "id", "")


def _words(made: ast.Call) -> list[str]:
    return [
        argument.value
        for argument in made.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
