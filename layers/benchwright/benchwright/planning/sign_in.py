"""How people sign in: what an input says of it that cannot be, and what will not work for everyone.

Sources: Posit Workbench administration guide, "OpenID Connect", "SAML", "User provisioning" and "PAM sessions"; its
release notes for what a version has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from benchwright.models import BY_PROVIDER, Auth, Wanted
from benchwright.planning import server_options
from benchwright.planning.problems import BACK, OR_BACK, Problem, object_in, objects_in
from benchwright.values import ENTRA, FIRST_PROVISIONED_ID, LAST_PROVISIONED_ID, LOWEST_ID, RESERVED_NAMES

# The methods that each key of `auth` belongs to. A key that is not here belongs to all of them.
METHODS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("issuer", "client_id", "client_secret", "username_claim", "scopes", "groups_claim"), ("oidc",)),
    **dict.fromkeys(("metadata_url", "metadata", "username_attribute", "name_id_format", "post_binding"), ("saml",)),
    **dict.fromkeys(("sssd_conf", "probe_account"), ("sssd",)),
    "groups_attribute": ("saml",),
    **dict.fromkeys(("provisioning", "scim_token"), ("oidc", "saml")),
}
METHOD_NAMES = get_args(Auth.model_fields["method"].annotation)
NEEDED: Mapping[str, tuple[str, ...]] = {
    "oidc": ("issuer", "client_id", "client_secret"),
    "sssd": ("sssd_conf", "probe_account"),
}
# Of jit: who belongs to a group says the identity provider, at each sign-in.
GROUPS_OF_PROVIDER = ("groups_claim", "groups_attribute")
# Releases that brought what a key needs.
JIT_SINCE, SCIM_SINCE, JIT_GROUPS_SINCE, REWRITE_SINCE = "2024.09", "2024.04", "2025.09", "2024.12"
# Keys of rserver.conf in whose place a key of `auth` is; of the others, what of `auth` writes them.
PLACES: Mapping[str, str] = {
    **dict.fromkeys(("auth-openid", "auth-saml", "auth-proxy", "auth-none"), "method"),
    "auth-openid-issuer": "issuer",
    "auth-openid-username-claim": "username_claim",
    "auth-openid-scopes": "scopes",
    "auth-openid-groups-claim": "groups_claim",
    "auth-saml-metadata-url": "metadata_url",
    "auth-saml-metadata-path": "metadata",
    "auth-saml-sp-base-uri": "method",
    "auth-saml-sp-attribute-username": "username_attribute",
    "auth-saml-sp-attribute-groups": "groups_attribute",
    "auth-saml-sp-name-id-format": "name_id_format",
    "auth-saml-idp-post-binding": "post_binding",
    "user-provisioning-enabled": "provisioning",
    "user-provisioning-register-on-first-login": "provisioning",
    "user-provisioning-start-uid": "provisioning",
    "group-provisioning-start-gid": "provisioning",
    "user-homedir-path": "provisioning",
}
SESSION_KEYS = ("auth-pam-sessions-enabled", "auth-pam-sessions-profile")
GROUPS_IN_CONFIG: Mapping[str, tuple[str, ...]] = {
    "required_group": ("auth-required-user-group",),
    "admin_group": ("admin-enabled", "admin-group"),
}
# An e-mail address is what these give (OpenID Connect Core 1.0, section 5.1; Microsoft identity platform, "ID token
# claims reference": preferred_username is a user principal name).
MAIL_CLAIMS = ("email", "upn")
REWRITE_KEY = "auth-user-rewrite-rule"
LEAST_ID = "auth-minimum-user-id"


def contradictions(merged: Mapping[str, Any]) -> list[Problem]:
    """Find what no single field shows, in an input that may be wrong in other ways too."""
    auth = object_in(merged, "auth")
    method = auth.get("method", "pam")
    if not isinstance(merged.get("auth"), dict) or method not in METHOD_NAMES:
        return []  # what is no method is refused as such
    found, problems = _without_method(auth) if "method" not in auth else ("", [])
    method = found or method  # what is asked for without a method is judged as with it
    problems += [*_of_other_methods(auth, method), *_missing(auth, method)]
    if method in BY_PROVIDER and not object_in(merged, "access"):
        wrong = "the identity provider sends people back to an https address, and the cluster has none"
        problems.append(("auth.method", method, wrong, "an address in `access`, too, or null for `auth`"))
    if method in BY_PROVIDER:
        problems += _of_provisioning(merged, auth)
    problems += [*_of_directory(merged, auth), *_of_version(merged, auth)]
    return problems + list(_of_config(merged, auth, method))


def _without_method(auth: Mapping[str, Any]) -> tuple[str, list[Problem]]:
    """Find keys that belong to a method where none is given; returns also the method, if one alone has them all."""
    by_methods: dict[tuple[str, ...], list[str]] = {}
    for key, methods in METHODS.items():
        if _is_given(auth, key):
            by_methods.setdefault(methods, []).append(key)
    if not by_methods:
        return "", []
    fitting = [method for method in METHOD_NAMES if all(method in methods for methods in by_methods)]
    belong = [
        f"{', '.join(keys)} {'belongs' if len(keys) == 1 else 'belong'} to {' or '.join(methods)}"
        for methods, keys in by_methods.items()
    ]
    some = fitting or [method for method in METHOD_NAMES if any(method in methods for methods in by_methods)]
    give = " or ".join(f'"{method}"' for method in some)
    problem: Problem = ("auth.method", None, f"the method is missing, and {', '.join(belong)}", give)
    return fitting[0] if len(fitting) == 1 else "", [problem]


def _is_given(auth: Mapping[str, Any], key: str) -> bool:
    """Return whether a key is there; a default that is given counts for nothing."""
    return key in auth and auth[key] != Auth.model_fields[key].default


def _of_other_methods(auth: Mapping[str, Any], method: Any) -> list[Problem]:
    """Find keys of another method than the one that is given."""
    if "method" not in auth:
        return []
    return [
        (f"auth.{key}", auth[key], f"it belongs to the method {' or '.join(methods)}, not to {method}", BACK)
        for key, methods in METHODS.items()
        if method not in methods and _is_given(auth, key)
    ]


def _missing(auth: Mapping[str, Any], method: Any) -> list[Problem]:
    problems: list[Problem] = [
        (f"auth.{key}", None, f"the method {method} needs it", Auth.model_fields[key].description or "")
        for key in NEEDED.get(method, ())
        if auth.get(key) is None
    ]
    if method == "saml" and (auth.get("metadata_url") is None) is (auth.get("metadata") is None):
        have = "neither" if auth.get("metadata") is None else "both"
        wrong = f"the method saml needs one of metadata_url and metadata, and has {have}"
        problems.append(("auth.metadata_url", auth.get("metadata_url"), wrong, "one of the two"))
    return problems


def _of_provisioning(merged: Mapping[str, Any], auth: Mapping[str, Any]) -> Iterator[Problem]:
    provisioning = auth.get("provisioning", "none")
    users, groups = objects_in(merged, "users"), objects_in(merged, "groups")
    if provisioning != "jit":
        wrong = "Workbench takes groups from it with provisioning jit alone"
        for key in GROUPS_OF_PROVIDER:
            if auth.get(key) is not None and auth.get("method") in METHODS[key]:
                yield f"auth.{key}", auth[key], wrong, f'"provisioning": "jit", {OR_BACK}'
    if provisioning == "scim" and auth.get("scim_token") is None:
        wrong = "the identity provider needs a token for SCIM"
        yield "auth.scim_token", None, wrong, Auth.model_fields["scim_token"].description or ""
    if provisioning != "scim" and auth.get("scim_token") is not None:
        yield "auth.scim_token", auth["scim_token"], f"with provisioning {provisioning} nothing uses it", BACK
    if provisioning == "none":
        if not users and not object_in(merged, "image").get("ami"):
            wrong = "no one has an account: Workbench makes none, and `users` is empty"
            yield "auth.provisioning", provisioning, wrong, '"jit" or "scim", or accounts in `users`'
        return
    owner = f"Workbench gives the ids from {FIRST_PROVISIONED_ID} to {LAST_PROVISIONED_ID} to people and groups itself"
    for kind, entries, keys in (("users", users, ("uid", "gid")), ("groups", groups, ("gid",))):
        for name, entry in sorted(entries.items()):
            for key in keys:
                if is_provisioned(entry.get(key)):
                    yield (
                        f"{kind}.{name}.{key}",
                        entry[key],
                        owner,
                        'another id; one in use stays, with "provisioning": "none"',
                    )


def _of_directory(merged: Mapping[str, Any], auth: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a probe account that a node has itself, which comes before that of the directory."""
    name, method = auth.get("probe_account"), auth.get("method")
    if method == "sssd" and isinstance(name, str) and name in RESERVED_NAMES.union(objects_in(merged, "users")):
        wrong = "a node has an account of this name itself, and takes it for that of the directory"
        yield "auth.probe_account", name, wrong, "an account that only the directory has"


