"""The cluster as the nodes see it: two tables in the shared PostgreSQL.

One row of `cluster` holds what all nodes must agree on, and is written by the first node that comes online; one row of
`node` is a node. The real tables are for internal use only (docs.posit.co/ide/server-pro/database/data_dictionary);
these have what the commands print.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection

from . import log
from .configuration import Database
from .state import ConfigurationError, Refused

STALE_SECONDS = 10
PEER_SECONDS = 3.0
OWN_LOAD = "/load-balancer/server-status"
ONLINE, OFFLINE, INVALID_KEY, INVALID_PROTOCOL = "Online", "Offline", "Invalid secure cookie key", "Invalid protocol"
MIGRATION_LOCK = 8787

SCHEMA = """
create table if not exists schema_version (version text not null);
create table if not exists cluster (key_hash text not null, protocol text not null);
create table if not exists node (
  id serial primary key, host text not null, ipv4 text not null, port integer not null, status text not null,
  last_seen timestamptz not null default now(), unique (host, ipv4, port)
);
create table if not exists licensed_users (
  user_name text primary key, locked boolean not null default false, user_id integer unique, posix_name text unique,
  homedir text, is_admin boolean not null default false, shadow text, display_name text, email text
);
create table if not exists licensed_groups (group_name text primary key, group_id integer unique not null);
create table if not exists licensed_group_members (
  group_name text references licensed_groups, posix_name text, primary key (group_name, posix_name)
);
create table if not exists revoked_cookie (expiration timestamptz not null, cookie_data text primary key);
create table if not exists active_session_metadata (session_id text primary key, metadata text not null);
create table if not exists api_token (
  name text primary key, kind text not null, user_name text not null, hash text not null
);
"""


class Node(NamedTuple):
    """A row of the node table."""

    id: int
    host: str
    ipv4: str
    port: int
    status: str
    last_seen: datetime.datetime


class Place(NamedTuple):
    """Where a node listens, which is what it is known by."""

    host: str
    ipv4: str
    port: int


def connect(database: Database, application: str) -> Connection:
    """Log in. Raises ConfigurationError with PostgreSQL's own words when it refuses."""
    try:
        link = psycopg2.connect(
            database.uri, password=database.password or None, connect_timeout=10, application_name=application
        )
    except psycopg2.Error as error:
        raise ConfigurationError(f"Could not connect to the database: {str(error).strip()}") from error
    link.autocommit = False
    return link


@contextmanager
def transaction(link: Connection) -> Iterator[Any]:
    """A cursor whose work is committed at the end."""
    with link, link.cursor() as cursor:
        yield cursor


def migrate(link: Connection, version: str) -> None:
    """Make the tables, or bring them to this version. Raises Refused when a newer version has been here already."""
    with transaction(link) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        cursor.execute(SCHEMA)
        cursor.execute("select version from schema_version")
        row = cursor.fetchone()
        if row is None:
            cursor.execute("insert into schema_version values (%s)", (version,))
        elif _parts(row[0]) > _parts(version):
            raise Refused(f"The database has the schema of version {row[0]}, newer than this server's {version}")
        elif row[0] != version:
            cursor.execute("update schema_version set version = %s", (version,))


def join(link: Connection, place: Place, key_hash: str, protocol: str) -> int:
    """Register this node and give its id. Raises Refused when its key or protocol is not the cluster's.

    While no node is online, the one that comes first defines the cluster again.
    """
    with transaction(link) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        cursor.execute("select key_hash, protocol from cluster")
        cluster = cursor.fetchone()
        others = [
            node for node in _nodes(cursor) if node.status == ONLINE and (node.host, node.ipv4, node.port) != place
        ]
        if cluster != (key_hash, protocol) and not others:
            cursor.execute("delete from cluster")
            cursor.execute("insert into cluster values (%s, %s)", (key_hash, protocol))
            cluster = (key_hash, protocol)
        status = (
            ONLINE if cluster == (key_hash, protocol) else INVALID_KEY if cluster[0] != key_hash else INVALID_PROTOCOL
        )
        cursor.execute(
            "insert into node (host, ipv4, port, status) values (%s, %s, %s, %s) "
            "on conflict (host, ipv4, port) do update set status = excluded.status, last_seen = now() returning id",
            (*place, status),
        )
        number = int(cursor.fetchone()[0])
    if status == INVALID_KEY:
        raise Refused(f"Invalid secure cookie key: its hash {key_hash} does not match {cluster[0]}, the cluster's")
    if status == INVALID_PROTOCOL:
        raise Refused(f"Invalid protocol: {protocol} does not match {cluster[1]}, the cluster's")
    return number


