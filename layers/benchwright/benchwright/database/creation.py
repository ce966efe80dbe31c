"""The conversation with PostgreSQL: one role and one database for Workbench, made once and then left alone.

Nothing here drops, revokes or takes over. Passwords become SCRAM verifiers on this side of the connection, so they
appear neither in the server's log nor in its statistics.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, NamedTuple

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import encrypt_password

from benchwright.errors import DatabaseFailed, TransientError
from benchwright.models import DATABASE_NAME

MAINTENANCE_DATABASE = "postgres"
"""Where the master works; every Aurora cluster has it."""

CONNECT_TIMEOUT = 30
"""Seconds; a paused Aurora Serverless cluster needs about 15 to resume (Aurora User Guide, "Scaling to zero ACUs")."""

LOCK = 0x62656E6368777274
"""Key of the advisory lock that two runs on one cluster share: "benchwrt" in ASCII."""

LOCK_TIMEOUT = "25s"
"""How long one run waits for another before it asks the state machine for patience."""

IDLE_TIMEOUT = "60s"
"""After which the server ends a session of ours that says nothing more: a function that is killed says no farewell, and
without this its locks would stay until the server's TCP gives up, which takes longer than all retries.
"""

ROTATION_PAUSES = (0.0, 5.0, 15.0, 40.0)
"""Seconds before each further reading of the master secret whose password is refused. A rotation by RDS changes the
server first; for up to a minute, typically, the secret still holds the password before:
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_managed.html
"""

KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""How soon libpq gives up on a server that no longer answers, such as a failed writer: 25 s (the last is in ms)."""


class Credentials(NamedTuple):
    """Who logs in, and with what."""

    username: str
    password: str


@dataclass(frozen=True)
class Server:
    """How to reach PostgreSQL; its certificate must carry the name `endpoint` and be signed by `root_certificate`."""

    endpoint: str
    port: int
    root_certificate: str


class Outcome(NamedTuple):
    """What became of role and database, and the version of the server that holds them, such as `17.7`."""

    role: Literal["created", "updated", "unchanged"]
    database: Literal["created", "unchanged"]
    server_version: str


class Login(Enum):
    """How the server answered someone who wants to log in."""

    ACCEPTED = "accepted"
    WRONG_CREDENTIALS = "wrong credentials"
    NO_DATABASE = "no such database"
    NO_ACCESS = "no access to the database"
    NO_ROOM = "no connection left for the role or the database"
    NOT_NOW = "not now"
    REFUSED = "refused"


class Action(Enum):
    """The steps from what is there to what is wanted, in the order in which they are taken."""

    CREATE_ROLE = "create role"
    SET_PASSWORD = "set password"
    JOIN_ROLE = "join role"
    CREATE_DATABASE = "create database"


class Barrier(Enum):
    """What someone put before the role or its database: what it is, and the statement that lifts it."""

    NO_LOGIN = ('The role "{role}" exists but may not log in', 'ALTER ROLE "{role}" LOGIN')
    EXPIRED = (
        'The password of the role "{role}" has expired by its VALID UNTIL',
        "ALTER ROLE \"{role}\" VALID UNTIL 'infinity'",
    )
    ROLE_LIMIT = (
        'The role "{role}" may hold no connection by its CONNECTION LIMIT',
        'ALTER ROLE "{role}" CONNECTION LIMIT -1',
    )
    DATABASE_LIMIT = (
        'The database "{database}" takes no connection by its CONNECTION LIMIT',
        'ALTER DATABASE "{database}" CONNECTION LIMIT -1',
    )
    DATABASE_CLOSED = (
        'The database "{database}" takes no connection by its ALLOW_CONNECTIONS',
        'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true',
    )
    DATABASE_INVALID = (
        'The database "{database}" is what an interrupted DROP DATABASE left, and holds nothing that could be read',
        'DROP DATABASE "{database}"',
    )
    READ_ONLY = (
        'The role "{role}" may only read in "{database}" by default_transaction_read_only',
        'ALTER ROLE "{role}" IN DATABASE "{database}" SET default_transaction_read_only = off',
    )