def is_provisioned(number: Any) -> bool:
    """Return whether an id is one of those that Workbench gives itself."""
    return isinstance(number, int) and FIRST_PROVISIONED_ID <= number <= LAST_PROVISIONED_ID


def _of_version(merged: Mapping[str, Any], auth: Mapping[str, Any]) -> list[Problem]:
    version = object_in(merged, "workbench").get("version")
    if not isinstance(version, str):
        return []
    release = ".".join(version.split(".")[:2])
    needs = [
        ("provisioning", auth.get("provisioning"), since)
        for provisioning, since in (("jit", JIT_SINCE), ("scim", SCIM_SINCE))
        if auth.get("provisioning") == provisioning
    ]
    needs += [(key, auth[key], JIT_GROUPS_SINCE) for key in GROUPS_OF_PROVIDER if auth.get(key) is not None]
    return [
        (f"auth.{key}", value, f"Workbench has it since {since}, and workbench.version is {version}", "a newer version")
        for key, value, since in needs
        if release < since
    ]


def _of_config(merged: Mapping[str, Any], auth: Mapping[str, Any], method: Any) -> Iterator[Problem]:
    """Find keys of rserver.conf that have their place in `auth`."""
    config = server_options.given(merged)
    places = dict(PLACES)
    if method != "pam":
        places |= dict.fromkeys(SESSION_KEYS, "method")
    for key, names in GROUPS_IN_CONFIG.items():
        if auth.get(key) is not None:
            places |= dict.fromkeys(names, key)
    for name in sorted(set(places) & set(config)):
        wrong = f"with `auth`, its place is auth.{places[name]}, and Benchwright writes it"
        yield *config[name], wrong, BACK
    path, least = config.get(LEAST_ID, ("", None))
    if method != "pam" and not object_in(merged, "image").get("ami") and isinstance(least, str) and _lets_in(least):
        wrong = (
            "below it are accounts of the system alone, and whom the identity provider or the directory calls `ubuntu` "
            "would be the administrator of that name"
        )
        yield path, least, wrong, f"null, which is {LOWEST_ID}, or a higher number"


