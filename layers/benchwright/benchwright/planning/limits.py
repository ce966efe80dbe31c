"""Limits of sessions: what an input says of them, and of profiles by name, that cannot be, or would hold for no one.

Source: Posit Workbench administration guide, "Local plugin" (profiles of users and groups), and "User and group
profiles" (the file `profiles`).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from benchwright.models import PROFILE_KEYS, RESERVED_PERCENT, Limits, Wanted
from benchwright.planning import elsewhere, groups
from benchwright.planning.problems import BACK, OR_BACK, Problem, object_in, objects_in
from benchwright.planning.similar_names import meant
from benchwright.rstudio_files import PROFILES
from benchwright.values import ProfileName

AT_MOST = {"default-cpus": "max-cpus", "default-mem-mb": "max-mem-mb"}
# Until then a session that PAM had opened was not in the launcher's control group (release notes, rstudio-pro#8120).
HOLD_SINCE = "2025.09"
LONGEST_NUMBER = 10**15
LEAST_SHARE = 2  # a node keeps one part of so many for sessions
NAME: TypeAdapter[str] = TypeAdapter(ProfileName)
SECTION = re.compile(r"^\s*\[([^\[\]]+)\]\s*$", re.MULTILINE)  # of a file as text


def contradictions(merged: Mapping[str, Any], users: Collection[str], people: Collection[str]) -> list[Problem]:
    """Find what no single field shows, in an input that may be wrong in other ways too.

    users, people: the names of users and groups of earlier inputs. One that was removed since may still be named.
    """
    limits = object_in(merged, "limits")
    return [
        *_of_no_one(merged, limits, {*users, *objects_in(merged, "users")}, {*people, *objects_in(merged, "groups")}),
        *_below(merged, limits),
        *_given_twice(merged, limits),
    ]


def warn(wanted: Wanted) -> list[str]:
    """Return a warning about limits that may hold for no one."""
    texts, whole = [], wanted.model_dump(include={"config", "files", "auth", "image", "limits"})
    others, version = elsewhere.makers_of_accounts(whole), wanted.workbench.version
    known = {"users": {*wanted.users}, "groups": {*wanted.groups, *wanted.users}}
    without_members = {name for name, members in groups.members_of(wanted).items() if not members}
    for path, _, kind, name in _named(whole, whole["limits"]):
        if name in known[kind]:
            if kind == "groups" and name in without_members and not others:
                texts.append(f"{path}: the group {groups.quoted(name)} has no members, so this holds for no one.")
            continue
        if not others:
            texts.append(f"{path}: {groups.quoted(name)} was removed from `{kind}`, so this holds for no one.")
        elif kind == "groups" and not elsewhere.has_groups_of_provider(whole["auth"]):
            texts.append(
                f"{path}: `groups` lacks {groups.quoted(name)}. No one has looked whether {others} has it, and members "
                "in it."
            )
    if wanted.limits.of_sessions and version < HOLD_SINCE:
        texts.append(
            f"limits: Workbench {version} starts sessions through PAM, outside the control groups of its "
            f"launcher, so limits may not apply. Workbench {HOLD_SINCE} and newer move them back."
        )
    return texts


def beyond_a_node(limits: Limits, cpus: int, memory_mb: int) -> Iterator[Problem]:
    """Find what no node can give: `cpus` and `memory_mb` are all that one has."""
    reserved = limits.reserved_memory_mb or memory_mb * RESERVED_PERCENT // 100
    if reserved * LEAST_SHARE > memory_mb:
        wrong = f"an instance has {memory_mb} MiB, and sessions would have less than half of it"
        yield "limits.reserved_memory_mb", reserved, wrong, f"at most {memory_mb // LEAST_SHARE}, or larger nodes"
        return
    room = memory_mb - reserved
    for section, part in limits.of_sessions.items():
        for key, value in part:
            most, has = (cpus, f"{cpus} CPUs") if key.endswith("cpus") else (room, f"{room} MiB for sessions")
            if value is not None and value > most:
                wrong = f"an instance of the type of the nodes has {has}"
                yield (
                    f"limits.{_place(section)}.{key}",
                    _shown(value),
                    wrong,
                    f"at most {most}, or larger nodes (nodes.instance_type)",
                )


def _named(merged: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, str]]:
    """Find what names a user or a group: path, value, `users` or `groups`, and the name."""
    for kind in ("groups", "users"):
        for name, part in sorted(objects_in(limits, kind).items()):
            yield f"limits.{kind}.{name}", part, kind, name
    for file in (PROFILES, "profiles"):
        given = object_in(object_in(merged, "files"), file)
        text = given.get("text")
        sections = {name: f"files.{file}.sections.{name}" for name in sorted(object_in(given, "sections"))}
        sections |= dict.fromkeys(SECTION.findall(text if isinstance(text, str) else ""), f"files.{file}.text")
        for section, path in sections.items():
            if section != "*":
                name = section.removeprefix("@")
                yield path, section, "groups" if name != section else "users", name


def _of_no_one(
    merged: Mapping[str, Any], limits: Mapping[str, Any], users: Collection[str], people: Collection[str]
) -> Iterator[Problem]:
    """Find names that no node will know: a profile that fits no one is none. A user has a group of the same name."""
    if elsewhere.makers_of_accounts(merged):
        return
    known = {"users": users, "groups": {*people, *users}}
    for path, value, kind, name in _named(merged, limits):
        if name not in known[kind] and _is_valid(name):
            wrong = f"`{kind}` has no {groups.quoted(name)}{meant(name, known[kind])}, so this would hold for no one"
            yield path, value, wrong, f"the name of one of `{kind}`, {OR_BACK}"


def _below(merged: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a maximum below what a session gets without asking, in the profiles that `limits` and `files` make together.

    A key of a later section is in place of that of an earlier one: everyone, groups by name, the user. Each is named
    where the later of the two is given. 0 is no limit.
    """
    given: dict[str, dict[str, _Value]] = {}
    for value in _values(merged, limits):
        if value.number is None:
            yield value.path, value.given, f"{value.subject} is not a number", "a number; 0 is no limit"
        else:
            given.setdefault(value.section, {})[value.key] = value
    members = groups.members_in(merged)
    of_groups = sorted(section for section in given if section.startswith("@"))
    people = {section for section in given if section != "*" and section not in of_groups}
    people |= {name for section in of_groups for name in members.get(section[1:], ())}
    chains = [["*"], *(["*", section] for section in of_groups)]
    chains += [
        ["*", *(each for each in of_groups if name in (each[1:], *members.get(each[1:], ()))), name]
        for name in sorted(people)
    ]
    for chain in chains:
        whole = {key: value for section in chain for key, value in given.get(section, {}).items()}
        for key, most_key in AT_MOST.items():
            default, most = whole.get(key), whole.get(most_key)
            if not (default and most and default.number and most.number and most.number < default.number):
                continue
            if chain.index(default.section) > chain.index(most.section):
                wrong = f"{default.subject} is above {most.name}, {_shown(most.number)}"
                yield default.path, default.given, wrong, f"at most {_shown(most.number)}"
            else:
                wrong = (
                    f"{most.subject} is below {default.name}, {_shown(default.number)}, which a session gets by default"
                )
                yield most.path, most.given, wrong, f"at least {_shown(default.number)}"


