"""Creates the Postgres role and database of Workbench, or sees that both are right and changes nothing."""

from pydantic import BaseModel

from benchwright.database import Credentials, Server, ensure, parse_credentials
from benchwright.observability import StepEvent, client, step
from benchwright.record import confirm_lock
from benchwright.settings import settings


class Database(BaseModel):
    """Where the database is and where its secrets are."""

    endpoint: str
    port: int
    master_secret_arn: str
    secret_arn: str


class Event(StepEvent):
    """What the state machine passes."""

    database: Database


class Result(BaseModel):
    """What became of role and database."""

    done: bool = True
    role: str
    database: str
    server_version: str


@step(Event)
def handler(event: Event) -> Result:
    """Look first, then create or update what is missing, and prove it by a login as the application."""
    confirm_lock(event.cluster, event.execution)
    database = event.database
    server = Server(database.endpoint, database.port, settings().pgsslrootcert)
    outcome = ensure(server, credentials(database.secret_arn), lambda: credentials(database.master_secret_arn))
    return Result(**outcome._asdict())


def credentials(arn: str) -> Credentials:
    """Return the current version of a secret that holds a user name and a password."""
    found = client("secretsmanager").get_secret_value(SecretId=arn)
    return parse_credentials(found.get("SecretString", ""), arn)  # one that was stored as binary has no text
