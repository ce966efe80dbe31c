"""A writer that fails: its standby takes over at another address, and the endpoint's name follows a moment later.

Two real servers, one a synchronous standby of the other, as near as PostgreSQL comes to the shared storage of Aurora.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from benchwright.database.creation import Credentials, Server, ensure
from benchwright.errors import TransientError
from rehearsal.aws.postgres import ADMINISTRATOR, Postgres
from tests.database.installations import installations
from tests.database.place import in_memory, is_ours, mounted
from tests.database.step import Step
from tests.database.wire import Harm, Wire
from tests.database.world import World, empty, world
from tests.waiting import until

pytestmark = pytest.mark.root

ENDPOINT = "cluster-1.cluster-abc.us-east-1.rds.amazonaws.com"
WRITER, STANDBY, BEFORE_WRITER = "127.0.1.1", "127.0.1.2", "127.0.1.3"
REPLICATION = f"hostssl replication {ADMINISTRATOR} samehost scram-sha-256\n"


class Name:
    """What the endpoint resolves to, for this process and its children."""

    def __init__(self, hosts: Path) -> None:
        self.hosts = hosts

    def point_to(self, address: str) -> None:
        self.hosts.write_text(f"127.0.0.1 localhost\n{address} {ENDPOINT}\n")


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Name]:
    assert is_ours(), "tests/conftest.py could make no namespaces"
    name = Name(tmp_path_factory.mktemp("name") / "hosts")
    name.point_to(WRITER)
    with mounted("--bind", name.hosts, "/etc/hosts"):
        yield name


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that is stopped, for copies: to PostgreSQL all of them are one, so one can follow another."""
    with in_memory(tmp_path_factory.mktemp("original")) as place:
        with Postgres(place, names=[ENDPOINT], addresses=[WRITER]) as made:
            made._write_access(REPLICATION)
        yield made


def copied(original: Postgres, directory: Path, address: str) -> Postgres:
    copy = Postgres(
        directory,
        names=[ENDPOINT],
        addresses=[address],
        port=original.port,
        master_password=original.master_password,
        authority=original.authority,
    )
    copy._administrator_password = original._administrator_password
    shutil.copytree(original.data, copy.data, symlinks=True)
    shutil.copy(original.ca, copy.ca)
    copy._identify()
    return copy


class Pair:
    """A writer, and a standby that has each transaction before the writer's client knows of it."""

    def __init__(self, directory: Path, original: Postgres, name: Name) -> None:
        self.name = name
        self.writer = copied(original, directory / "writer", WRITER)
        self.standby = copied(original, directory / "standby", STANDBY)
        self._have_the_standby_follow()
        self.writer.start()
        self.standby.start()
        self._wait_until_synchronous()
        server = Server(ENDPOINT, self.writer.port, str(self.writer.ca))
        master = Credentials(self.writer.master, self.writer.master_password)
        self.step = Step(self.standby, server, Credentials("rstudio", secrets.token_urlsafe(24)), lambda: master)
        """Its `postgres` is the standby, since it is there that all has to be in the end."""
        name.point_to(WRITER)

    def _have_the_standby_follow(self) -> None:
        (self.standby.data / "standby.signal").touch()
        source = f"host={WRITER} port={self.writer.port} user={ADMINISTRATOR} sslmode=require"
        with (self.standby.data / "postgresql.conf").open("a") as configuration:
            configuration.write(f"primary_conninfo = '{source} password={self.writer._administrator_password}'\n")
        with (self.writer.data / "postgresql.conf").open("a") as configuration:
            configuration.write("synchronous_standby_names = '*'\nsynchronous_commit = remote_apply\n")

    def _wait_until_synchronous(self) -> None:
        asked = "SELECT state, sync_state FROM pg_stat_replication"
        until(lambda: self.writer.execute(asked) == [("streaming", "sync")], "the standby to follow the writer")

    def fail_over(self) -> None:
        self.writer.stop()
        self.promote()

    def promote(self) -> None:
        self.standby.execute("SELECT pg_promote()")
        self.name.point_to(STANDBY)


@pytest.fixture
def pair(tmp_path: Path, original: Postgres, name: Name) -> Iterator[Pair]:
    with in_memory(tmp_path) as place:
        pair = Pair(place, original, name)
        try:
            yield pair
        finally:
            pair.standby.stop()
            pair.writer.stop()