@dataclass(frozen=True)
class Observed:
    """What is there.

    `database_owner` is None where the database is missing; `master_may_act` says whether the master may act for the
    role, `master_owns` whether it has what the owner has. `grants_have_options`: since PostgreSQL 16 a GRANT of a role
    says whether one may act for it (SET) and has what it has (INHERIT).
    """

    role_exists: bool
    password_fits: bool
    database_owner: str | None
    master_may_act: bool
    barriers: tuple[Barrier, ...] = ()
    master: str = "postgres"
    master_owns: bool = False
    grants_have_options: bool = True


# A refused login has no SQLSTATE on the client's side, only text, which Aurora writes in English. What is listed here
# stays as it is until a person changes something. All else is transient: no list holds every text of a server that
# starts, fails over, resumes or is short of something, nor of the network before it. A transient error that stays costs
# a few minutes of retries and then ends with its text.
ANSWERS: tuple[tuple[Login, tuple[str, ...]], ...] = (
    (Login.WRONG_CREDENTIALS, ("password authentication failed", "is not permitted to log in")),
    (
        Login.NO_ACCESS,
        (
            "permission denied for database",
            "is not currently accepting connections",
            "cannot connect to invalid database",
        ),
    ),
    (Login.NO_ROOM, ("too many connections for",)),
    (
        Login.REFUSED,
        (
            "certificate verify failed",
            "certificate authentication failed",
            "does not match host name",
            "could not get server's host name from server certificate",
            "root certificate file",
            "no pg_hba.conf entry",
            "pg_hba.conf rejects",
            "authentication failed for user",  # by PAM, LDAP and their like; by password it is above
            "no password supplied",
            "server does not support ssl",
            "invalid connection option",
            "unrecognized configuration parameter",
            "permission denied to set parameter",
            "must be superuser to connect",
        ),
    ),
)

# How libpq begins what it says of a server; our message has named it already.
CONNECTION = re.compile(r'connection to server at "[^"]*" \([^)]*\), port \d+ failed: ')

# SQLSTATE classes of what stays refused until a person changes something: features (0A), data (22), constraints (23), a
# login (28), names (3D, 3F), privileges, syntax and definitions (42), limits of the program (54) and settings (F0);
# https://www.postgresql.org/docs/current/errcodes-appendix.html. All else is transient: lost connections, exhausted
# resources, locks, a server that goes down or has just become a reader (25006), and what is not known.
FINAL_STATES = ("0A", "22", "23", "28", "3D", "3F", "42", "54", "F0")
# Another actor, which does not take our lock, created it after our look: the next look finds it.
MADE_MEANWHILE = ("23505", "42710", "42P04")

REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "certificate verify failed",
        "Let PGSSLROOTCERT name the RDS root certificates of your region (layers/psycopg2/certificates/PROVENANCE.md)",
    ),
    ("permission denied for database", f'As the owner of "{DATABASE_NAME}", give the role back its CONNECT privilege'),
    ("does not match host name", "Connect to the endpoint that RDS gave, not to an alias of it"),
    ("root certificate file", "Let PGSSLROOTCERT name a file of root certificates that exists"),
    (
        "pg_hba.conf",
        "Allow this user over TLS: look at the cluster's parameter group and at what stands before the cluster",
    ),
    ("PAM authentication failed", "Take rds_iam from this role: AWS lets its members in by IAM alone, by no password"),
)

# What the master lacks where PostgreSQL does not let it act, and what gives it that.
GRANTS: dict[Action, str] = {
    Action.CREATE_ROLE: 'ALTER ROLE "{master}" CREATEROLE',
    Action.SET_PASSWORD: 'GRANT "{role}" TO "{master}" WITH ADMIN OPTION',
    Action.JOIN_ROLE: 'GRANT "{role}" TO "{master}" WITH ADMIN OPTION',
    Action.CREATE_DATABASE: 'ALTER ROLE "{master}" CREATEDB',
}
ORDINARY = 'ALTER ROLE "{role}" NOSUPERUSER NOREPLICATION'


# What a node takes, too (infra/node/secret_text.py): NUL, a line break or half a character would end a value.
PRINTABLE = re.compile(r"[^\0-\x1f\x7f-\x9f\ud800-\udfff]+")


