"""What every test has: no AWS account, a network and mounts of its own where root can make them, and examples that are
the same in every run.
"""

import contextlib
import os
import subprocess

import pytest
from hypothesis import settings

from tests.rehearsal import launcher

settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.load_profile("tests")


def pytest_configure() -> None:
    """Move the whole test run into network and mount namespaces: bridges and mounts of nodes end with it."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError, subprocess.SubprocessError):  # a test that needs them says so itself
            launcher.own_network_and_mounts()


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's AWS settings are out of reach; a client without a local endpoint finds no account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
