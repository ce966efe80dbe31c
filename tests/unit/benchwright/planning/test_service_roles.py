"""Service-linked roles are made once, whoever made them, before a service needs its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.planning import service_roles
from tests.unit.benchwright.conversation import Conversation, refusal

EACH = [f"{name}.amazonaws.com" for name in ("autoscaling", "backup", "elasticfilesystem", "rds", "ssm")]


def test_what_is_missing_is_made_and_what_is_there_stays(aws: Conversation) -> None:
    def create(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        service = asked["AWSServiceName"]
        if service.startswith("rds"):
            return refusal("InvalidInput", "Service role name AWSServiceRoleForRDS has been taken in this account")
        return {"Role": {"Arn": f"arn:aws:iam::123456789012:role/aws-service-role/{service}/AWSServiceRoleForIt"}}

    aws.answers["CreateServiceLinkedRole"] = create
    service_roles.ensure()
    assert aws.calls == [("CreateServiceLinkedRole", {"AWSServiceName": service}) for service in EACH]


def test_what_an_account_forbids_is_logged_and_keeps_nothing_from_going_on(
    aws: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    """IAM refuses before it looks whether the role exists."""
    aws.answers["CreateServiceLinkedRole"] = refusal(
        "AccessDenied", "with an explicit deny in a service control policy"
    )
    service_roles.ensure()
    assert aws.calls == [("CreateServiceLinkedRole", {"AWSServiceName": service}) for service in EACH]
    logged = [(record.levelname, record.__dict__["service_name"]) for record in caplog.records]
    assert logged == [("WARNING", service) for service in EACH]
    assert all("explicit deny" in record.__dict__["reason"] for record in caplog.records)


def test_what_else_fails_ends_the_step(aws: Conversation) -> None:
    aws.answers["CreateServiceLinkedRole"] = refusal("ServiceFailure", "unknown error")
    with pytest.raises(ClientError, match="ServiceFailure"):
        service_roles.ensure()
