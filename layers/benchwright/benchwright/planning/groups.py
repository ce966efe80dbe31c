"""Who is in which group, and what an input says of groups that cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from benchwright.models import BY_PROVIDER, MOST_GROUPS_OF_A_USER, Wanted
from benchwright.planning import elsewhere, server_options
from benchwright.planning.problems import OR_BACK, Problem, object_in, objects_in
from benchwright.planning.similar_names import meant
from benchwright.values import RESERVED_NAMES

# Keys of rserver.conf that name groups, divided by commas: who may sign in, and who may do what an administrator may
# (Posit Workbench administration guide, "Restricting access" and "Administrative dashboard").
GROUP_KEYS = ("auth-required-user-group", "admin-group", "admin-superuser-group")
GROUPS_OF_AUTH = ("required_group", "admin_group")  # keys of `auth` with one group each
MOST_SHOWN, LONGEST_NAME = 10, 80  # names in a text, and characters of each


def members_of(wanted: Wanted) -> dict[str, list[str]]:
    """Return the members of each group, in the order of their names; who was removed from `users` is none."""
    groups = {name: group.members for name, group in wanted.groups.items()}
    return _members({name: user.groups for name, user in wanted.users.items()}, groups)


def members_in(merged: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the same of an input that may be wrong."""
    return _members(*_as_given(merged))


def contradictions(merged: Mapping[str, Any], users: Collection[str], groups: Collection[str]) -> list[Problem]:
    """Find what no single field shows, in an input that may be wrong in other ways too.

    users, groups: the names of earlier inputs. One that was removed since may still be named: it counts for nothing, so
    that a person is removed by one key.
    """
    by_user, by_group = _as_given(merged)
    problems: list[Problem] = [
        (f"groups.{name}", name, "it is a group of the system, or an account of it", "another name")
        for name in sorted(RESERVED_NAMES & set(by_group))
    ]
    problems += [
        (f"groups.{name}", name, "the user of this name has a group of this name", "another name")
        for name in sorted(set(by_user) & set(by_group))
    ]
    for kind, key, named, what, known in (
        ("groups", "members", by_group, "user", {*by_user, *users}),
        ("users", "groups", by_user, "group", {*by_group, *groups}),
    ):
        problems += [
            (
                f"{kind}.{name}.{key}",
                unknown,
                f"no such {what} is in the input{meant(unknown[0], known) if len(unknown) == 1 else ''}",
                f"names of `{what}s`",
            )
            for name, listed in sorted(named.items())
            if (unknown := sorted(set(listed) - known))
        ]
    members = _members(by_user, by_group)
    counts = Counter(name for each in members.values() for name in each)
    wrong = f"a user is in at most {MOST_GROUPS_OF_A_USER} groups on EFS, the user's own among them"
    problems += [
        (f"users.{name}.groups", count, wrong, f"at most {MOST_GROUPS_OF_A_USER - 1} groups with the user")
        for name, count in sorted(counts.items())
        if count >= MOST_GROUPS_OF_A_USER
    ]
    return problems + _without_people(merged, by_user, members)


def warn(wanted: Wanted) -> list[str]:
    """Return a warning about each thing that counts for nothing, or that only nodes know.

    Where the identity provider gives people their groups, one that `groups` lacks is what it must be.
    """
    texts = []
    people, groups = set(wanted.users), set(wanted.groups)
    removed = sorted({name for group in wanted.groups.values() for name in group.members} - people)
    if removed:
        texts.append(
            f"groups: {shown(removed)} in `members` were removed from `users`, and are in no group. Back in `users`, "
            "they are members again."
        )
    removed = sorted({name for user in wanted.users.values() for name in user.groups} - groups)
    if removed:
        texts.append(
            f"users: {shown(removed)} in `groups` of users were removed from `groups`, and have no members. Back in "
            "`groups`, they have these."
        )
    auth = wanted.auth.model_dump()
    config = server_options.given(wanted.model_dump(include={"config", "files"}))
    others = elsewhere.makers_of_groups(wanted.image.ami, config, auth)
    if others and not elsewhere.has_groups_of_provider(auth):
        for path, _, names in _asked(config, auth):
            if unknown := sorted(set(names) - groups - people):
                texts.append(
                    f"{_named_first(path)} names {shown([quoted(name) for name in unknown])}, which `groups` "
                    f"lacks. No one has looked whether {others} has it, and members in it."
                )
    return texts


