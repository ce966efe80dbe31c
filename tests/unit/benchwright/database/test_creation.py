"""The decisions about role and database, without a server."""

import psycopg2
import pytest

from benchwright.database.creation import (
    Action,
    Barrier,
    Credentials,
    Login,
    Observed,
    _translated,
    login_answer,
    needed_actions,
    parse_credentials,
)
from benchwright.errors import DatabaseFailed, TransientError

CREATE, PASSWORD, JOIN, DATABASE = Action.CREATE_ROLE, Action.SET_PASSWORD, Action.JOIN_ROLE, Action.CREATE_DATABASE


@pytest.mark.parametrize(
    ("observed", "actions"),
    [
        (Observed(False, False, None, False), (CREATE, JOIN, DATABASE)),
        (Observed(True, False, None, False), (PASSWORD, JOIN, DATABASE)),
        (Observed(True, True, None, False), (JOIN, DATABASE)),
        (Observed(True, True, None, True), (DATABASE,)),
        (Observed(True, False, "rstudio", True), (PASSWORD,)),
        (Observed(True, True, "rstudio", False), ()),
    ],
)
def test_only_what_is_missing_is_done(observed: Observed, actions: tuple[Action, ...]) -> None:
    assert needed_actions(observed, "rstudio") == actions


@pytest.mark.parametrize(
    "observed",
    [
        Observed(False, False, "alice", False),
        Observed(True, True, "alice", True),
        Observed(True, False, None, True, (Barrier.NO_LOGIN,)),
    ],
)
def test_what_others_made_is_refused(observed: Observed) -> None:
    with pytest.raises(DatabaseFailed, match="start again"):
        needed_actions(observed, "rstudio")


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ('FATAL:  password authentication failed for user "rstudio"', Login.WRONG_CREDENTIALS),
        ('FATAL:  role "rstudio" does not exist', Login.WRONG_CREDENTIALS),
        ('FATAL:  role "rstudio" is not permitted to log in', Login.WRONG_CREDENTIALS),
        ('FATAL:  database "rstudio" does not exist', Login.NO_DATABASE),
        ("connection to server at … failed: Connection refused", Login.NOT_NOW),
        ("connection to server at … failed: timeout expired", Login.NOT_NOW),
        ("could not send data to server: Broken pipe", Login.NOT_NOW),
        ("SSL error: unexpected eof while reading", Login.NOT_NOW),
        ("FATAL:  canceling authentication due to timeout", Login.NOT_NOW),
        ("FATAL:  terminating connection due to administrator command", Login.NOT_NOW),
        ("FATAL:  could not fork new process for connection: Cannot allocate memory", Login.NOT_NOW),
        ("FATAL:  the database system is not yet accepting connections", Login.NOT_NOW),
        ('FATAL:  too many connections for role "rstudio"', Login.NO_ROOM),
        ('FATAL:  too many connections for database "rstudio"', Login.NO_ROOM),
        ('FATAL:  permission denied for database "rstudio"', Login.NO_ACCESS),
        ('FATAL:  database "rstudio" is not currently accepting connections', Login.NO_ACCESS),
        ('FATAL:  cannot connect to invalid database "rstudio"', Login.NO_ACCESS),
        ('FATAL:  PAM authentication failed for user "rstudio"', Login.REFUSED),
        ('FATAL:  LDAP authentication failed for user "rstudio"', Login.REFUSED),
        ("fe_sendauth: no password supplied", Login.REFUSED),
        ("server does not support SSL, but SSL was required", Login.REFUSED),
        ("FATAL:  something that no one has seen before", Login.NOT_NOW),
        ("FATAL:  recovery is paused", Login.NOT_NOW),
        ("SSL connection has been closed unexpectedly", Login.NOT_NOW),
        ("", Login.NOT_NOW),
        ("FATAL:  sorry, too many clients already", Login.NOT_NOW),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", Login.NOT_NOW),
        ("FATAL:  the database system is starting up", Login.NOT_NOW),
        ("FATAL:  the database system is in recovery mode", Login.NOT_NOW),
        ("could not translate host name … to address: Name or service not known", Login.NOT_NOW),
        ("SSL error: certificate verify failed", Login.REFUSED),
        ('server certificate for "a" does not match host name "b"', Login.REFUSED),
        ('root certificate file "/nowhere.pem" does not exist', Login.REFUSED),
        ("FATAL:  no pg_hba.conf entry for host …, no encryption", Login.REFUSED),
    ],
)
def test_the_text_of_a_refused_login_shows_what_it_means(message: str, answer: Login) -> None:
    assert login_answer(message) is answer


class Refused(psycopg2.Error):
    """What PostgreSQL says to a statement; the attributes of a true one are read-only."""

    def __init__(self, state: str | None, message: str) -> None:
        super().__init__(message)
        self.state = state

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]
        return self.state


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("0A000", DatabaseFailed),  # feature not supported
        ("22023", DatabaseFailed),  # invalid parameter value
        ("28000", DatabaseFailed),  # invalid authorization specification
        ("3F000", DatabaseFailed),  # invalid schema name
        ("42501", DatabaseFailed),  # insufficient privilege
        ("42P07", DatabaseFailed),  # duplicate table
        ("54000", DatabaseFailed),  # program limit exceeded
        ("F0000", DatabaseFailed),  # configuration file error
        ("42710", TransientError),  # duplicate object: another created it meanwhile
        ("42P04", TransientError),  # duplicate database
        ("23505", TransientError),  # unique violation
        ("25006", TransientError),  # read only transaction: the writer has become a reader
        ("57P01", TransientError),  # admin shutdown
        ("58030", TransientError),  # input and output error
        ("XX000", TransientError),  # internal error
        ("ZZ999", TransientError),  # of no class that PostgreSQL documents
        (None, TransientError),  # the connection was lost
    ],
)
def test_a_refused_statement_is_final_only_where_its_state_is_listed(state: str | None, error: type[Exception]) -> None:
    with pytest.raises(error, match="a text that no list has"), _translated():
        raise Refused(state, "a text that no list has")


def test_a_secret_of_rds_is_read() -> None:
    assert parse_credentials('{"username": "postgres", "password": "p"}', "arn") == Credentials("postgres", "p")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hidden",
        "[]",
        "{}",
        '{"username": "u"}',
        '{"username": "u", "password": ""}',
        '{"username": "u", "password": 7}',
    ],
)
def test_a_secret_of_another_form_is_named_and_not_quoted(secret: str) -> None:
    with pytest.raises(DatabaseFailed, match=r"^The secret arn:x is not JSON of the form") as failed:
        parse_credentials(secret, "arn:x")
    assert "hidden" not in str(failed.value)
    assert failed.value.__context__ is None or "hidden" not in str(failed.value.__context__)
