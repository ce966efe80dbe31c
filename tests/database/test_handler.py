"""The function CreateDatabase as Lambda calls it, on a real PostgreSQL and moto's Secrets Manager and DynamoDB."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from benchwright import observability
from benchwright.aws import session
from benchwright.database.creation import Credentials
from benchwright.errors import DatabaseFailed, LockLost, TransientError
from benchwright.settings import settings
from functions.create_database import app
from rehearsal.aws.postgres import Postgres
from tests.database.step import NEWEST
from tests.database.wire import Harm, Wire

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:deploy:one"
CONTEXT = SimpleNamespace(
    function_name="create_database",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:create_database",
    aws_request_id="one",
)


@pytest.fixture
def handler(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    environment = {
        "APPLICATION": "benchwright",
        "TABLE_NAME": "clusters",
        "PGSSLROOTCERT": str(postgres.ca),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("benchwright.aws._clients", {})
    monkeypatch.setattr(observability.metrics.provider, "namespace", "Benchwright")
    settings.cache_clear()
    session.cache_clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="clusters",
            KeySchema=[{"AttributeName": "cluster", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "cluster", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        item = {"cluster": {"S": "workbench"}, "holder": {"S": EXECUTION}}
        boto3.client("dynamodb").put_item(TableName="clusters", Item=item)
        yield app.handler
    settings.cache_clear()
    session.cache_clear()


def secret(name: str, who: Credentials) -> str:
    document = json.dumps(who._asdict())
    arn: str = boto3.client("secretsmanager").create_secret(Name=name, SecretString=document)["ARN"]
    return arn


def event(postgres: Postgres, application: Credentials, execution: str = EXECUTION) -> dict[str, Any]:
    return {
        "cluster": "workbench",
        "execution": execution,
        "database": {
            "endpoint": "localhost",
            "port": postgres.port,
            "master_secret_arn": secret("rds!cluster-1", Credentials(postgres.master, postgres.master_password)),
            "secret_arn": secret("benchwright/workbench/database", application),
        },
    }


@NEWEST
def test_the_first_call_creates_and_the_second_leaves_alone(
    handler: Any, postgres: Postgres, application: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    version = str(postgres.execute("SHOW server_version")[0][0]).split()[0]
    call = event(postgres, application)
    assert handler(call, CONTEXT) == {
        "done": True,
        "role": "created",
        "database": "created",
        "server_version": version,
    }
    assert handler(call, CONTEXT) == {
        "done": True,
        "role": "unchanged",
        "database": "unchanged",
        "server_version": version,
    }
    logged = "".join(repr(vars(record)) for record in caplog.records)
    assert len(caplog.records) >= 2
    assert application.password not in logged
    assert postgres.master_password not in logged


@NEWEST
def test_without_the_lock_nothing_is_created(handler: Any, postgres: Postgres, application: Credentials) -> None:
    with pytest.raises(LockLost):
        handler(event(postgres, application, "arn:another"), CONTEXT)
    assert postgres.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'rstudio'") == [(0,)]


@NEWEST
@pytest.mark.parametrize("username", ["postgres", "ann", "Rstudio"])
def test_a_secret_of_another_role_than_the_nodes_is_refused_before_anyone_gets_a_password(
    handler: Any, postgres: Postgres, application: Credentials, username: str
) -> None:
    def roles() -> list[tuple[Any, ...]]:
        return postgres.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname")

    before = roles()
    call = event(postgres, Credentials(username, application.password))
    with pytest.raises(DatabaseFailed) as caught:
        handler(call, CONTEXT)
    assert str(caught.value) == (
        f'The secret {call["database"]["secret_arn"]} has a username that is not "rstudio", as which the nodes log in. '
        "Give it a new version with that username and a password, then start again. Nothing was changed in the "
        "database."
    )
    assert roles() == before
    assert postgres.execute("SELECT count(*) FROM pg_database WHERE datname = 'rstudio'") == [(0,)]


@NEWEST
def test_a_call_that_is_cut_off_may_be_repeated(
    handler: Any, postgres: Postgres, application: Credentials, wire: Wire
) -> None:
    call = event(postgres, application)
    call["database"]["port"] = wire.port
    wire.strike_once("2 CREATE DATABASE", lambda: Harm.UNANSWERED)
    with pytest.raises(TransientError):  # tests/database/step.py reads from the state machine that it retries this
        handler(call, CONTEXT)
    answer = handler(call, CONTEXT)
    assert (answer["role"], answer["database"]) == ("unchanged", "unchanged")
    postgres.connect(*application, "rstudio").close()


@NEWEST
def test_a_master_secret_that_is_rotated_after_it_was_read_is_read_again(
    handler: Any, postgres: Postgres, application: Credentials, wire: Wire
) -> None:
    call = event(postgres, application)
    call["database"]["port"] = wire.port

    def rotate() -> None:
        postgres.change_master_password("rotated-meanwhile")
        document = json.dumps(Credentials(postgres.master, postgres.master_password)._asdict())
        arn = call["database"]["master_secret_arn"]
        boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=document)

    wire.strike_once("2 startup", rotate)
    answer = handler(call, CONTEXT)
    assert (answer["role"], answer["database"]) == ("created", "created")
    assert [message.connection for message in wire.messages if message.type == "S"] == [1, 2, 3, 4]
