"""The fixture of the tests of state machines."""

from collections.abc import Iterator

import pytest

from tests.workflow.workflow import Workflow, workflows


@pytest.fixture
def workflow() -> Iterator[Workflow]:
    """A workflow with no functions yet: a test gives them, then runs `deploy`, `verify` or a definition of its own."""
    with workflows() as made:
        yield made
