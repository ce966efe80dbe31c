"""A PostgreSQL per version found on this machine, emptied after each test."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from benchwright.database import Credentials, Server
from tests.rehearsal.postgres import Postgres, installations


@pytest.fixture(scope="session", params=sorted(installations()), ids=lambda version: f"postgresql-{version}")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    version: str = request.param
    with Postgres(tmp_path_factory.mktemp("postgres"), programs=installations()[version]) as postgres:
        yield postgres


@pytest.fixture
def postgres(running: Postgres) -> Iterator[Postgres]:
    yield running
    running.accept()
    running.execute("DROP DATABASE IF EXISTS rstudio WITH (FORCE)")
    for role in ("rstudio", "alice"):
        running.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server("localhost", postgres.port, str(postgres.ca))


@pytest.fixture
def application() -> Credentials:
    return Credentials("rstudio", secrets.token_urlsafe(24))


@pytest.fixture
def master(postgres: Postgres) -> Callable[[], Credentials]:
    return lambda: Credentials(postgres.master, postgres.master_password)
