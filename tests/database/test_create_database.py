"""What becomes of role and database on a real PostgreSQL whose master is no superuser."""

import base64
import secrets
import string
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from benchwright.database.creation import Credentials, Outcome, Server, ensure
from benchwright.errors import DatabaseFailed, TransientError
from rehearsal.aws.postgres import Postgres, Refusal
from tests.database.step import NEWEST, Master


def catalog(postgres: Postgres) -> list[tuple[Any, ...]]:
    """The rows of role and database with the transactions that wrote them."""
    roles = postgres.execute(
        "SELECT xmin::text, rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'rstudio'"
    )
    databases = postgres.execute(
        "SELECT xmin::text, datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database "
        "WHERE datname = 'rstudio'"
    )
    members = postgres.execute("SELECT xmin::text, roleid, member FROM pg_auth_members ORDER BY 1, 2, 3")
    return roles + databases + members


def log_in(postgres: Postgres, who: Credentials) -> str:
    with closing(postgres.connect(who.username, who.password, "rstudio")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user || '@' || current_database()")
        row = cursor.fetchone()
        assert row
        return str(row[0])


def version(postgres: Postgres) -> str:
    return str(postgres.execute("SHOW server_version")[0][0]).split()[0]


@NEWEST
def test_the_master_is_no_superuser(postgres: Postgres) -> None:
    rows = postgres.execute("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'postgres'")
    assert rows == [(False, True, True)]


def test_an_empty_server_gets_a_role_that_owns_its_database(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    assert ensure(server, application, master) == Outcome("created", "created", version(postgres))
    assert log_in(postgres, application) == "rstudio@rstudio"
    assert [row[1:] for row in catalog(postgres)[1:2]] == [("rstudio", "rstudio", "UTF8")]
    attributes = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    rows = postgres.execute(f"SELECT {attributes} FROM pg_roles WHERE rolname = 'rstudio'")
    assert rows == [(False, False, False, False, False)]


def test_a_second_run_changes_nothing_and_needs_no_master(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    before = catalog(postgres)

    def nobody() -> Credentials:
        raise AssertionError("the master secret was read")

    assert ensure(server, application, nobody) == Outcome("unchanged", "unchanged", version(postgres))
    assert catalog(postgres) == before
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database="rstudio") == [(0,)]


def test_a_new_password_is_set_and_the_old_one_no_longer_works(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    rotated = Credentials("rstudio", secrets.token_urlsafe(24))
    assert ensure(server, rotated, master)[:2] == ("updated", "unchanged")
    assert log_in(postgres, rotated) == "rstudio@rstudio"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        log_in(postgres, application)


def test_a_run_that_died_after_creating_the_role_is_completed(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    with closing(postgres.connect(*master())) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE rstudio LOGIN")
    assert ensure(server, application, master)[:2] == ("updated", "created")
    assert log_in(postgres, application) == "rstudio@rstudio"


def test_a_lost_database_is_made_again_for_the_same_role(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    postgres.execute("DROP DATABASE rstudio")
    assert ensure(server, application, master)[:2] == ("unchanged", "created")


def test_a_database_of_another_owner_is_left_alone(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    postgres.execute("CREATE ROLE alice")
    postgres.execute("CREATE DATABASE rstudio OWNER alice")
    before = catalog(postgres)
    with pytest.raises(DatabaseFailed, match=r'belongs to "alice".*RENAME'):
        ensure(server, application, master)
    assert catalog(postgres) == before


def test_a_database_that_changed_hands_is_refused_although_the_login_works(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    postgres.execute("CREATE ROLE alice")
    postgres.execute("ALTER DATABASE rstudio OWNER TO alice")
    with pytest.raises(DatabaseFailed, match='belongs to "alice"'):
        ensure(server, application, master)


def test_a_role_without_login_is_left_alone(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    postgres.execute("CREATE ROLE rstudio NOLOGIN")
    before = catalog(postgres)
    with pytest.raises(DatabaseFailed, match=r'"rstudio" exists but may not log in.*ALTER ROLE'):
        ensure(server, application, master)
    assert catalog(postgres) == before


def test_a_role_that_the_master_may_not_administer_names_the_missing_grant(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    postgres.execute("CREATE ROLE rstudio LOGIN")
    if int(version(postgres).split(".")[0]) < 16:  # there, CREATEROLE administers every role that is no superuser
        assert ensure(server, application, master)[:2] == ("updated", "created")
    else:
        with pytest.raises(DatabaseFailed, match='GRANT "rstudio" TO "postgres" WITH ADMIN OPTION'):
            ensure(server, application, master)


def test_a_schema_that_the_role_may_not_write_to_is_named(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    postgres.execute("ALTER SCHEMA public OWNER TO postgres", database="rstudio")
    postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database="rstudio")  # until PostgreSQL 14
    with pytest.raises(DatabaseFailed, match="ALTER SCHEMA public OWNER TO"):
        ensure(server, application, master)


def test_a_role_that_may_not_enter_its_database_is_named(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    ensure(server, application, master)
    postgres.execute("REVOKE CONNECT ON DATABASE rstudio FROM PUBLIC")
    postgres.execute("REVOKE CONNECT ON DATABASE rstudio FROM rstudio")
    with pytest.raises(DatabaseFailed, match=r"permission denied for database.*CONNECT privilege"):
        ensure(server, application, master)


def test_a_master_password_that_was_rotated_meanwhile_is_read_once_more(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    answers = [Credentials("postgres", "the one before"), master()]
    assert ensure(server, application, lambda: answers.pop(0))[:2] == ("created", "created")


def test_a_wrong_master_password_fails_after_four_readings(
    server: Server, application: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchwright.database.creation.ROTATION_PAUSES", (0.0, 0.01, 0.01))
    readings: list[Credentials] = []

    def wrong() -> Credentials:
        readings.append(Credentials("postgres", "not this one"))
        return readings[-1]

    with pytest.raises(DatabaseFailed, match=r'let "postgres" log in: .*rotate the secret') as failed:
        ensure(server, application, wrong)
    assert len(readings) == 4
    assert "not this one" not in str(failed.value)


REFUSALS: dict[Refusal, tuple[type[Exception], str]] = {
    "stopped": (TransientError, "Connection refused"),
    "busy": (TransientError, "too many connections"),
    "rejected": (DatabaseFailed, r"rejects connection.*parameter group"),
}


@NEWEST
@pytest.mark.parametrize("how", REFUSALS)
def test_a_server_that_refuses_is_distinguished(
    postgres: Postgres, server: Server, application: Credentials, master: Master, how: Refusal
) -> None:
    error, reason = REFUSALS[how]
    postgres.refuse(how)
    try:
        with pytest.raises(error, match=reason):
            ensure(server, application, master)
    finally:
        postgres.accept()
    assert ensure(server, application, master)[:2] == ("created", "created")


@NEWEST
def test_a_certificate_of_another_authority_is_refused(
    server: Server, application: Credentials, master: Master
) -> None:
    amazon = "layers/psycopg2/certificates/global-bundle.pem"
    with pytest.raises(DatabaseFailed, match=r"certificate verify failed.*PGSSLROOTCERT"):
        ensure(Server("localhost", server.port, amazon), application, master)


@NEWEST
def test_a_certificate_of_another_name_is_refused(
    server: Server, application: Credentials, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    with pytest.raises(DatabaseFailed, match=r"does not match host name.*endpoint"):
        ensure(Server("database.example.com", server.port, server.root_certificate), application, master)


@NEWEST
def test_a_missing_root_certificate_is_named(server: Server, application: Credentials, master: Master) -> None:
    with pytest.raises(DatabaseFailed, match=r"/nowhere.pem.*PGSSLROOTCERT"):
        ensure(Server("localhost", server.port, "/nowhere.pem"), application, master)


@NEWEST
def test_a_connection_without_tls_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        postgres.connect(postgres.master, postgres.master_password, sslmode="disable")


PASSWORDS = {
    "every printable character": string.digits + string.ascii_letters + string.punctuation + " ",
    "quotes": "'\"''\"\"`",
    "backslashes": "\\\\'\\x41\\",
    "percent": "%s %(password)s %%",
    "dollars": "$$ $body$ ${HOME}",
    "uri": "p@ss:word/?#[]&=+%40",
    "spaces at the ends": "  between  ",
    "other alphabets": "Übermaß-密码-пароль",
    "long": "x" * 512,
}


@NEWEST
@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
def test_any_password_arrives_and_none_is_logged(
    postgres: Postgres, server: Server, master: Master, password: str
) -> None:
    application = Credentials("rstudio", password)
    already = postgres.log.stat().st_size
    ensure(server, application, master)
    assert log_in(postgres, application) == "rstudio@rstudio"
    with pytest.raises(DatabaseFailed):  # an error quotes its statement in the log
        postgres.execute("CREATE ROLE alice")
        postgres.execute("ALTER DATABASE rstudio OWNER TO alice")
        ensure(server, application, master)
    log = postgres.log.read_bytes()[already:].decode()
    assert "CREATE ROLE" in log
    encoded = base64.b64encode(password.encode()).decode()
    forms = [
        password,
        encoded,
        urllib.parse.quote(password, safe=""),
        password.replace("'", "''"),
        repr(password)[1:-1],
    ]
    assert [form for form in forms if form in log] == []


@NEWEST
def test_runs_at_the_same_time_make_one_role_and_one_database(
    postgres: Postgres, server: Server, application: Credentials, master: Master
) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: ensure(server, application, master)[:2], range(4)))
    assert sorted(outcomes) == [("created", "created"), *[("unchanged", "unchanged")] * 3]
    assert log_in(postgres, application) == "rstudio@rstudio"


@NEWEST
def test_a_lock_that_another_run_holds_too_long_asks_for_patience(
    postgres: Postgres, server: Server, application: Credentials, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchwright.database.creation.LOCK_TIMEOUT", "200ms")
    with closing(postgres.connect(*master())) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (0x62656E6368777274,))
        with pytest.raises(TransientError, match="lock timeout"):
            ensure(server, application, master)
