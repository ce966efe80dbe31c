"""Who may come in, once PAM or an identity provider has said who it is, and what a person reads who may not.

Sources: Posit Workbench's administration guide (docs.posit.co/ide/server-pro): "User access overview" (whoever signs in
needs an account of the same name on the node), "Restricting access" (auth-required-user-group), "OpenID Connect
authentication" (a method of single sign-on excludes every other one).
"""

import grp
import os
import pwd
from collections.abc import Mapping
from typing import NamedTuple

from .sign_in import ON
from .state import ConfigurationError

REQUIRED_GROUP = "auth-required-user-group"
METHODS = {"openid": "auth-openid", "saml": "auth-saml"}


class SignInRefused(Exception):
    """When a person is not signed in: the message says what is wrong and what to do, for the page and for the log."""


class Identity(NamedTuple):
    """What an identity provider says of a person. groups: None where no attribute or claim for them is configured."""

    name: str
    groups: tuple[str, ...] | None = None


def method(server: Mapping[str, str]) -> str:
    """How people sign in, by rserver.conf: pam, openid or saml. Raises ConfigurationError where it says two ways."""
    chosen = [name for name, key in METHODS.items() if server.get(key, "0").lower() in ON]
    if len(chosen) > 1:
        raise ConfigurationError("auth-openid=1 and auth-saml=1 exclude each other: only one of them may be 1")
    return chosen[0] if chosen else "pam"


def admit(server: Mapping[str, str], identity: Identity) -> pwd.struct_passwd:
    """The account on this node of a person who may come in. Raises SignInRefused."""
    name = identity.name
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        hint = " A name with an @ is that of no account: let the identity provider send the part before it." * (
            "@" in name
        )
        raise SignInRefused(
            f"{name!r} has no account on this server. Add it to the users of the cluster, or switch provisioning on."
            f"{hint}"
        ) from None
    required = [each.strip() for each in server.get(REQUIRED_GROUP, "").split(",") if each.strip()]
    if required and not _is_in(account, required):
        raise SignInRefused(
            f"{name!r} is not in the group that {REQUIRED_GROUP} asks for ({', '.join(required)}). Make this person a "
            "member of it, then sign in again."
        )
    return account


def _is_in(account: pwd.struct_passwd, names: list[str]) -> bool:
    mine = set(os.getgrouplist(account.pw_name, account.pw_gid))
    for name in names:
        try:
            if grp.getgrnam(name).gr_gid in mine:
                return True
        except KeyError:  # a group that this node does not have
            pass
    return False
