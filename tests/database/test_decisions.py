"""The decisions about role and database, without a server."""

import pytest

from benchwright.database import Action, Barrier, Credentials, Login, Observed, decide, login_answer, parse_credentials
from benchwright.errors import DatabaseFailed

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
    assert decide(observed, "rstudio") == actions


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
        decide(observed, "rstudio")


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
def test_the_text_of_a_refused_login_tells_what_it_means(message: str, answer: Login) -> None:
    assert login_answer(message) is answer


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