def parse_credentials(secret: str, arn: str) -> Credentials:
    """Read the JSON that RDS and Secrets Manager write; raises DatabaseFailed, without any part of the secret."""
    try:
        values = json.loads(secret)
        found = Credentials(values["username"], values["password"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not found or not all(isinstance(value, str) and PRINTABLE.fullmatch(value) for value in found):
        raise DatabaseFailed(
            f'The secret {arn} is not JSON of the form {{"username": "…", "password": "…"}}, or not of printable text. '
            "Give it a new version of this form, then start again."
        )
    return found


def login_answer(message: str) -> Login:
    """Return what the text of a refused login means."""
    text = message.lower()
    if "does not exist" in text:
        if 'database "' in text:
            return Login.NO_DATABASE
        if 'role "' in text:
            return Login.WRONG_CREDENTIALS
    for answer, signs in ANSWERS:
        if any(sign in text for sign in signs):
            return answer
    return Login.NOT_NOW


def needed_actions(observed: Observed, role: str, database: str = DATABASE_NAME) -> tuple[Action, ...]:
    """Return the actions that lead from `observed` to a role that owns its database.

    Raises DatabaseFailed where that would take over what someone else made.
    """
    if observed.barriers:
        found, lifted = zip(*(barrier.value for barrier in observed.barriers), strict=True)
        raise DatabaseFailed(
            f"{'; '.join(found)}. Unless someone means it so, run {'; '.join(lifted)}; then start again.".format(
                role=role, database=database
            )
        )
    if observed.database_owner not in (None, role):
        raise _belongs_to_another(observed, role, database)
    actions = []
    if not observed.role_exists:
        actions.append(Action.CREATE_ROLE)
    elif not observed.password_fits:
        actions.append(Action.SET_PASSWORD)
    if observed.database_owner is None:
        # Since PostgreSQL 16 the creator of a role may administer it but not act for it, which the owner of a database
        # must be open to; before, membership decides. The same grant serves both.
        if not observed.master_may_act:
            actions.append(Action.JOIN_ROLE)
        actions.append(Action.CREATE_DATABASE)
    return tuple(actions)


def _belongs_to_another(observed: Observed, role: str, database: str) -> DatabaseFailed:
    """Say how a master that is no superuser, as on RDS, gives the database away or renames it.

    Both need what the owner has, and CREATEDB; giving it away needs to act for the new owner, too
    (https://www.postgresql.org/docs/current/sql-alterdatabase.html).
    """
    owner, master = observed.database_owner, observed.master
    have, act = (" WITH INHERIT TRUE", " WITH SET TRUE") if observed.grants_have_options else ("", "")
    own = [] if observed.master_owns else [f'GRANT "{owner}" TO "{master}"{have}']
    make = [] if observed.role_exists else [f'CREATE ROLE "{role}" LOGIN']
    join = [] if observed.master_may_act else [f'GRANT "{role}" TO "{master}"{act}']
    give = "; ".join([*own, *make, *join, f'ALTER DATABASE "{database}" OWNER TO "{role}"'])
    rename = "; ".join([*own, f'ALTER DATABASE "{database}" RENAME TO "{database}_before"'])
    return DatabaseFailed(
        f'The database "{database}" belongs to "{owner}", not to "{role}", and Benchwright takes over nothing that '
        f'others made. If it is meant for Workbench, log in as "{master}" to the database "{MAINTENANCE_DATABASE}" and '
        f"run {give}; then start again. If it is not, run {rename}; then start again."
    )


def ensure(server: Server, application: Credentials, read_master: Callable[[], Credentials]) -> Outcome:
    """Bring role and database of the application about, and prove them by logging in as the application.

    `read_master` returns the current master credentials; it is called only when something is missing, and again when
    they were rotated meanwhile. Raises DatabaseFailed when PostgreSQL refuses, and TransientError when it asks
    for patience.
    """
    if _probe(server, application) is Login.ACCEPTED and (version := _prove(server, application)):
        return Outcome("unchanged", "unchanged", version)
    master, connection = _connect_as_master(server, read_master)
    with closing(connection), _translated(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK,))  # held until the connection closes
        observed = _observe(cursor, application.username)
        if observed.role_exists and not observed.barriers:
            answer = _probe(server, application)
            observed = replace(observed, password_fits=answer is not Login.WRONG_CREDENTIALS)
        actions = needed_actions(observed, application.username)
        for action in actions:
            _act(action, cursor, application, master)
    version = _prove(server, application)
    if not version:
        raise TransientError(f'The database "{DATABASE_NAME}" was given to another role meanwhile.')
    return Outcome(
        "created" if Action.CREATE_ROLE in actions else "updated" if Action.SET_PASSWORD in actions else "unchanged",
        "created" if Action.CREATE_DATABASE in actions else "unchanged",
        version,
    )


def _connect(server: Server, who: Credentials, database: str) -> Connection:
    connection: Connection = psycopg2.connect(
        host=server.endpoint,
        port=server.port,
        user=who.username,
        password=who.password,
        dbname=database,
        sslmode="verify-full",
        sslrootcert=server.root_certificate,
        connect_timeout=CONNECT_TIMEOUT,
        application_name="benchwright",
        # The proof waits and idles in a transaction, the master outside of one.
        options=f"-c lock_timeout={LOCK_TIMEOUT} -c idle_session_timeout={IDLE_TIMEOUT}"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT}",
        **KEEPALIVE,
    )
    connection.autocommit = True  # CREATE DATABASE refuses to run inside a transaction
    return connection


