"""Service-linked roles are made once, whoever made them, before a service needs its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright import service_roles
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


def test_an_account_that_forbids_it_says_so_before_anything_is_made(aws: Conversation) -> None:
    aws.answers["CreateServiceLinkedRole"] = refusal(
        "AccessDenied", "with an explicit deny in a service control policy"
    )
    with pytest.raises(ClientError, match="explicit deny"):
        service_roles.ensure()