def beat(link: Connection, number: int) -> bool:
    """Say that the node lives. False when its row is gone."""
    with transaction(link) as cursor:
        cursor.execute("update node set last_seen = now(), status = %s where id = %s", (ONLINE, number))
        return bool(cursor.rowcount)


def leave(link: Connection, number: int, *, delete: bool) -> None:
    """At a clean exit: delete the row, or mark it offline."""
    with transaction(link) as cursor:
        if delete:
            cursor.execute("delete from node where id = %s", (number,))
        else:
            cursor.execute("update node set status = %s where id = %s", (OFFLINE, number))


def nodes(link: Connection) -> list[Node]:
    """All rows, in the order of their ids; one that has not been seen for a while is offline."""
    with transaction(link) as cursor:
        return _nodes(cursor)


def protocol(link: Connection) -> str:
    with transaction(link) as cursor:
        cursor.execute("select protocol from cluster")
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def delete_node(link: Connection, number: int) -> None:
    """Raises Refused for a node that is online or does not exist."""
    found = [node for node in nodes(link) if node.id == number]
    if not found:
        raise Refused(f"No node with ID {number} exists")
    if found[0].status == ONLINE:
        raise Refused(f"Node {number} is online: stop it before it is deleted")
    with transaction(link) as cursor:
        cursor.execute("delete from node where id = %s", (number,))


def reset(link: Connection) -> None:
    with transaction(link) as cursor:
        cursor.execute("delete from cluster")


def _nodes(cursor: Any) -> list[Node]:
    cursor.execute(
        "select id, host, ipv4, port, case when status = %s and last_seen < now() - %s * interval '1 second' "
        "then %s else status end, last_seen at time zone 'UTC' from node order by id",
        (ONLINE, STALE_SECONDS, OFFLINE),
    )
    return [Node(*row) for row in cursor.fetchall()]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def add_token(link: Connection, name: str, kind: str, user: str, digest: str) -> None:
    """Raises Refused for a name that is taken."""
    with transaction(link) as cursor:
        cursor.execute(
            "insert into api_token values (%s, %s, %s, %s) on conflict do nothing", (name, kind, user, digest)
        )
        if not cursor.rowcount:
            raise Refused(f"A token with the name {name} already exists")


def delete_token(link: Connection, name: str) -> None:
    with transaction(link) as cursor:
        cursor.execute("delete from api_token where name = %s", (name,))
        if not cursor.rowcount:
            raise Refused(f"No token with the name {name} exists")


def user_of_token(link: Connection, digest: str) -> tuple[str, str] | None:
    """Kind and user of a token."""
    with transaction(link) as cursor:
        cursor.execute("select kind, user_name from api_token where hash = %s", (digest,))
        row = cursor.fetchone()
    return (str(row[0]), str(row[1])) if row else None


def status_of(node: Node) -> str:
    """What a node answers about its own load, empty where it does not."""
    import urllib.request  # only who asks another node needs it

    try:
        with urllib.request.urlopen(f"http://{node.host}:{node.port}{OWN_LOAD}", timeout=PEER_SECONDS) as response:
            text: str = response.read().decode()
    except OSError as error:
        log.write("ERROR", f"{error} [host: {node.host}:{node.port}, uri: {OWN_LOAD}]")
        return ""
    return text