def _probe(server: Server, application: Credentials) -> Login:
    """Log in as the application and return the server's answer; raises when it says nothing about the role."""
    try:
        _connect(server, application, DATABASE_NAME).close()
    except psycopg2.Error as error:
        answer = login_answer(str(error))
        if answer in (Login.NOT_NOW, Login.REFUSED):
            raise _login_error(server, application.username, error) from error
        return answer
    return Login.ACCEPTED


def _connect_as_master(server: Server, read_master: Callable[[], Credentials]) -> tuple[str, Connection]:
    """Log in as the master; a password that does not fit is read again, since RDS rotates it on its own."""
    pauses = list(ROTATION_PAUSES)
    while True:
        master = read_master()
        try:
            return master.username, _connect(server, master, MAINTENANCE_DATABASE)
        except psycopg2.Error as error:
            if not pauses or login_answer(str(error)) is not Login.WRONG_CREDENTIALS:
                raise _login_error(server, master.username, error) from error
        time.sleep(pauses.pop(0))


def _observe(cursor: Cursor, role: str) -> Observed:
    cursor.execute(
        "SELECT NOT rolcanlogin, coalesce(rolvaliduntil <= now(), false), rolconnlimit = 0 "
        "FROM pg_roles WHERE rolname = %s",
        (role,),
    )
    found = cursor.fetchone()
    cursor.execute(
        "SELECT pg_get_userbyid(datdba), datconnlimit = 0, NOT datallowconn, datconnlimit = -2 "
        "FROM pg_database WHERE datname = %s",
        (DATABASE_NAME,),
    )
    database = cursor.fetchone()
    owner: str | None = database[0] if database else None
    grants_have_options = cursor.connection.server_version >= 160000
    may_act = bool(found) and _has(cursor, role, "SET" if grants_have_options else "MEMBER")
    signs = {
        Barrier.NO_LOGIN: found and found[0],
        Barrier.EXPIRED: found and found[1],
        Barrier.ROLE_LIMIT: found and found[2],
        Barrier.DATABASE_LIMIT: database and database[1],
        Barrier.DATABASE_CLOSED: database and database[2],
        Barrier.DATABASE_INVALID: database and database[3],
    }
    barriers = tuple(barrier for barrier, stands in signs.items() if stands)
    return Observed(
        role_exists=bool(found),
        password_fits=False,
        database_owner=owner,
        master_may_act=may_act,
        barriers=barriers,
        master=cursor.connection.info.user,
        master_owns=owner is not None and _has(cursor, owner, "USAGE"),
        grants_have_options=grants_have_options,
    )


def _has(cursor: Cursor, role: str, privilege: str) -> bool:
    """Return whether the master has a privilege on a role."""
    cursor.execute("SELECT pg_has_role(CURRENT_USER, %s::name, %s)", (role, privilege))
    return bool(cursor.fetchone() == (True,))


