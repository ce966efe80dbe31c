"""Any password that a secret may hold works from the secret to the login; any other is refused without any part of it.

The same passwords on a node, from the secret to database.conf to the login: tests/nodes/test_hostile_values.py.
"""

from __future__ import annotations

import json
import re
from contextlib import closing

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchwright.database.creation import Credentials, Server, ensure, parse_credentials
from benchwright.errors import DatabaseFailed
from functions.create_database import app
from rehearsal.aws.postgres import Postgres
from tests.database.step import NEWEST, Master
from tests.unit.benchwright.hostile import PRINTABLE, examples, json_values, specimens, texts

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:benchwright/workbench/database-AbCdEf"

passwords = st.builds("{}{}".format, specimens, st.text(st.characters(codec="utf-8"), max_size=20) | st.just(PRINTABLE))


@NEWEST
def test_any_password_of_a_secret_works_at_the_login_and_no_other_does(
    postgres: Postgres, server: Server, master: Master
) -> None:
    taken = refused = 0

    @settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(passwords)
    def works_or_is_refused(password: str) -> None:
        nonlocal taken, refused
        secret = json.dumps({"username": "rstudio", "password": password})
        try:
            application = parse_credentials(secret, ARN)
        except DatabaseFailed as error:
            assert password not in str(error).replace(ARN, "") or len(password) < 3
            refused += 1
            return
        assert application == Credentials("rstudio", password)
        ensure(server, application, master)
        with closing(postgres.connect("rstudio", password, "rstudio")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user::text")
            assert cursor.fetchone() == ("rstudio",)
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            postgres.connect("rstudio", f"{password}x", "rstudio")
        taken += 1

    works_or_is_refused()
    assert taken > 20
    assert refused > 5


keys = st.sampled_from(["username", "password", "host"])


@examples(300)
@given(texts | st.dictionaries(keys | texts, json_values, max_size=3).map(json.dumps) | json_values.map(json.dumps))
def test_any_secret_is_credentials_or_refused_without_a_word_of_it(secret: str) -> None:
    try:
        found = parse_credentials(secret, ARN)
    except DatabaseFailed as error:
        assert str(error) == (
            f'The secret {ARN} is not JSON of the form {{"username": "…", "password": "…"}}, or not of printable text. '
            "Give it a new version of this form, then start again."
        )
    else:
        assert {"username": found.username, "password": found.password}.items() <= json.loads(secret).items()
        assert not any(re.search(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", text) for text in found)
        assert all(text.encode() for text in found)


@pytest.mark.parametrize("secret", ["[" * 60_000, '{"a":' * 10_000, '{"username": "r", "password": "\\ud800"}'])
def test_a_secret_that_no_reader_can_bear_is_refused(secret: str) -> None:
    with pytest.raises(DatabaseFailed, match="is not JSON of the form"):
        parse_credentials(secret, ARN)


def test_a_secret_that_was_stored_as_binary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class SecretsManager:
        def get_secret_value(self, **_: str) -> dict[str, object]:
            return {"ARN": ARN, "SecretBinary": b"{}"}

    monkeypatch.setattr(app, "client", lambda _: SecretsManager())
    with pytest.raises(DatabaseFailed, match="is not JSON of the form"):
        app.credentials(ARN)