def _without_people(
    merged: Mapping[str, Any], people: Collection[str], members: Mapping[str, Collection[str]]
) -> list[Problem]:
    """Find keys that would let no one sign in, or make no one an administrator.

    A user's own group has the user in it. Other groups of a node hold no person whom the input names.
    """
    config, auth = server_options.given(merged), object_in(merged, "auth")
    ami = object_in(merged, "image").get("ami")
    others = elsewhere.makers_of_groups(ami, config, auth)
    by_provider = elsewhere.names_groups_at_sign_in(auth)
    problems: list[Problem] = []
    for path, value, names in _asked(config, auth):
        for name in names:
            if others and not ami and name in RESERVED_NAMES:
                wrong = (
                    f"a node may have a group {quoted(name)} itself, with no people in it, and would look for no "
                    "other of this name"
                )
                problems.append((path, value, wrong, f"a group of another name, of {others}"))
                continue
            if by_provider and name in members:
                wrong = (
                    "people have the groups of the identity provider, and a node with a group of this name does not "
                    "look there, so it would keep them out"
                )
                give = f"a group of the identity provider that `groups` lacks, or take {quoted(name)} out of `groups`"
                problems.append((path, value, wrong, give))
                continue
            if name in people or members.get(name) or (others and name not in members):
                continue
            wrong = (
                f"{quoted(name)} has no member"
                if name in members
                else f"`groups` has no {quoted(name)}{meant(name, members)}"
            )
            several = f"names of `groups` with members, divided by commas, {OR_BACK}"
            give = "the name of one of `groups` with members, or null" if path.startswith("auth.") else several
            if auth.get("method") in BY_PROVIDER and name not in members:  # perhaps it is one of the provider
                key = "groups_attribute" if auth["method"] == "saml" else "groups_claim"
                jit = "" if auth.get("provisioning") == "jit" else 'give auth.provisioning as "jit", and '
                give += (
                    f"; or {jit}name in auth.{key} what holds a person's groups, if it is one of the identity provider"
                )
            problems.append((path, value, f"{wrong}, so the key would hold for no one", give))
    return problems


def _asked(config: Mapping[str, tuple[str, Any]], auth: Mapping[str, Any]) -> Iterator[tuple[str, Any, list[str]]]:
    """Find the keys that name groups: path, value, and the names."""
    for key in GROUP_KEYS:
        if key in config:
            path, value = config[key]
            yield path, value, _named(value)
    for key in GROUPS_OF_AUTH:
        if isinstance(name := auth.get(key), str):
            yield f"auth.{key}", name, [name]


def _named_first(path: str) -> str:
    """Return a path whose last part stands apart."""
    return ": ".join(path.rsplit(".", 1))


def _named(value: Any) -> list[str]:
    return [name for part in value.split(",") if (name := part.strip())] if isinstance(value, str) else []


def _members(by_user: Mapping[str, Iterable[str]], by_group: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found = {name: {each for each in listed if each in by_user} for name, listed in by_group.items()}
    for user, listed in by_user.items():
        for name in listed:
            if name in found:
                found[name].add(user)
    return {name: sorted(members) for name, members in found.items()}


def _as_given(merged: Mapping[str, Any]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the groups of each user, and the members of each group, as they are written."""
    return (
        {name: _names(user, "groups") for name, user in objects_in(merged, "users").items()},
        {name: _names(group, "members") for name, group in objects_in(merged, "groups").items()},
    )


def _names(part: Mapping[str, Any], key: str) -> list[str]:
    names = part.get(key)
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def quoted(name: str) -> str:
    """Return a name, which may be any text, as it may stand in a sentence."""
    return json.dumps(name[:LONGEST_NAME])


def shown(names: list[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"{', '.join(names[:MOST_SHOWN])}{more}"