def _act(action: Action, cursor: Cursor, application: Credentials, master: str) -> None:
    role, database = sql.Identifier(application.username), sql.Identifier(DATABASE_NAME)
    password = sql.Literal(
        encrypt_password(application.password, application.username, cursor.connection, "scram-sha-256")
    )
    # Since PostgreSQL 16 a membership may be there without this right, and a plain GRANT would leave it so.
    option = sql.SQL(" WITH SET TRUE" if cursor.connection.server_version >= 160000 else "")
    statement = {
        Action.CREATE_ROLE: sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {password}"),
        Action.SET_PASSWORD: sql.SQL("ALTER ROLE {role} PASSWORD {password}"),
        Action.JOIN_ROLE: sql.SQL("GRANT {role} TO CURRENT_USER{option}"),
        Action.CREATE_DATABASE: sql.SQL("CREATE DATABASE {database} OWNER {role} TEMPLATE template0 ENCODING 'UTF8'"),
    }[action].format(role=role, database=database, password=password, option=option)
    try:
        cursor.execute(statement)
    except psycopg2.errors.InsufficientPrivilege as error:
        reason = f"{error.diag.message_primary}. {error.diag.message_detail or ''}".strip()
        remedy = ORDINARY if "superuser" in reason.lower() else GRANTS[action]
        raise DatabaseFailed(
            f'PostgreSQL does not let "{master}" {action.value} "{application.username}": {reason} '
            f"As a role that may, run {remedy.format(role=application.username, master=master)}; then start again."
        ) from error


def _prove(server: Server, application: Credentials) -> str:
    """Log in as the application, make a table as Workbench would, leave no trace, and return the server's version.

    Returns an empty text where the database is another role's, which the master can say more of.
    """
    try:
        connection = _connect(server, application, DATABASE_NAME)
    except psycopg2.Error as error:
        refused = _login_error(server, application.username, error)
        if login_answer(str(error)) in (Login.WRONG_CREDENTIALS, Login.NO_DATABASE):
            # It was right a moment ago, so someone changes it at this very time: look at it all again.
            raise TransientError(str(refused)) from error
        raise refused from error
    with closing(connection), _translated(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_userbyid(datdba), current_setting('default_transaction_read_only')::bool "
            "AND NOT pg_is_in_recovery() FROM pg_database WHERE datname = current_database()"
        )
        owner, read_only = cursor.fetchone() or (None, False)
        if owner != application.username:
            return ""
        # Refuses where the database is for reading only; a reader (in recovery) is a case for patience.
        barriers = (Barrier.READ_ONLY,) if read_only else ()
        needed_actions(Observed(True, True, owner, True, barriers), application.username)
        connection.autocommit = False
        try:
            cursor.execute("CREATE TABLE public.benchwright_proof ()")
        except psycopg2.errors.InsufficientPrivilege as error:
            raise DatabaseFailed(
                f'"{application.username}" may not create tables in the schema public of "{DATABASE_NAME}". Run '
                f'ALTER SCHEMA public OWNER TO "{application.username}" there, then start again.'
            ) from error
        except psycopg2.errors.InvalidSchemaName as error:
            raise DatabaseFailed(
                f'The database "{DATABASE_NAME}" has no schema public, in which Workbench keeps its tables. Run '
                f'CREATE SCHEMA public AUTHORIZATION "{application.username}" there, then start again.'
            ) from error
        connection.rollback()
        cursor.execute("SELECT current_setting('server_version')")
        version = cursor.fetchone()
    return str(version[0] if version else "").split()[0]


def _login_error(server: Server, user: str, error: psycopg2.Error) -> DatabaseFailed | TransientError:
    reason = CONNECTION.sub("", " ".join(str(error).split()))
    text = f'PostgreSQL at {server.endpoint}:{server.port} does not let "{user}" log in: {reason}'
    answer = login_answer(reason)
    if answer in (Login.NOT_NOW, Login.NO_ROOM):
        return TransientError(text)
    if answer is Login.WRONG_CREDENTIALS:
        remedy = "The secret holds another password than PostgreSQL: rotate the secret, then start again"
    else:
        remedy = next((remedy for sign, remedy in REMEDIES if sign in reason), "Fix what it names, then start again")
    return DatabaseFailed(f"{text}. {remedy}.")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what PostgreSQL says to a statement into our errors; only its primary message, which quotes no statement."""
    try:
        yield
    except psycopg2.Error as error:
        state, message = error.pgcode or "08000", error.diag.message_primary or " ".join(str(error).split())
        if not state.startswith(FINAL_STATES) or state in MADE_MEANWHILE or "concurrently updated" in message:
            raise TransientError(f"PostgreSQL asked for patience: {message} ({state})") from error
        raise DatabaseFailed(
            f"PostgreSQL refused: {message} ({state}). Fix what it names, then start again."
        ) from error
