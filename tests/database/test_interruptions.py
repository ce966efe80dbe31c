"""A server that goes away at any moment of the step: the state machine tries again, and the world becomes the same."""

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from benchwright.database.creation import Credentials
from benchwright.errors import TransientError
from rehearsal.aws.postgres import ADMINISTRATOR, Postgres
from tests.database.step import NEWEST, Step
from tests.database.wire import Harm, Wire, moment
from tests.database.world import World, empty, world
from tests.waiting import until

RECOVERED = "database system is ready to accept connections"
SLOTS, RESERVED_SLOTS = 8, 3
ORDINARY_SLOTS = SLOTS - RESERVED_SLOTS

# What a run from nothing says, by connection: it tries to log in as the application, works as the master, and logs in
# as the application for proof. Farewells are left out, since no one waits for an answer to them.
LOGIN = ("startup", "password", "password")
FROM_NOTHING = (
    *(f"1 {part}" for part in LOGIN),
    *(f"2 {part}" for part in LOGIN),
    "2 SELECT pg_advisory_lock",
    "2 SELECT NOT",
    "2 SELECT pg_get_userbyid",
    "2 CREATE ROLE",
    "2 GRANT",
    "2 CREATE DATABASE",
    *(f"3 {part}" for part in LOGIN),
    "3 SELECT pg_get_userbyid",
    "3 BEGIN",
    "3 CREATE TABLE",
    "3 ROLLBACK",
    "3 BEGIN",
    "3 SELECT current_setting",
)
STATEMENTS = tuple(dict.fromkeys(moment for moment in FROM_NOTHING if moment[2:] not in LOGIN))
CHANGES = ("2 CREATE ROLE", "2 GRANT", "2 CREATE DATABASE", "3 CREATE TABLE")


@pytest.fixture
def wired(step: Step, wire: Wire) -> Step:
    """The step, whose way to the server is the wire."""
    return replace(step, server=replace(step.server, port=wire.port), calm=wire.calm)


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    """Those of `clean`, by version."""
    return {}


@pytest.fixture
def clean(step: Step, version: str, worlds: dict[str, World]) -> World:
    """The world after a run that nothing disturbs."""
    if version not in worlds:
        step.call()
        worlds[version] = world(step.postgres)
        empty(step.postgres)
    return worlds[version]


@NEWEST
def test_a_run_from_nothing_has_these_moments(wire: Wire, wired: Step) -> None:
    assert wired.call()[:2] == ("created", "created")
    assert tuple(moment(message) for message in wire.messages if message.type != "X") == FROM_NOTHING


@NEWEST
@pytest.mark.parametrize("harm", [Harm.LOST, Harm.UNANSWERED])
@pytest.mark.parametrize("index", range(len(FROM_NOTHING)), ids=lambda index: f"{index} {FROM_NOTHING[index]}")
def test_a_connection_is_cut_at_any_message(wire: Wire, wired: Step, clean: World, index: int, harm: Harm) -> None:
    at = FROM_NOTHING[index]
    wire.strike_once(at, lambda: harm, FROM_NOTHING[: index + 1].count(at))
    assert len(wired.until_done().patience) == 1
    assert world(wired.postgres) == clean
    wired.log_in()


def terminated(postgres: Postgres, wire: Wire) -> None:
    postgres.execute("SELECT pg_terminate_backend(%s, 1000)", wire.backend)


def restarted(postgres: Postgres, _wire: Wire) -> None:
    postgres.restart()


def crashed(postgres: Postgres, wire: Wire) -> None:
    """A session that is killed leaves shared memory in doubt, so the server ends all sessions and recovers."""
    seen = postgres.log.read_text().count(RECOVERED)
    os.kill(wire.backend, signal.SIGKILL)
    until(lambda: postgres.log.read_text().count(RECOVERED) > seen, "the recovery of the server")
    postgres._wait()


