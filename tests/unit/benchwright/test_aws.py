"""The clients of AWS services."""

import pytest

from benchwright.aws import client, session
from benchwright.settings import settings
from tests.templates.test_version import VERSION


def test_every_call_of_aws_names_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"APPLICATION": "wb", "VERSION": VERSION, "AWS_DEFAULT_REGION": "eu-west-1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("benchwright.aws._clients", {})
    for cached in (settings, session):
        cached.cache_clear()
    try:
        agent = str(vars(client("sts").meta.config)["user_agent"])
    finally:
        for cached in (settings, session):
            cached.cache_clear()
    assert f"benchwright/{VERSION}" in agent.split()


@pytest.mark.usefixtures("environment")
def test_a_service_has_one_client() -> None:
    assert client("sts") is client("sts")
    assert client("s3").meta.service_model.service_name == "s3"
