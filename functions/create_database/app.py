"""Creates the Postgres role and database of Workbench, or sees that both are right and changes nothing."""

from pydantic import BaseModel

from benchwright.aws import client
from benchwright.database.creation import Credentials, Server, ensure, parse_credentials
from benchwright.errors import DatabaseFailed
from benchwright.models import DATABASE_USER
from benchwright.record import confirm_lock
from benchwright.settings import settings
from benchwright.step import StepEvent, StepResult, step


class Database(BaseModel):
    """Where the database is and where its secrets are."""

    endpoint: str
    port: int
    master_secret_arn: str
    secret_arn: str


class Event(StepEvent):
    """What the state machine passes."""

    database: Database


class Result(StepResult):
    """What became of role and database."""

    role: str
    database: str
    server_version: str


@step(Event)
def handler(event: Event) -> Result:
    """Look first, then create or update what is missing, and prove it by a login as the application."""
    confirm_lock(event.cluster, event.execution)
    database = event.database
    server = Server(database.endpoint, database.port, settings().pgsslrootcert)
    outcome = ensure(server, application(database.secret_arn), lambda: credentials(database.master_secret_arn))
    return Result(**outcome._asdict())


def application(arn: str) -> Credentials:
    """Return the credentials of Workbench; raises DatabaseFailed where they are not of the role that nodes log in as.

    Another role would get the database and, if it is there already, the password: even the master's.
    """
    found = credentials(arn)
    if found.username != DATABASE_USER:
        raise DatabaseFailed(
            f'The secret {arn} has a username that is not "{DATABASE_USER}", as which the nodes log in. Give it a new '
            "version with that username and a password, then start again. Nothing was changed in the database."
        )
    return found


def credentials(arn: str) -> Credentials:
    """Return the current version of a secret that holds a user name and a password."""
    found = client("secretsmanager").get_secret_value(SecretId=arn)
    return parse_credentials(found.get("SecretString", ""), arn)  # one that was stored as binary has no text