@pytest.mark.parametrize(
    ("version", "at", "strike"),
    [
        *(("17", at, strike) for at in STATEMENTS for strike in (terminated, restarted)),
        *(("17", at, crashed) for at in CHANGES),
        *((version, at, terminated) for version in ("14", "15", "16") for at in CHANGES),
    ],
    indirect=["version"],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_server_goes_away_before_a_statement(
    wire: Wire, wired: Step, clean: World, at: str, strike: Callable[[Postgres, Wire], Any]
) -> None:
    wire.strike_once(at, lambda: strike(wired.postgres, wire))
    assert wired.until_done().patience
    assert world(wired.postgres) == clean
    wired.log_in()


@NEWEST
@pytest.mark.parametrize(("harm", "role"), [(Harm.LOST, "updated"), (Harm.UNANSWERED, "unchanged")])
def test_the_connection_is_cut_at_a_change_of_the_password(wire: Wire, wired: Step, harm: Harm, role: str) -> None:
    replace(wired, application=Credentials("rstudio", "before")).call()
    before = world(wired.postgres)
    wire.strike_once("2 ALTER ROLE", lambda: harm)
    done = wired.until_done()
    assert len(done.patience) == 1
    assert done.outcome[:2] == (role, "unchanged")
    assert world(wired.postgres) == before
    wired.log_in()


@NEWEST
@pytest.mark.parametrize("at", ["2 SELECT NOT", "2 CREATE DATABASE", "3 ROLLBACK"])
def test_a_function_that_was_killed_blocks_no_one_for_long(
    wire: Wire, wired: Step, clean: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """No one notifies the server, so the session keeps its lock, or the table of the proof, until it times out."""
    monkeypatch.setattr("benchwright.database.creation.IDLE_TIMEOUT", "5s")
    monkeypatch.setattr("benchwright.database.creation.LOCK_TIMEOUT", "60s")
    wire.strike_once(at, lambda: Harm.VANISHED)
    assert len(wired.until_done().patience) == 1
    assert world(wired.postgres) == clean
    wired.log_in()


@NEWEST
def test_a_statement_takes_longer_than_the_server_allows(step: Step, clean: World) -> None:
    step.postgres.execute("ALTER ROLE postgres SET statement_timeout = 1")
    with pytest.raises(TransientError, match="statement timeout"):
        step.call()
    step.postgres.execute("ALTER ROLE postgres RESET statement_timeout")
    step.until_done()
    assert world(step.postgres) == clean


@NEWEST
@pytest.mark.parametrize("limited", ["ROLE", "DATABASE"])
def test_all_connections_of_the_role_or_the_database_are_taken(step: Step, limited: str) -> None:
    """Workbench holds them, and may let one go; that none is allowed at all is another matter (test_strangers)."""
    step.call()
    step.postgres.execute(f"ALTER {limited} rstudio CONNECTION LIMIT 1")
    before = world(step.postgres)
    # The server counts a connection for a moment after its client has closed it.
    held = "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND 'rstudio' IN (datname, usename)"
    until(lambda: not step.postgres.execute(held), "the end of all connections")
    with (
        closing(step.postgres.connect(*step.application, "rstudio")),
        pytest.raises(TransientError, match=f'too many connections for {limited.lower()} "rstudio"'),
    ):
        step.call()
    assert step.until_done().outcome[:2] == ("unchanged", "unchanged")
    assert world(step.postgres) == before


def by_hand(postgres: Postgres, statement: str) -> None:
    """As the master, who is whom people administer such a server as."""
    with closing(postgres.connect(postgres.master, postgres.master_password)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


@pytest.mark.parametrize(
    ("at", "statement"),
    [
        ("2 CREATE ROLE", "CREATE ROLE rstudio LOGIN PASSWORD 'by hand'"),
        ("2 GRANT", "GRANT rstudio TO postgres"),
        ("2 CREATE DATABASE", "CREATE DATABASE rstudio OWNER rstudio"),
        ("3 startup", "ALTER ROLE rstudio PASSWORD 'by hand'"),
        ("3 startup", "DROP DATABASE rstudio"),
    ],
)
def test_someone_does_the_same_by_hand_at_the_same_time(
    wire: Wire, wired: Step, clean: World, at: str, statement: str
) -> None:
    wire.strike_once(at, lambda: by_hand(wired.postgres, statement))
    wired.until_done()
    assert world(wired.postgres) == clean
    wired.log_in()


class Slots:
    """The connections of a server, and who takes them."""

    def __init__(self, postgres: Postgres, taken: ExitStack) -> None:
        self.postgres = postgres
        self.taken = taken
        self.own: list[object] = []

    def take(self, user: str, password: str, up_to: int = ORDINARY_SLOTS) -> None:
        """Connect until so many connections are ours: the session that worked until now ends soon."""

        def are_taken() -> bool:
            with pytest.raises(psycopg2.OperationalError):
                while True:
                    self.own.append(self.taken.enter_context(closing(self.postgres.connect(user, password))))
            return len(self.own) == up_to

        until(are_taken, "the end of the session that worked until now")

    def free(self) -> None:
        """Close them, and wait until the server has seen it."""
        self.taken.close()
        self.own.clear()

        def are_free() -> bool:
            with contextlib.suppress(psycopg2.OperationalError):
                busy = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                return self.postgres.execute(busy) == [(1,)]
            return False

        until(are_free, "the end of the connections")


@pytest.fixture
def slots(postgres: Postgres) -> Iterator[Slots]:
    """Of a server with 8, of which 3 are for superusers."""
    postgres.execute(f"ALTER SYSTEM SET max_connections = {SLOTS}")
    postgres.restart()
    with ExitStack() as taken:
        yield Slots(postgres, taken)
    postgres.restart()
    postgres.execute("ALTER SYSTEM RESET max_connections")
    postgres.restart()


def test_all_connection_slots_are_taken(slots: Slots, wire: Wire, wired: Step, clean: World) -> None:
    slots.take(*wired.read_master())
    with pytest.raises(TransientError, match="remaining connection slots are reserved"):
        wired.call()
    slots.take(ADMINISTRATOR, wired.postgres._administrator_password, SLOTS)
    with pytest.raises(TransientError, match="too many clients already"):
        wired.call()
    slots.free()
    wire.strike_once("3 startup", lambda: slots.take(*wired.read_master()))
    with pytest.raises(TransientError, match="remaining connection slots are reserved"):
        wired.call()
    slots.free()
    wired.until_done()
    assert world(wired.postgres) == clean
    wired.log_in()


@pytest.mark.parametrize("late", [0, 1, 2])
def test_the_master_is_rotated_between_reading_and_login(
    step: Step, clean: World, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """The server takes the new password first; the secret has it `late` readings later."""
    monkeypatch.setattr("benchwright.database.creation.ROTATION_PAUSES", (0.0, 0.01, 0.01))
    before, after = step.read_master(), secrets.token_urlsafe(24)
    readings: list[Credentials] = []

    def read() -> Credentials:
        readings.append(before if len(readings) <= late else Credentials(before.username, after))
        if len(readings) == 1:
            step.postgres.change_master_password(after)
        return readings[-1]

    assert replace(step, read_master=read).call()[:2] == ("created", "created")
    assert len(readings) == 2 + late
    assert world(step.postgres) == clean


@NEWEST
@pytest.mark.parametrize("at", ["2 SELECT pg_advisory_lock", "2 CREATE ROLE", "2 CREATE DATABASE"])
def test_the_master_is_rotated_while_it_works(wire: Wire, wired: Step, clean: World, at: str) -> None:
    wire.strike_once(at, lambda: wired.postgres.change_master_password(secrets.token_urlsafe(24)))
    assert wired.call()[:2] == ("created", "created")
    assert world(wired.postgres) == clean