def _lets_in(least: str) -> bool:
    """Return whether this lowest id of who may sign in lets in accounts of the system."""
    return not re.fullmatch("[0-9]{1,10}", least) or int(least) < LOWEST_ID


def warn(wanted: Wanted) -> list[str]:
    """Return a warning about names that are no names of accounts, or about a provider that does not reach Workbench."""
    auth, access = wanted.auth, wanted.access
    if auth.provisioning == "scim" and access and access.scheme == "internal":
        text = (
            f"auth: with scim the identity provider calls https://{access.hostname}/scim/v2, and access.scheme is "
            'internal. One in the internet, such as Entra ID and Okta, needs "internet-facing" and its ranges in '
            "access.allowed_cidrs."
        )
        return [text]
    if auth.provisions or REWRITE_KEY in wanted.server_config:
        return []
    remedy = (
        f"Have it give another claim, set {REWRITE_KEY} in `config` (Workbench {REWRITE_SINCE} and newer), or let "
        "Workbench make the accounts (provisioning), which leaves out what follows the @."
    )
    wrong = "and no account in `users` can have an @ in its name"
    if auth.method == "oidc" and (auth.username_claim in MAIL_CLAIMS or _is_of_entra(auth)):
        claim = auth.username_claim or "preferred_username"
        return [f"auth: the claim {claim} of {auth.issuer} is an e-mail address, {wrong}. {remedy}"]
    if auth.method == "saml" and (auth.name_id_format, auth.username_attribute) == ("emailaddress", "NameID"):
        return [f"auth: the NameID is an e-mail address, {wrong}. {remedy.replace('claim', 'attribute')}"]
    return []


def _is_of_entra(auth: Auth) -> bool:
    is_default = auth.username_claim in (None, "preferred_username")
    return is_default and re.match(ENTRA, auth.issuer or "") is not None
