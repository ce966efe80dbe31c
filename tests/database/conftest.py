"""A PostgreSQL per version found on this machine, emptied after each test."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from benchwright.database.creation import Credentials, Server
from rehearsal.aws.postgres import Postgres
from tests.database.installations import installations
from tests.database.place import in_memory
from tests.database.step import Master, Said, Step
from tests.database.wire import Wire
from tests.database.world import PREFIX, SENT, empty, statements


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Postgres]]:
    """The server of a version, started when it is first wanted."""
    with in_memory(tmp_path_factory.mktemp("servers")) as place, ExitStack() as running:

        @cache
        def server(version: str) -> Postgres:
            assert version in installations(), f"PostgreSQL {version} is not installed: make tools"
            programs = installations()[version]
            postgres = running.enter_context(Postgres(place / version, programs=programs))
            postgres.execute(f"ALTER SYSTEM SET log_line_prefix = '{PREFIX}'")
            postgres.execute("SELECT pg_reload_conf()")
            return postgres

        yield server


@pytest.fixture(params=sorted(installations()), ids=lambda version: f"postgresql-{version}")
def version(request: pytest.FixtureRequest) -> str:
    """The major version of the server; a test that needs one only names it (`indirect=["version"]`)."""
    return str(request.param)


@pytest.fixture
def postgres(servers: Callable[[str], Postgres], version: str) -> Iterator[Postgres]:
    """The server. Whatever a test was about, Benchwright said nothing that drops, revokes or takes over."""
    running = servers(version)
    already = running.log.stat().st_size
    yield running
    running.start()
    empty(running)
    assert [said for said in _said(running, already) if not SENT.fullmatch(said)] == []


@pytest.fixture
def said(postgres: Postgres) -> Said:
    """The statements that Benchwright sent to the server since the test began, or since the last call."""
    already = postgres.log.stat().st_size

    def since() -> list[str]:
        nonlocal already
        found = _said(postgres, already)
        already = postgres.log.stat().st_size
        return found

    return since


def _said(postgres: Postgres, since: int) -> list[str]:
    return statements(postgres.log.read_bytes()[since:].decode())


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server("localhost", postgres.port, str(postgres.ca))


@pytest.fixture
def application() -> Credentials:
    return Credentials("rstudio", secrets.token_urlsafe(24))


@pytest.fixture
def master(postgres: Postgres) -> Master:
    return lambda: Credentials(postgres.master, postgres.master_password)


@pytest.fixture
def step(postgres: Postgres, server: Server, application: Credentials, master: Master) -> Step:
    return Step(postgres, server, application, master)


@pytest.fixture
def wire(postgres: Postgres) -> Iterator[Wire]:
    with Wire(postgres) as wire:
        yield wire
