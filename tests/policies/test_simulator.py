"""The simulator, asked over small documents: that it judges actions, resources, conditions, boundaries and trust."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rehearsal.judges.policies.simulator import NoSimulatorError, simulate
from tests.policies.lines import ACCOUNT, REGION, ROLE, allow, document

pytestmark = pytest.mark.judge

BUCKET = "arn:aws:s3:::mine"
READ = allow("Read", "s3:GetObject", f"{BUCKET}/ours/*")


def judged(
    *statements: Mapping[str, Any],
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/ours/one",
    context: Mapping[str, Any] | None = None,
    boundary: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    principal: str = ROLE,
) -> str:
    """What the simulator says of one request of a role with these statements."""
    identity = [{"name": "inline", "policy": document(*statements)}] if statements else []
    bounds = [{"name": "boundary", "policy": boundary}] if boundary else None
    asked = {
        "principal": principal,
        "account": ACCOUNT,
        "action": action,
        "resource": resource,
        "context": context or {},
        "resourcePolicy": policy,
    }
    (answer,) = simulate({ROLE: {"identity": identity, "boundary": bounds}}, [asked])
    return answer.result


def test_an_action_is_allowed_on_what_the_statement_names_and_on_nothing_else() -> None:
    assert judged(READ) == "Allowed"
    assert judged(READ, resource=f"{BUCKET}/theirs/one") == "ImplicitlyDenied"
    assert judged(READ, action="s3:PutObject") == "ImplicitlyDenied"


def test_a_condition_must_hold() -> None:
    start = allow(
        "Start",
        "ssm:SendCommand",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*",
        Condition={"StringEquals": {"ssm:resourceTag/app": "mine"}},
    )
    instance = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
    for tags, result in (({"ssm:resourceTag/app": "mine"}, "Allowed"), ({}, "ImplicitlyDenied")):
        assert judged(start, action="ssm:SendCommand", resource=instance, context=tags) == result


def test_a_tag_counts_only_where_the_action_knows_tags_of_resources() -> None:
    """What has no resource has no tags, whatever a policy asks for."""
    tagged = {"StringEquals": {"aws:ResourceTag/app": "mine"}}
    facts = {"aws:ResourceTag/app": "mine"}
    image = f"arn:aws:ec2:{REGION}::image/ami-1"
    retire = allow("Retire", "ec2:DeregisterImage", image, Condition=tagged)
    assert judged(retire, action="ec2:DeregisterImage", resource=image, context=facts) == "Allowed"
    trace = allow("Trace", "xray:PutTraceSegments", "*", Condition=tagged)
    assert judged(trace, action="xray:PutTraceSegments", resource="*", context=facts) == "ImplicitlyDenied"


def test_a_boundary_bounds() -> None:
    assert judged(READ, boundary=document(allow("All", "s3:*", "*"))) == "Allowed"
    assert judged(READ, boundary=document(allow("Other", "ec2:*", "*"))) == "ImplicitlyDenied"


def test_a_resource_denies() -> None:
    deny = {"Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"{BUCKET}/*"}
    policy = document({**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    assert judged(READ, policy=policy, context={"aws:SecureTransport": "true"}) == "Allowed"
    assert judged(READ, policy=policy, context={"aws:SecureTransport": "false"}) == "ExplicitlyDenied"


def test_a_key_must_trust_the_account() -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    decrypt = allow("Use", "kms:Decrypt", key)
    trusting = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    assert judged(decrypt, action="kms:Decrypt", resource=key, policy=document(trusting)) == "Allowed"
    assert judged(decrypt, action="kms:Decrypt", resource=key) == "ImplicitlyDenied"


def test_a_role_is_taken_by_whom_it_trusts() -> None:
    trust = document({"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"})
    taken: dict[str, Any] = {"action": "sts:AssumeRole", "resource": ROLE, "policy": trust}
    assert judged(principal="states.amazonaws.com", **taken) == "Allowed"
    assert judged(principal="lambda.amazonaws.com", **taken) == "ImplicitlyDenied"


def test_a_public_parameter_belongs_to_no_account() -> None:
    public = f"arn:aws:ssm:{REGION}::parameter/aws/service/one"
    read = allow("Read", "ssm:GetParameter", f"arn:aws:ssm:{REGION}::parameter/aws/service/*")
    mine = allow("Read", "ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/aws/service/*")
    assert judged(read, action="ssm:GetParameter", resource=public) == "Allowed"
    assert judged(mine, action="ssm:GetParameter", resource=public) == "ImplicitlyDenied"


def test_an_encryption_context_is_a_condition_too() -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:mine"
    logs = {"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": "kms:Decrypt", "Resource": "*"}
    policy = document({**logs, "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"{group}*"}}})
    for arn, result in ((group, "Allowed"), ("arn:aws:logs:us-east-1:210987654321:log-group:mine", "ImplicitlyDenied")):
        facts = {"kms:EncryptionContext:aws:logs:arn": arn}
        asked: dict[str, Any] = {"action": "kms:Decrypt", "resource": key, "context": facts, "policy": policy}
        assert judged(principal="logs.amazonaws.com", **asked) == result


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "s3:HeadObject"},
        {"action": "s3control:GetObject"},
        {"resource": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"},
        {"context": {"ssm:resourceTag/app": "mine"}},
    ],
    ids=["action", "service", "resource", "condition key"],
)
def test_what_aws_does_not_know_is_invalid(wrong: dict[str, Any]) -> None:
    assert judged(allow("All", "*", "*"), **wrong) == "Invalid"


def test_without_the_simulator_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoSimulatorError, match="make tools"):
        simulate({}, [], tmp_path)
