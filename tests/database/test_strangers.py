"""A role, a database or a master that others made or changed: Benchwright converges, or names what fixes it.

What it refuses it leaves exactly as it was, and in no case does anyone lose anything.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import pytest
from psycopg2.extensions import encrypt_password

from benchwright.errors import DatabaseFailed
from tests.database.step import Said, Step
from tests.database.world import READS, World, world

FITTING = "LOGIN PASSWORD '{verifier}'"
"""Of a role whose password is that of the secret."""

AS_MASTER = (
    "CREATE ROLE rstudio LOGIN",
    "GRANT rstudio TO postgres{set}",
    "CREATE DATABASE rstudio OWNER rstudio",
)
MINE = (f"CREATE ROLE rstudio {FITTING}", "CREATE DATABASE rstudio OWNER rstudio")


class Stranger(NamedTuple):
    """What someone did as superuser, `inside` of the database rstudio; and what becomes of it.

    `outcome` are role and database of the Outcome, or what the refusal says. `remedy`: where to run what it says, if it
    names a statement.
    """

    made: tuple[str, ...]
    outcome: tuple[str, str] | str
    inside: tuple[str, ...] = ()
    remedy: str = "postgres"
    versions: tuple[str, ...] = ("14", "15", "16", "17")


STRANGERS = {
    "a role that may not log in": Stranger(("CREATE ROLE rstudio NOLOGIN",), "may not log in"),
    "a role whose password has expired": Stranger(
        (f"CREATE ROLE rstudio {FITTING} VALID UNTIL '2020-01-01'",), "has expired by its VALID UNTIL"
    ),
    "a role without connections": Stranger(
        (f"CREATE ROLE rstudio {FITTING} CONNECTION LIMIT 0", "CREATE DATABASE rstudio OWNER rstudio"),
        "may hold no connection by its CONNECTION LIMIT",
    ),
    "a role locked in three ways": Stranger(
        ("CREATE ROLE rstudio NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '2020-01-01'",),
        "may not log in; .* has expired .*; .* may hold no connection .*LIMIT -1; then start again",
    ),
    "a superuser with another password": Stranger(
        ("CREATE ROLE rstudio LOGIN SUPERUSER PASSWORD 'another'",), 'ALTER ROLE "rstudio" NOSUPERUSER'
    ),
    "a superuser without a database": Stranger(
        (f"CREATE ROLE rstudio SUPERUSER {FITTING}",), 'ALTER ROLE "rstudio" NOSUPERUSER'
    ),
    "a superuser with its database": Stranger(
        (f"CREATE ROLE rstudio SUPERUSER {FITTING}", MINE[1]), ("unchanged", "unchanged")
    ),
    "a role with many privileges": Stranger(
        (
            f"CREATE ROLE rstudio CREATEDB CREATEROLE CONNECTION LIMIT 20 VALID UNTIL 'infinity' {FITTING}",
            "GRANT rstudio TO postgres WITH ADMIN OPTION",
            "ALTER ROLE rstudio SET search_path = elsewhere",
        ),
        ("unchanged", "created"),
    ),
    "a role in other roles": Stranger(
        (
            *MINE,
            "CREATE ROLE alice",
            "CREATE ROLE bob",
            "GRANT alice TO rstudio WITH ADMIN OPTION",
            "GRANT rstudio TO bob",
            "GRANT CREATE ON DATABASE rstudio TO bob",
        ),
        ("unchanged", "unchanged"),
    ),
    "a role whose password was changed by hand": Stranger(
        (*MINE, "GRANT rstudio TO postgres WITH ADMIN OPTION", "ALTER ROLE rstudio PASSWORD 'by hand'"),
        ("updated", "unchanged"),
    ),
    "a role with an MD5 password": Stranger(
        (
            "CREATE ROLE rstudio LOGIN PASSWORD 'md50123456789abcdef0123456789abcdef'",
            "GRANT rstudio TO postgres WITH ADMIN OPTION",
        ),
        ("updated", "created"),
    ),
    "a role that the master may administer but not act for": Stranger(
        (
            f"CREATE ROLE rstudio {FITTING}",
            "GRANT rstudio TO postgres WITH ADMIN TRUE, SET FALSE, INHERIT FALSE",
            "GRANT rstudio TO postgres WITH SET FALSE, INHERIT FALSE GRANTED BY postgres",
        ),
        ("unchanged", "created"),
        versions=("16", "17"),
    ),
    "a role that only reads": Stranger(
        (*MINE, "ALTER ROLE rstudio SET default_transaction_read_only = on"), "may only read"
    ),
    "a database that is only read": Stranger(
        (*MINE, "ALTER DATABASE rstudio SET default_transaction_read_only = on"), "may only read", versions=("14", "17")
    ),
    "a database of the master": Stranger(
        ("CREATE DATABASE rstudio OWNER postgres",),
        'belongs to "postgres"',
        inside=("CREATE TABLE public.its ()",),
    ),
    "a database of another": Stranger(
        (f"CREATE ROLE rstudio {FITTING}", "CREATE ROLE alice", "CREATE DATABASE rstudio OWNER alice"),
        'belongs to "alice"',
        inside=("CREATE TABLE public.hers ()", "GRANT SELECT ON public.hers TO alice"),
    ),
    "tables and grants of others": Stranger(
        (*MINE, "CREATE ROLE alice", "GRANT CONNECT, TEMPORARY ON DATABASE rstudio TO alice WITH GRANT OPTION"),
        ("unchanged", "unchanged"),
        inside=(
            "CREATE TABLE public.hers (id int)",
            "ALTER TABLE public.hers OWNER TO alice",
            "GRANT SELECT ON public.hers TO PUBLIC",
            "CREATE SCHEMA hers AUTHORIZATION alice",
            "GRANT USAGE ON SCHEMA public TO alice",
            "ALTER DEFAULT PRIVILEGES FOR ROLE rstudio GRANT SELECT ON TABLES TO alice",
        ),
        versions=("14", "17"),
    ),
    "a database that is not for everyone": Stranger(
        (
            *MINE,
            "CREATE ROLE bob",
            "REVOKE ALL ON DATABASE rstudio FROM PUBLIC",
            "GRANT CONNECT ON DATABASE rstudio TO bob",
        ),
        ("unchanged", "unchanged"),
        versions=("14", "17"),
    ),
    "a database of another encoding and template": Stranger(
        (
            f"CREATE ROLE rstudio {FITTING}",
            "CREATE DATABASE pattern TEMPLATE template0 ENCODING 'LATIN1'",
            "CREATE DATABASE rstudio OWNER rstudio TEMPLATE pattern",
        ),
        ("unchanged", "unchanged"),
        versions=("14", "17"),
    ),
    "a database without connections": Stranger(
        (*MINE, "ALTER DATABASE rstudio CONNECTION LIMIT 0"),
        "takes no connection by its CONNECTION LIMIT",
        versions=("14", "17"),
    ),
    "a database that is closed": Stranger(
        (*MINE, "ALTER DATABASE rstudio ALLOW_CONNECTIONS false"),
        "takes no connection by its ALLOW_CONNECTIONS",
        versions=("14", "17"),
    ),
    "what an interrupted DROP DATABASE left": Stranger(
        (
            *MINE,
            "GRANT rstudio TO postgres WITH ADMIN OPTION",
            "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'rstudio'",
        ),
        "an interrupted DROP DATABASE",
    ),
    "a schema public of another": Stranger(
        MINE,
        'may not create tables in the schema public of "rstudio"',
        inside=(
            "CREATE ROLE alice",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "ALTER SCHEMA public OWNER TO alice",
        ),
        remedy="rstudio",
    ),
    "no schema public": Stranger(MINE, "has no schema public", inside=("DROP SCHEMA public",), remedy="rstudio"),
    "a table of the name of the proof": Stranger(
        MINE,
        'relation "benchwright_proof" already exists',
        inside=("CREATE TABLE public.benchwright_proof (id int)",),
        remedy="",
        versions=("14", "17"),
    ),
    "a master that may not create roles": Stranger(
        ("ALTER ROLE postgres NOCREATEROLE",), 'does not let "postgres" create role'
    ),
    "a master that may not create databases": Stranger(
        ("ALTER ROLE postgres NOCREATEDB",), 'does not let "postgres" create database'
    ),
}


def privileges(world: World) -> list[object]:
    """Each thing that someone has: all rows, but memberships by their options, and roles without passwords."""
    rows: list[object] = [(name, row) for name in world if name not in ("roles", "members") for row in world[name]]
    rows += [(*row[:3], option) for row in world["members"] for option, has in row[3].items() if has]
    return rows + [row[:2] for row in world["roles"]]


def lost(before: World, after: World) -> list[object]:
    """What was there before, and is not any more."""
    still = privileges(after)
    return [one for one in privileges(before) if one not in still]


def remedies(message: str) -> list[str]:
    """The statements that a message asks a person to run."""
    found = re.search(r"[Rr]un ((?:ALTER|GRANT|CREATE|DROP) .*?)(?: there,|; then|, then)", message)
    return found.group(1).split("; ") if found else []


@pytest.mark.parametrize(
    ("version", "name"),
    [(version, name) for name, stranger in STRANGERS.items() for version in stranger.versions],
    indirect=["version"],
)
def test_what_others_made_is_kept_or_refused_with_what_fixes_it(step: Step, said: Said, name: str) -> None:
    stranger, postgres = STRANGERS[name], step.postgres
    with closing(postgres.connect(*step.read_master())) as connection:
        verifier = encrypt_password(step.application.password, "rstudio", connection, "scram-sha-256")
    for statement in stranger.made:
        postgres.execute(statement.format(verifier=verifier))
    for statement in stranger.inside:
        postgres.execute(statement, database="rstudio")
    before = world(postgres)
    said()
    if isinstance(stranger.outcome, tuple):
        assert step.call()[:2] == stranger.outcome
        assert lost(before, world(postgres)) == []
        if stranger.outcome == ("unchanged", "unchanged"):
            assert [statement for statement in said() if not READS.fullmatch(statement)] == []
    else:
        with pytest.raises(DatabaseFailed, match=stranger.outcome) as refused:
            step.call()
        if "master" not in name:  # what such a master could do was done, and is kept
            assert world(postgres) == before
        assert fix(step, str(refused.value), stranger.remedy) is bool(stranger.remedy)
        assert not stranger.remedy or step.call()[:2] == ("unchanged", "unchanged")


# What a master of RDS may have made before Benchwright came, and must be able to undo by what Benchwright says.
OF_THE_MASTER = {
    "a database": ("CREATE DATABASE rstudio",),
    "a database and a role": ("CREATE DATABASE rstudio", "CREATE ROLE rstudio LOGIN"),
    "a database of another role": (
        "CREATE ROLE alice",
        "GRANT alice TO postgres{set}",
        "CREATE DATABASE rstudio OWNER alice",
    ),
    "a database of another role that it left": (
        "CREATE ROLE alice",
        "GRANT alice TO postgres{set}",
        "CREATE DATABASE rstudio OWNER alice",
        "REVOKE alice FROM postgres",
    ),
    "a role that may not log in": ("CREATE ROLE rstudio NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '2020-01-01'",),
    "a role that only reads": (*AS_MASTER, "ALTER ROLE rstudio SET default_transaction_read_only = on"),
    "a closed database": (*AS_MASTER, "ALTER DATABASE rstudio ALLOW_CONNECTIONS false"),
    "a database without connections": (*AS_MASTER, "ALTER DATABASE rstudio CONNECTION LIMIT 0"),
}


def as_master(step: Step, statements: Sequence[str]) -> None:
    """Run statements one by one, as a person at psql does."""
    with closing(step.postgres.connect(*step.read_master())) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        is_new = connection.server_version >= 160000
        for statement in statements:
            cursor.execute(statement.replace("{set}", " WITH SET TRUE" if is_new else ""))


@pytest.mark.parametrize("made", OF_THE_MASTER.values(), ids=list(OF_THE_MASTER))
def test_what_a_master_that_is_no_superuser_made_it_can_undo_word_by_word(step: Step, made: Sequence[str]) -> None:
    assert step.postgres.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'") == [(False,)]
    as_master(step, made)
    for _ in range(3):  # a role in whose way several things stand may name one after the other
        try:
            assert step.call().role in ("created", "updated", "unchanged")
            break
        except DatabaseFailed as error:
            as_master(step, remedies(str(error)))
    assert step.call()[:2] == ("unchanged", "unchanged")
    step.log_in()


def test_a_database_of_the_master_that_is_not_for_workbench_is_renamed_and_kept(step: Step) -> None:
    as_master(step, ["CREATE DATABASE rstudio"])
    with pytest.raises(DatabaseFailed) as refused:
        step.call()
    as_master(step, remedies(str(refused.value).partition("If it is not, ")[2]))
    assert step.call()[:2] == ("created", "created")
    databases = {row[0]: row[1] for row in world(step.postgres)["databases"]}
    assert (databases["rstudio_before"], databases["rstudio"]) == ("postgres", "rstudio")


def fix(step: Step, message: str, database: str) -> bool:
    """Do what a message says, and what the next one says, as often as another comes; returns whether that helped."""
    seen = set()
    while message not in seen and remedies(message):
        seen.add(message)
        for statement in remedies(message):
            step.postgres.execute(statement, database=database)
        try:
            step.call()
        except DatabaseFailed as error:
            message = str(error)
        else:
            return True
    return False


def test_a_role_that_inherits_nothing_may_need_its_schema(step: Step, version: str) -> None:
    """In PostgreSQL 15 the owner of a database has the schema public by inheritance only."""
    with closing(step.postgres.connect(*step.read_master())) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE rstudio LOGIN NOINHERIT")
        connection.commit()
    if version == "15":
        with pytest.raises(DatabaseFailed, match='ALTER SCHEMA public OWNER TO "rstudio"') as refused:
            step.call()
        assert fix(step, str(refused.value), "rstudio")
    else:
        assert step.call()[:2] == ("updated", "created")
    step.log_in()


@pytest.mark.parametrize("change", ["ALTER ROLE rstudio PASSWORD 'by hand'", "ALTER ROLE rstudio PASSWORD NULL"])
def test_a_password_changed_outside_costs_one_statement_and_the_right_one_none(
    step: Step, said: Said, change: str
) -> None:
    step.call()
    clean = world(step.postgres)
    said()
    assert step.call()[:2] == ("unchanged", "unchanged")
    assert [statement for statement in said() if not READS.fullmatch(statement)] == []
    step.postgres.execute(change)
    assert step.call()[:2] == ("updated", "unchanged")
    assert [statement.split("'")[0] for statement in said() if not READS.fullmatch(statement)] == [
        'ALTER ROLE "rstudio" PASSWORD '
    ]
    assert world(step.postgres) == clean
    step.log_in()
