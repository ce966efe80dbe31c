"""Lines as they stand in calls.jsonl, and roles as they stand in policies.json."""

from collections.abc import Mapping
from typing import Any

from rehearsal.judges.policies.authorization import Call

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app/app-VerifyClusterRole-ABCDEFGHIJ12"


def line(
    service: str,
    operation: str,
    parameters: Mapping[str, Any],
    named: Mapping[str, Any] | None = None,
    *,
    caller: str = "VerifyCluster",
    role: str | None = ROLE,
) -> dict[str, Any]:
    return {
        "time": "2027-01-15T08:00:00.250+00:00",
        "execution": "arn:of:execution",
        "caller": caller,
        "role": role,
        "service": service,
        "operation": operation,
        "parameters": parameters,
        "outcome": "ok",
        "named": named or {},
    }


def call(service: str, operation: str, parameters: Mapping[str, Any], named: Mapping[str, Any] | None = None) -> Call:
    return Call(line(service, operation, parameters, named), REGION)


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: str | list[str], resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource, **more}


def role(service: str, *statements: Mapping[str, Any], boundary: Mapping[str, Any] | None = None) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {
        "name": "role",
        "trust": document(trust),
        "boundary": boundary,
        "inline": {"step": document(*statements)},
        "managed": {},
    }
