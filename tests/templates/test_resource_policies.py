"""What resources say themselves of who may use them: keys, bucket, topic and file system; and whom roles trust."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.templates import APPLICATION, FOUNDATION, TEMPLATES, render, resources, statements
from tests.templates.test_cloudformation_role import PERMISSIONS

ACCOUNT = "arn:aws-us-gov:iam::123456789012:root"
NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "key of the application": APPLICATION["Resources"]["Key"]["Properties"]["KeyPolicy"],
    "key of a cluster": FOUNDATION["Resources"]["Key"]["Properties"]["KeyPolicy"],
    "bucket": APPLICATION["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"],
    "topic": APPLICATION["Resources"]["TopicPolicy"]["Properties"]["PolicyDocument"],
    "file system": FOUNDATION["Resources"]["FileSystem"]["Properties"]["FileSystemPolicy"],
}
PUBLISHERS = {"events.amazonaws.com"}
if resources(APPLICATION, "AWS::CloudWatch::Alarm"):
    PUBLISHERS.add("cloudwatch.amazonaws.com")


def test_every_policy_of_a_resource_is_looked_at() -> None:
    found = [
        (logical_id, key)
        for template in TEMPLATES.values()
        for logical_id, item in template["Resources"].items()
        for key in item.get("Properties", {})
        if key.endswith("Policy")
        and isinstance(item["Properties"][key], dict)
        and "Statement" in item["Properties"][key]
    ] + [
        name
        for template in TEMPLATES.values()
        for name in resources(template, "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
    ]
    assert len(found) == len(DOCUMENTS), found


@pytest.mark.parametrize("name", ["key of the application", "key of a cluster"])
def test_a_key_leaves_the_rest_to_the_policies_of_its_account(name: str) -> None:
    """Without this statement no one could use the key, or change its policy, ever again."""
    assert render(DOCUMENTS[name]["Statement"][0]) == {
        "Sid": "IamPoliciesOfThisAccount",
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT},
        "Action": "kms:*",
        "Resource": "*",
    }


def test_the_key_of_the_application_works_for_three_services_and_whoever_uses_them_here() -> None:
    *others, notices = render(DOCUMENTS["key of the application"]["Statement"][1:])
    assert [(each["Sid"], each["Principal"], each["Condition"]) for each in others] == [
        (
            "ThroughTheTableAndTheTopic",
            {"AWS": "*"},
            {
                "StringEquals": {
                    "kms:CallerAccount": "123456789012",
                    "kms:ViaService": ["dynamodb.ap-southeast-2.amazonaws.com", "sns.ap-southeast-2.amazonaws.com"],
                }
            },
        ),
        (
            "Logs",
            {"Service": "logs.ap-southeast-2.amazonaws.com"},
            {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": "arn:aws-us-gov:logs:ap-southeast-2:123456789012:log-group:*"
                }
            },
        ),
    ]
    assert _services(notices) == PUBLISHERS
    # EventBridge does not say for whom it publishes.
    assert notices["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}
    assert all(
        "kms:*" not in each["Action"] and not any("Put" in action for action in each["Action"])
        for each in (*others, notices)
    )


def test_the_key_of_a_cluster_works_for_the_stack_that_made_it_and_the_logs_of_its_nodes() -> None:
    """CloudFormation's role does with it what the handlers of keys do; the role's own policies only look and create."""
    handlers = {action for actions in PERMISSIONS["AWS::KMS::Key"].values() for action in actions}
    by_its_policies = {
        action
        for statement in statements(APPLICATION)
        if (statement.where, statement.sid) in (("CloudFormationStoragePolicy", sid) for sid in ("MakeAKey", "SeeKeys"))
        for action in statement.actions
    }
    role = {"Ref": "CloudFormationRoleArn"}
    keys, use, logs = DOCUMENTS["key of a cluster"]["Statement"][1:]
    assert (keys["Principal"], use["Principal"]) == ({"AWS": role}, {"AWS": role})
    assert set(keys["Action"]) == handlers - by_its_policies
    assert set(use["Action"]) == {
        f"kms:{action}" for action in ("CreateGrant", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
    }
    assert list(render(use["Condition"])["StringEquals"]) == ["kms:ViaService"]
    assert (render(logs["Principal"]), render(logs["Condition"])) == (
        {"Service": "logs.ap-southeast-2.amazonaws.com"},
        {
            "ArnEquals": {
                "kms:EncryptionContext:aws:logs:arn": "arn:aws-us-gov:logs:ap-southeast-2:123456789012"
                ":log-group:/Application/Cluster/nodes"
            }
        },
    )


@pytest.mark.parametrize("name", ["bucket", "topic", "file system"])
def test_no_one_comes_without_tls(name: str) -> None:
    (deny,) = [each for each in DOCUMENTS[name]["Statement"] if each["Effect"] == "Deny"]
    assert (deny["Sid"], deny["Principal"] in ("*", {"AWS": "*"}), deny["Condition"]) == ("OnlyTls", True, NO_TLS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_policy_of_a_resource_lets_everyone_in(name: str) -> None:
    """Everyone is denied something, or is someone of this account."""
    open_to_all = [
        each["Sid"]
        for each in render(DOCUMENTS[name]["Statement"])
        if each["Effect"] == "Allow" and "*" in str(each["Principal"])
        if each.get("Condition", {}).get("StringEquals", {}).get("kms:CallerAccount") != "123456789012"
    ]
    assert open_to_all == []


def test_only_who_has_something_to_report_publishes_by_the_policy_of_the_topic() -> None:
    allowed = [each for each in DOCUMENTS["topic"]["Statement"] if each["Effect"] == "Allow"]
    assert {service for each in allowed for service in _services(each)} == PUBLISHERS
    assert {each["Action"] for each in allowed} == {"sns:Publish"}


def test_services_that_say_for_whom_they_come_are_trusted_for_this_account_only() -> None:
    """Step Functions and Scheduler do, of CloudFormation it is not known; to Lambda and EC2, the role was passed in its
    own account.
    """
    conditions = {
        name: (statement["Principal"]["Service"], render(statement.get("Condition")))
        for template in TEMPLATES.values()
        for name, item in resources(template, "AWS::IAM::Role").items()
        for statement in item["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    bound = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    stacks = render(
        {"Fn::Sub": "arn:aws-us-gov:cloudformation:ap-southeast-2:123456789012:stack/${AWS::StackName}-*/*"}
    )
    saying = {
        "states.amazonaws.com": bound,
        "scheduler.amazonaws.com": bound,
        "cloudformation.amazonaws.com": {
            "StringEqualsIfExists": bound["StringEquals"],
            "ArnLikeIfExists": {"aws:SourceArn": stacks},
        },
    }
    assert {name: found for name, (_, found) in conditions.items()} == {
        name: saying.get(service) for name, (service, _) in conditions.items()
    }


def _services(statement: dict[str, Any]) -> set[str]:
    named = statement["Principal"]["Service"]
    return {named} if isinstance(named, str) else set(named)
