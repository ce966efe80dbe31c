"""People whom an identity provider names: who of them gets in, and as which account.

Sources: Posit's administration guide, "User access overview" and "User provisioning", and for the least uid and the
required group src/cpp/server/server-options.json of rstudio/rstudio. When someone is in a group is as getgrnam(3) and
getpwnam(3) say it.
"""

import grp
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg2

from . import accounts, administration, log, name_service
from .configuration import Configuration
from .state import ConfigurationError, Refused

if TYPE_CHECKING:
    from .server import Server

LOGIN_DEFS = Path("/etc/login.defs")
LEAST_UID = 1000


class FailedError(Exception):
    """When someone cannot sign in: a sentence about what is wrong, and one about what to do."""

    def __init__(self, status: int, wrong: str, remedy: str) -> None:
        super().__init__(f"{wrong}. {remedy}")
        self.status = status
        self.wrong = wrong
        self.remedy = remedy


class Person(NamedTuple):
    """Who an identity provider says has signed in. groups: None where it is not asked for them."""

    user_name: str
    display_name: str
    email: str
    groups: list[str] | None


def admit(server: "Server", person: Person) -> str:
    """The account of someone who has signed in, which is made or changed as provisioning says. Raises FailedError."""
    configuration, name = server.files, person.user_name
    if accounts.enabled(configuration):
        name = _provision(server, person)
    elif "@" in name:
        raise FailedError(
            403,
            f"The user name {name} has an @, and no Linux account has one",
            "Take a claim without one, or switch user provisioning on, which takes what stands before the @.",
        )
    refuse(name, configuration)
    administration.record(configuration, name, "auth_login")
    return name


def refuse(name: str, configuration: Configuration) -> None:
    """Let only accounts pass that may use the server. Raises FailedError."""
    try:
        account = pwd.getpwnam(name)
    except KeyError as error:
        if accounts.enabled(configuration) and not name_service.active("passwd"):
            raise FailedError(
                403,
                f"The account {name} is in Workbench's database, but this node does not look there",
                f"{name_service.SWITCH} needs pwb in its lines passwd, group and shadow, and {name_service.MODULE} "
                "must exist.",
            ) from error
        raise FailedError(
            403, f"There is no account {name} on this node", "Make it on every node, or switch user provisioning on."
        ) from error
    if account.pw_uid < (least := _least_uid(configuration)):
        raise FailedError(
            403,
            f"The account {name} has the uid {account.pw_uid}, below {least}",
            "Accounts of the system get no session.",
        )
    group = configuration.server.get("auth-required-user-group", "")
    if group and not any(is_member(name, each) for each in group.split(",")):
        raise FailedError(
            403,
            f"The account {name} is not in the group {group}, which auth-required-user-group asks for",
            "Make it a member where its groups come from: the identity provider, or the groups of each node.",
        )


def is_member(name: str, group: str) -> bool:
    try:
        found, account = grp.getgrnam(group), pwd.getpwnam(name)
    except KeyError:
        return False
    return account.pw_gid == found.gr_gid or name in found.gr_mem


def is_administrator(name: str, configuration: Configuration) -> bool:
    groups = configuration.server.get("admin-group", "")
    return configuration.server.get("admin-enabled") == "1" and any(is_member(name, each) for each in groups.split(","))


def _provision(server: "Server", person: Person) -> str:
    configuration = server.files
    try:
        with server.link() as link:
            if not accounts.registers(configuration):
                return accounts.name_of(link, person.user_name)
            name = accounts.register(link, configuration, person.user_name, person.display_name, person.email)
            if person.groups is not None:
                accounts.reconcile_groups(link, configuration, name, person.groups)
    except Refused as error:
        raise FailedError(403, str(error), "Let the identity provider give another user name.") from error
    except (psycopg2.Error, ConfigurationError) as error:
        log.write("ERROR", f"Database error: {str(error).strip()}")
        raise FailedError(
            503, "Workbench cannot reach its database", f"Look at the database: {str(error).strip()}"
        ) from error
    return name


def _least_uid(configuration: Configuration) -> int:
    given = configuration.server.get("auth-minimum-user-id", "auto")
    if given != "auto":
        return int(given)
    found = re.search(r"^UID_MIN\s+(\d+)", LOGIN_DEFS.read_text() if LOGIN_DEFS.exists() else "", re.MULTILINE)
    return int(found[1]) if found else LEAST_UID
