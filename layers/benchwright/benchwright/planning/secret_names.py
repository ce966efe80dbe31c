"""The keys of an input that name secrets of Secrets Manager, and what is wrong with what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchwright.planning.problems import (
    ARN_OF_SECRET,
    SECRETS_OF_SIGN_IN,
    Problem,
    is_name_of_secret,
    object_in,
    objects_in,
)
from benchwright.values import SECRET_NAME

# Posit Workbench administration guide, "License management": a key is activated for a machine, and a machine that is
# killed does not give it back.
LICENSE_KEY = r"([A-Za-z0-9]{4}-){3,}[A-Za-z0-9]{4}"
NO_KEYS = "it is a licence key, which each machine uses up for ever, and nodes come and go"
# What to do about a secret that is in an input in place of its name. Metadata is public (SAML 2.0 Metadata, section 1).
REPLACE = "make a new one at the identity provider"
REPLACEMENTS: Mapping[str, str] = {
    "auth.client_secret": REPLACE,
    "auth.scim_token": REPLACE,
    "auth.sssd_conf": "make a new password of its reader in the directory",
    "files": "make a new secret where it comes from",
    "license": "ask Posit for another one",
    "users": "choose another password",
}


def keys(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the keys that name secrets hold, by path."""
    users, auth = objects_in(merged, "users"), object_in(merged, "auth")
    named = {"license": merged.get("license")} | {
        f"users.{name}.password": user.get("password") for name, user in users.items()
    }
    named |= {f"files.{name}.secret": file.get("secret") for name, file in objects_in(merged, "files").items()}
    named |= {path: auth.get(path.removeprefix("auth.")) for path in SECRETS_OF_SIGN_IN}
    return dict(sorted(named.items()))


def prefix_of(path: str, application: str) -> str:
    """Return how the names of secrets begin that nodes may read for a key: its first part."""
    return f"{application}/{path.split('.', maxsplit=1)[0]}/"


def contradictions(merged: Mapping[str, Any], application: str) -> Iterator[Problem]:
    """Find what is no name of a secret that nodes may read: that of another one, an ARN, or the secret itself.

    Step Functions keeps the input of an execution for 90 days, so a secret in it is no longer one (developer guide,
    "Quotas").
    """
    for path, text in keys(merged).items():
        prefix = prefix_of(path, application)
        if not isinstance(text, str) or text.strip().startswith(prefix):
            continue  # blanks around it are refused by the model
        is_key = path == "license" and re.fullmatch(LICENSE_KEY, text)
        wrong = "the nodes may not read it" if re.fullmatch(SECRET_NAME, text) else "it is not the name of a secret"
        give = f"the name of a secret that begins with {prefix}"
        if path == "license":
            give = f'{give} and holds a licence file, or {{"server": "host:port"}}'
        if arn := re.fullmatch(ARN_OF_SECRET, text):
            wrong = "it is the ARN of a secret, and the key takes its name"
            if (name := re.sub("-[A-Za-z0-9]{6}$", "", arn[1])).startswith(prefix):
                give = name
            yield path, text, wrong, give
            continue
        if not is_name_of_secret(text):
            give += _of_exposed(path, bool(is_key))
        yield path, text, NO_KEYS if is_key else wrong, give


def _of_exposed(path: str, is_certain: bool) -> str:
    """Say what to do about a secret that the history of executions has; nothing of what is none."""
    replacement = REPLACEMENTS.get(path) or REPLACEMENTS.get(path.split(".", maxsplit=1)[0])
    if not replacement:
        return ""
    condition = "The" if is_certain else "If you gave what the secret holds, the"
    return f". {condition} history of executions shows it: {replacement}"