class _Value(NamedTuple):
    """A key of a profile as an input gives it; number: None where it is none. name: in a sentence."""

    section: str
    key: str
    path: str
    given: Any
    number: float | None
    name: str

    @property
    def subject(self) -> str:
        return "it" if self.name == self.path else self.name


def _values(merged: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[_Value]:
    """Find the numbers of the launcher's profiles, from `files` and then from `limits`, which has a key of both."""
    file, keys = object_in(object_in(merged, "files"), PROFILES), set(PROFILE_KEYS.values())
    for section, lines in objects_in(file, "sections").items():
        for key in sorted(lines.keys() & keys):
            if isinstance(text := lines[key], str):
                path = f"files.{PROFILES}.sections.{section}.{key}"
                yield _Value(section, key, path, text, _number(text), path)
    section, path, text = "", f"files.{PROFILES}.text", file.get("text")
    for line in text.split("\n") if isinstance(text, str) else ():
        key, _, value = (part.strip() for part in line.partition("="))
        if found := SECTION.match(line):
            section = found[1]
        elif section and key in keys:
            yield _Value(section, key, path, text, _number(value), f"[{section}] {key} of {path}")
    parts = {"*": object_in(limits, "default")}
    parts |= {f"@{name}": part for name, part in objects_in(limits, "groups").items()}
    parts |= objects_in(limits, "users")
    for section, part in parts.items():
        for name, value in part.items():
            if name in PROFILE_KEYS and _is_number(value):
                path = f"limits.{_place(section)}.{name}"
                yield _Value(section, PROFILE_KEYS[name], path, value, value, path)


def _given_twice(merged: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[Problem]:
    """Find keys of files that `limits` gives, too."""
    try:
        whole = Limits.model_validate(limits).of_sessions
    except ValidationError:  # its own problems are reported
        return
    files = object_in(merged, "files")
    own = {section: part.keys for section, part in whole.items()}
    given = object_in(files, PROFILES)
    if own and given.get("text"):
        path = f"files.{PROFILES}.text"
        yield path, given["text"], "`limits` gives keys of this file, too", "the file as sections, and null for this"
    for section, keys in objects_in(given, "sections").items():
        for key in sorted(keys.keys() & own.get(section, {}).keys()):
            path = f"files.{PROFILES}.sections.{section}.{key}"
            yield path, keys[key], "`limits` gives this key", BACK
    server = object_in(object_in(object_in(files, "launcher.conf"), "sections"), "server")
    if own and "enable-cgroups" in server:
        path = "files.launcher.conf.sections.server.enable-cgroups"
        yield path, server["enable-cgroups"], "`limits` switches control groups on", BACK


def _place(section: str) -> str:
    """Return where `limits` has what is in a section of the profiles."""
    if section == "*":
        return "default"
    return f"groups.{section[1:]}" if section.startswith("@") else f"users.{section}"


def _is_valid(name: str) -> bool:
    """Return whether a name may be one at all, or has its own problem."""
    try:
        NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text) else None


def _shown(number: float) -> float:
    """Return a number as people write it: pydantic makes a float of each."""
    return int(number) if number == int(number) else number


def _is_number(value: Any) -> bool:
    """Return whether a value may be compared and shown, or has its own problem: a float holds no longer int."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LONGEST_NUMBER
