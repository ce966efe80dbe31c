"""Access logs: a load balancer proves that it may write into the bucket before the attribute is taken.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html: a policy of the bucket
lets the service write, the bucket is in the same region, and its only encryption is SSE-S3.
"""

import fnmatch
import json
from collections.abc import Mapping
from typing import Any

from moto.s3.models import s3_backends

from rehearsal.aws.calls import ServiceError
from rehearsal.aws.local_aws import LocalAws

WRITER = "logdelivery.elasticloadbalancing.amazonaws.com"
ACCOUNT_OF_ELB = "127311923021"  # us-east-1, of the older form of the policy


def begin(aws: LocalAws, bucket: str, prefix: str, balancer: Any) -> None:
    """Write the test file that the service writes first. Raises as AWS does where it may not."""
    if "AWSLogs" in prefix:
        raise ServiceError("InvalidConfigurationRequest", "The prefix must not contain AWSLogs")
    within = f"{prefix}/" if prefix else ""
    key = f"{within}AWSLogs/{aws.account}/ELBAccessLogTestFile"
    found = s3_backends[aws.account]["aws"].buckets.get(bucket)
    if found is None:
        raise ServiceError("InvalidConfigurationRequest", f"S3 Bucket: {bucket} does not exist")
    if found.region_name != aws.region:
        raise ServiceError(
            "InvalidConfigurationRequest",
            f"The bucket {bucket} is not in the region of the load balancer: {aws.region}",
        )
    if not _may_write(found.policy, f"arn:aws:s3:::{bucket}/{key}", aws.account, balancer.arn) or _has_key(found):
        raise ServiceError(
            "InvalidConfigurationRequest", f"Access Denied for bucket: {bucket}. Please check S3bucket permission"
        )
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=f"Enable AccessLog for ELB: {balancer.name}".encode())


def _has_key(bucket: Any) -> bool:
    """Whether a key of KMS encrypts what comes without saying how."""
    rule = (bucket.encryption or {}).get("Rule") or {}
    rules = [rule] if isinstance(rule, Mapping) else rule
    return any(
        str((each.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm", "")).startswith("aws:kms")
        for each in rules
    )


def _may_write(policy: Any, resource: str, account: str, balancer: str) -> bool:
    document = json.loads(policy) if policy else {}
    statements = document.get("Statement", [])
    statements = [statements] if isinstance(statements, Mapping) else statements
    facts = {"aws:SourceAccount": account, "aws:SourceArn": balancer}
    return any(
        statement["Effect"] == "Allow"
        and _names(statement.get("Principal"))
        and any(fnmatch.fnmatchcase("s3:PutObject", action) for action in _listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in _listed(statement["Resource"]))
        and _holds(statement.get("Condition") or {}, facts)
        for statement in statements
    )


def _names(principal: Any) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    legacy = {ACCOUNT_OF_ELB, f"arn:aws:iam::{ACCOUNT_OF_ELB}:root"}
    return WRITER in _listed(principal.get("Service", [])) or bool(legacy & set(_listed(principal.get("AWS", []))))


def _holds(conditions: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str]) -> bool:
    """Whether each condition is met; one on something else than `facts` is not, since no one has looked at it."""
    return all(
        operator in ("StringEquals", "StringLike", "ArnLike", "ArnEquals")
        and key in facts
        and any(fnmatch.fnmatchcase(facts[key], pattern) for pattern in _listed(values))
        for operator, operands in conditions.items()
        for key, values in operands.items()
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
