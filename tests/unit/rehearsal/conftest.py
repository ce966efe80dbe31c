"""A local AWS with its databases, secrets and file systems, empty for each test."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws

SERVICES = tuple(f"rehearsal.aws.services.{name}" for name in ("secretsmanager", "rds", "efs", "kms"))


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    with mock.patch.dict(os.environ):
        local = LocalAws(clock=Clock(math.inf), directory=tmp_path, modules=SERVICES)
        local.start()
        try:
            with local.clock.busy():  # time passes only where a test lets it: `aws.clock.sleep(seconds)`
                yield local
        finally:
            local.stop()
