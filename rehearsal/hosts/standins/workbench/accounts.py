"""Native user provisioning: accounts that Workbench keeps in its database, the same on every node.

A person who signs in for the first time gets a row in `licensed_users`, with the next free uid, and on every sign-in
the groups that the identity provider names. Sources: Posit's administration guide, "User provisioning" (columns of
licensed_users, ids, just-in-time provisioning, "On every login, Workbench reconciles the user's group memberships").
How the real database keeps groups is not published: these two tables are ours.
"""

import grp
import itertools
import pwd
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from . import cluster, log
from .configuration import Configuration
from .state import Refused

DEFAULT_START = 1000  # of user-provisioning-start-uid and group-provisioning-start-gid
LOCK = 8788
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


class Account(NamedTuple):
    """An account as the name service of a node gives it; its group has the same name and number."""

    name: str
    uid: int
    home: str
    display_name: str


class Group(NamedTuple):
    """A group as the name service of a node gives it."""

    name: str
    gid: int
    members: tuple[str, ...]


def enabled(configuration: Configuration) -> bool:
    return configuration.server.get("user-provisioning-enabled") == "1"


def registers(configuration: Configuration) -> bool:
    """Whether who signs in for the first time gets an account."""
    return enabled(configuration) and configuration.server.get("user-provisioning-register-on-first-login") == "1"


def register(link: Connection, configuration: Configuration, user_name: str, display_name: str, email: str) -> str:
    """Make the account of someone who has none yet; returns its name. Raises Refused.

    An account that the node has already keeps its uid.
    """
    name = user_name.partition("@")[0]
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r}, made of the user name {user_name!r}, is no name of a Linux account")
    with cluster.transaction(link) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        cursor.execute("select user_name from licensed_users where posix_name = %s", (name,))
        if row := cursor.fetchone():
            if row[0] != user_name:
                raise Refused(f"The account {name} belongs to the user {row[0]!r}, not to {user_name!r}")
            return name
        try:
            here = pwd.getpwnam(name)
            uid, home = here.pw_uid, here.pw_dir
        except KeyError:
            uid = _next_id(cursor, configuration, "user-provisioning-start-uid")
            home = f"{configuration.server.get('user-homedir-path', '/home')}/{name}"
        cursor.execute(
            "insert into licensed_users (user_name, user_id, posix_name, homedir, shadow, display_name, email) "
            "values (%s, %s, %s, %s, '*', %s, %s)",
            (user_name, uid, name, home, display_name, email),
        )
    log.write("INFO", f"User {user_name} is registered as the account {name}, uid {uid}")
    return name


def name_of(link: Connection, user_name: str) -> str:
    """The account of a user whom the identity provider has pushed, or of that name on the node. Raises Refused."""
    with cluster.transaction(link) as cursor:
        cursor.execute("select posix_name from licensed_users where user_name = %s", (user_name,))
        row = cursor.fetchone()
    if row is None and "@" in user_name:
        raise Refused(f"The identity provider has pushed no user {user_name}")
    return row[0] if row else user_name


def reconcile_groups(link: Connection, configuration: Configuration, name: str, groups: Sequence[str]) -> None:
    """Make an account a member of these groups and of no others; a group that is new gets the next free gid."""
    taken = [group for group in groups if NAME.fullmatch(group)]
    if others := sorted(set(groups) - set(taken)):
        log.write("WARNING", f"The groups {', '.join(others)} of {name} have no names that Linux takes: passed over")
    with cluster.transaction(link) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        for group in taken:
            cursor.execute("select 1 from licensed_groups where group_name = %s", (group,))
            if cursor.fetchone():
                continue
            gid = _next_id(cursor, configuration, "group-provisioning-start-gid")
            cursor.execute("insert into licensed_groups values (%s, %s)", (group, gid))
        cursor.execute("delete from licensed_group_members where posix_name = %s", (name,))
        for group in taken:
            cursor.execute("insert into licensed_group_members values (%s, %s)", (group, name))


def account(link: Connection, *, name: str | None = None, uid: int | None = None) -> Account | None:
    with cluster.transaction(link) as cursor:
        cursor.execute(
            "select posix_name, user_id, homedir, display_name from licensed_users "
            "where posix_name = %s or user_id = %s",
            (name, uid),
        )
        row = cursor.fetchone()
    return Account(*row) if row else None


def group(link: Connection, *, name: str | None = None, gid: int | None = None) -> Group | None:
    """A group of the identity provider, or the own group of an account."""
    with cluster.transaction(link) as cursor:
        cursor.execute(
            "select group_name, group_id, array(select posix_name from licensed_group_members as member "
            "where member.group_name = licensed_groups.group_name order by posix_name) "
            "from licensed_groups where group_name = %s or group_id = %s",
            (name, gid),
        )
        row = cursor.fetchone()
    if row:
        return Group(row[0], row[1], tuple(row[2]))
    own = account(link, name=name, uid=gid)
    return Group(own.name, own.uid, ()) if own else None


def gids(link: Connection, name: str) -> list[int]:
    """The gids of the groups that an account is a member of."""
    with cluster.transaction(link) as cursor:
        cursor.execute(
            "select group_id from licensed_groups join licensed_group_members using (group_name) "
            "where posix_name = %s order by group_id",
            (name,),
        )
        return [gid for (gid,) in cursor.fetchall()]


def _next_id(cursor: Any, configuration: Configuration, start: str) -> int:
    """The first number from `start` that is neither a uid nor a gid, in the database or on this node."""
    cursor.execute("select user_id from licensed_users union select group_id from licensed_groups")
    taken = {number for (number,) in cursor.fetchall()}
    for number in itertools.count(int(configuration.server.get(start) or DEFAULT_START)):
        if number not in taken and not _is_here(pwd.getpwuid, number) and not _is_here(grp.getgrgid, number):
            break
    return number


def _is_here(look_up: Callable[[int], object], number: int) -> bool:
    try:
        look_up(number)
    except KeyError:
        return False
    return True
