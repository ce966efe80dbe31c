"""An AWS that says what a test wants, for the modules that speak with it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from botocore.session import Session

from benchwright import aws as clients
from benchwright import observability
from benchwright.settings import settings
from tests.unit.benchwright.conversation import Conversation

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "APPLICATION": "wb",
    "POWERTOOLS_METRICS_NAMESPACE": "Benchwright",
    "TABLE_NAME": "clusters",
    "BUCKET_NAME": "bucket",
    "CLOUDFORMATION_ROLE_ARN": "arn:aws:iam::123456789012:role/wb/cloudformation",
    "INFRASTRUCTURE_CONFIGURATION_ARN": "arn:aws:imagebuilder:eu-west-1:123456789012:infrastructure-configuration/wb",
    "VPC_ID": "vpc-1",
    "PRIVATE_SUBNET_IDS": "subnet-1,subnet-2",
    "DATABASE_CLIENT_SECURITY_GROUP_ID": "sg-1",
    "NODE_LOG_GROUP": "/wb/nodes",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:wb-topic",
    "VERIFY_SCHEDULE_STATE": "ENABLED",
    "PARENT_IMAGE": "/aws/service/canonical/ubuntu",
    "DEFAULT_WORKBENCH_VERSION": "2026.07.1+147.pro6",
    "DEFAULT_R_VERSIONS": "4.5.1",
    "DEFAULT_PYTHON_VERSIONS": "3.13.1",
    "DEFAULT_NODE_COUNT": "2",
    "DEFAULT_INSTANCE_TYPE": "m6i.xlarge",
    "DEFAULT_DATABASE_MIN_CAPACITY": "0.5",
    "DEFAULT_DATABASE_MAX_CAPACITY": "8",
    "LOG_RETENTION_DAYS": "90",
}


@cache
def session() -> Session:
    """One for all tests: what it read of the models of AWS stays."""
    return Session()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a function, and no client of another test."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("benchwright.aws._clients", {})
    monkeypatch.setattr(observability.metrics.provider, "namespace", "Benchwright")
    for cached in (settings, clients.session):
        cached.cache_clear()
    yield
    for cached in (settings, clients.session):
        cached.cache_clear()


@pytest.fixture
def aws(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Conversation]:
    """An AWS without answers yet; nothing leaves this process."""
    conversation = Conversation()
    handlers: dict[str, Any] = {"provide-client-params": conversation.note, "before-call": conversation.answer}
    monkeypatch.setattr("benchwright.aws.session", session)
    for event, handler in handlers.items():
        session().register(event, handler)
    yield conversation
    for event, handler in handlers.items():
        session().unregister(event, handler)
