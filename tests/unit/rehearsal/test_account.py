"""What a person orders with --account, and an account in which no service was used before."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.account import SETTLING_SECONDS, role_works
from rehearsal.initial_account import AccountGrammarError, InitialAccount

WAIT = "Unable to create the resource. Verify that you have permission to create service linked role"


@pytest.mark.parametrize(
    "given", [{"vcpu": 4}, {"vcpus": True}, {"new": 1}, {"subnets": 7}, {"subnets": "3"}, {"subnets": 3.0}]
)
def test_an_account_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(AccountGrammarError):
        InitialAccount.parse(given)


@pytest.fixture
def new(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    services = ("rehearsal.aws.services.rds", "rehearsal.aws.services.account")
    initial_account = getattr(request, "param", InitialAccount(new=True))
    with mock.patch.dict(os.environ):
        aws = LocalAws(clock=Clock(math.inf), directory=tmp_path, modules=services, initial_account=initial_account)
        aws.start()
        try:
            with aws.clock.busy():  # time passes only where a test lets it
                yield aws
        finally:
            aws.stop()


def refusal(aws: LocalAws) -> str:
    """What RDS says of a database that lacks a master password, where it comes to look at it."""
    with pytest.raises(ClientError) as caught:
        aws.client("rds").create_db_cluster(DBClusterIdentifier="a", Engine="aurora-postgresql", EngineVersion="17.7")
    return str(caught.value)


def test_a_service_cannot_work_with_its_role_at_once(new: LocalAws) -> None:
    assert WAIT in refusal(new)  # which makes the role, as the first use of a service does
    new.clock.sleep(SETTLING_SECONDS)
    assert WAIT not in refusal(new)
    new.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert not role_works(new, "autoscaling")
    new.clock.sleep(SETTLING_SECONDS)
    assert role_works(new, "autoscaling")
    with pytest.raises(ClientError, match="has been taken in this account"):
        new.client("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")


@pytest.mark.parametrize(
    "new", [InitialAccount(service_roles=False), InitialAccount(service_roles=False, new=True)], indirect=True
)
def test_where_a_policy_forbids_it_a_role_that_exists_works_and_none_is_created(new: LocalAws) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied.* with an explicit deny in a service control policy"):
        new.client("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    new.clock.sleep(SETTLING_SECONDS)
    assert (WAIT in refusal(new)) is new.initial_account.new
    assert role_works(new, "rds") is not new.initial_account.new