@pytest.fixture(scope="module")
def clean(servers: Callable[[str], Postgres]) -> World:
    """The world after a run that nothing disturbs, on a server of the pair's version."""
    postgres = servers(next(iter(installations())))
    master = Credentials(postgres.master, postgres.master_password)
    ensure(Server("localhost", postgres.port, str(postgres.ca)), Credentials("rstudio", "any"), lambda: master)
    found = world(postgres)
    empty(postgres)
    return found


def test_the_writer_fails_between_reading_the_master_and_its_login(pair: Pair, clean: World) -> None:
    def read() -> Credentials:
        pair.fail_over()
        return pair.step.read_master()

    assert replace(pair.step, read_master=read).call()[:2] == ("created", "created")
    assert world(pair.standby) == clean


@pytest.mark.parametrize("at", ["2 CREATE ROLE", "2 CREATE DATABASE", "3 CREATE TABLE"])
def test_the_writer_fails_at_a_statement(pair: Pair, clean: World, at: str) -> None:
    def fail() -> Harm:
        pair.fail_over()
        return Harm.LOST

    with Wire(pair.writer, BEFORE_WRITER, pair.writer.port) as wire:
        pair.name.point_to(BEFORE_WRITER)
        wire.strike_once(at, fail)
        assert replace(pair.step, calm=wire.calm).until_done().patience
    assert world(pair.standby) == clean
    pair.step.log_in()


@pytest.mark.parametrize("there", [False, True], ids=["nothing there", "all there"])
def test_the_name_still_points_to_a_reader(pair: Pair, clean: World, there: bool) -> None:
    if there:
        pair.step.call()
    pair.name.point_to(STANDBY)
    with pytest.raises(TransientError, match="read-only transaction"):
        pair.step.call()
    pair.fail_over()
    outcome = pair.step.until_done().outcome
    assert outcome[:2] == (("unchanged", "unchanged") if there else ("created", "created"))
    assert world(pair.standby) == clean


def test_the_name_resolves_to_nothing(pair: Pair, clean: World) -> None:
    resolved = pair.name.hosts.read_text()
    pair.name.hosts.write_text("127.0.0.1 localhost\n")
    with pytest.raises(TransientError, match="could not translate host name"):
        pair.step.call()
    pair.name.hosts.write_text(resolved)
    pair.step.call()
    assert world(pair.standby) == clean


def test_the_new_writer_is_still_starting(pair: Pair, clean: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby that lets no one read says what a writer says that has not recovered yet."""
    pair.standby.stop()
    with (pair.standby.data / "postgresql.conf").open("a") as configuration:
        configuration.write("hot_standby = off\n")
    with monkeypatch.context() as patched:
        patched.setattr(Postgres, "_wait", lambda _: None)  # it lets no one in, so nothing shows when it is up
        pair.standby.start()
    pair.name.point_to(STANDBY)
    answers: set[str] = set()
    while not any("the database system is not accepting connections" in answer for answer in answers):
        with pytest.raises(TransientError) as asked:
            pair.step.call()
        answers.add(str(asked.value))
    pair.standby.stop()
    pair.writer.stop()
    (pair.standby.data / "standby.signal").unlink()
    pair.standby.start()
    pair.step.until_done()
    assert world(pair.standby) == clean


def test_the_writer_is_gone_without_a_word(pair: Pair, clean: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No packet comes back any more, as from a host that lost its power."""
    soon = {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 2, "tcp_user_timeout": 2_000}
    monkeypatch.setattr("benchwright.database.creation.KEEPALIVE", soon)
    address = "10.255.254.1"
    with IPRoute() as network:
        loopback = network.link_lookup(ifname="lo")[0]
        network.addr("add", index=loopback, address=address, prefixlen=32)

        def fail() -> Harm:
            pair.promote()  # first: how soon the loss is noticed does not count then
            network.addr("del", index=loopback, address=address, prefixlen=32)
            pair.writer.stop()
            return Harm.LOST

        with Wire(pair.writer, address, pair.writer.port) as wire:
            pair.name.point_to(address)
            wire.strike_once("2 CREATE DATABASE", fail)
            begun = time.monotonic()
            assert len(replace(pair.step, calm=wire.calm).until_done().patience) == 1
    assert time.monotonic() - begun < 60
    assert world(pair.standby) == clean
