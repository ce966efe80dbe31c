"""Who is in which group, and what of groups an input may not say."""

import json
import re
from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.models import Wanted
from benchwright.planning import groups
from benchwright.planning.read_input import read_input
from benchwright.values import RESERVED_NAMES
from tests.unit.benchwright.planning.test_plan import DEFAULTS, plan_from

AMI = "ami-0123456789abcdef0"
PEOPLE: dict[str, Any] = {"ann": {"groups": ["analysts"]}, "ben": {}, "cid": {}}
GROUPS: dict[str, Any] = {"analysts": {"members": ["ben", "ann"]}, "writers": {}}


def wanted_of(raw: Any, known: Any = None, users: Any = (), of_earlier: Any = ()) -> Wanted:
    reading = read_input(raw, known or {}, DEFAULTS, "benchwright", earlier_users=users, earlier_groups=of_earlier)
    return reading.whole()[1]


def test_a_group_has_those_whom_it_names_and_those_who_name_it() -> None:
    plan, _ = plan_from({"users": PEOPLE, "groups": GROUPS})
    assert {group.name: group.members for group in plan.groups} == {"analysts": ["ann", "ben"], "writers": []}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            {"groups": {"g": {"members": ["bob", "ann"]}}},
            'groups.g.members: ["bob"] is refused: no such user is in the in',
        ),
        ({"users": {"cid": {"groups": ["x"]}}}, 'users.cid.groups: ["x"] is refused: no such group is in the input. '),
        ({"groups": {"ann": {}}}, 'groups.ann: "ann" is refused: the user of this name has a group of this name. '),
        ({"groups": {"Analysts": {}}}, 'groups.Analysts: "Analysts" is refused: adduser of Ubuntu refuses upper case'),
        (
            {"groups": {"g": {"members": ["ann", "ann"]}}},
            'groups.g.members: ["ann", "ann"] is refused: named twice: ann',
        ),
        ({"groups": {"g": {"members": ["Ann"]}}}, 'groups.g.members.0: "Ann" is refused: adduser of Ubuntu refuses u'),
        ({"users": {"cid": {"groups": ["a b"]}}}, 'users.cid.groups.0: "a b" is refused: not 1 to 32 lower-case let'),
        ({"users": {"cid": {"groups": ["sudo"]}}}, 'users.cid.groups: ["sudo"] is refused: no such group is in the'),
        ({"users": {"cid": {"groups": "hunter2"}}}, 'users.cid.groups: "***" is refused: it is not a list'),
        ({"groups": {"g": {"members": ["ann"], "password": "x y"}}}, 'groups.g.password: "***" is refused: an unknown'),
    ],
)
def test_what_a_group_cannot_be_is_named_with_a_remedy(raw: Any, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        wanted_of(raw, {"users": PEOPLE, "groups": GROUPS})
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_no_group_has_the_name_of_one_of_the_system(name: str) -> None:
    """Whoever is in sudo, docker, disk, shadow or rstudio-server is root, or as good as root."""
    with pytest.raises(InvalidInput) as caught:
        wanted_of({"users": {"ann": {"groups": [name]}}, "groups": {name: {"members": ["ann"]}}})
    problem = f"- groups.{name}: {json.dumps(name)} is refused: it is a group of the system, or an account of it. "
    assert problem in str(caught.value)


def test_a_user_is_in_no_more_groups_than_efs_reads() -> None:
    """NFS sends 16, and the own group is one of them."""
    named = [f"g{number}" for number in range(15)]
    most: Any = {"users": {"ann": {"groups": named}}, "groups": {name: {} for name in named}}
    wanted_of(most)
    with pytest.raises(InvalidInput) as caught:
        wanted_of(most, {"users": {"ann": {}}, "groups": {"one": {"members": ["ann"]}}})
    assert "- users.ann.groups: 16 is refused: a user is in at most 16 groups on EFS" in str(caught.value)


def test_a_person_and_a_group_are_removed_by_one_key_each() -> None:
    known = {"users": PEOPLE, "groups": {**GROUPS, "writers": {"members": ["cid"]}}}
    wanted = wanted_of({"users": {"ben": None}}, known, users=["ann", "ben"])
    assert groups.members_of(wanted) == {"analysts": ["ann"], "writers": ["cid"]}
    assert groups.warn(wanted) == [
        (
            "groups: ben in `members` were removed from `users`, and are in no group. Back in `users`, they are "
            "members again."
        )
    ]
    wanted = wanted_of({"groups": {"analysts": None}}, known, of_earlier=["analysts"])
    assert groups.members_of(wanted) == {"writers": ["cid"]}
    assert groups.warn(wanted) == [
        (
            "users: analysts in `groups` of users were removed from `groups`, and have no members. Back in `groups`, "
            "they have these."
        )
    ]


KEYS = groups.GROUP_KEYS


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("writers", '"writers" has no member'),
        ("no-one-knows", '`groups` has no "no-one-knows"'),
        ("sudo", '`groups` has no "sudo"'),
        ("analysts, writers", '"writers" has no member'),
        ("analysts,editors", '`groups` has no "editors"'),
        ("left", '"left" has no member'),
    ],
)
def test_a_key_that_would_hold_for_no_one_is_refused(key: str, value: str, wrong: str) -> None:
    """Such a cluster would let no one in, and yet be verified."""
    known = {"users": PEOPLE, "groups": {**GROUPS, "left": {"members": ["dan"]}}}
    with pytest.raises(InvalidInput) as caught:
        wanted_of({"config": {key: value}}, known, users=["dan"])
    assert str(caught.value).splitlines()[1] == (
        f"- config.{key}: {json.dumps(value)} is refused: {wrong}, so the key would hold for no one. Give names of "
        "`groups` with members, divided by commas, or remove it; if it is recorded, give null."
    )


def test_a_name_that_was_meant_is_offered() -> None:
    raw: Any = {"users": {"ann": {"groups": ["analyst"]}}, "groups": {"analysts": {"members": ["anm"]}}}
    with pytest.raises(InvalidInput) as caught:
        wanted_of({**raw, "config": {"admin-group": "analyst"}})
    found = str(caught.value)
    assert 'users.ann.groups: ["analyst"] is refused: no such group is in the input (did you mean analysts?)' in found
    assert '`groups` has no "analyst" (did you mean analysts?), so the key would hold for no one' in found


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", ["analysts", " analysts ", "ann", "", "analysts,ann"])
def test_a_key_that_names_groups_with_members_is_accepted(key: str, value: str) -> None:
    raw: Any = {"users": PEOPLE, "groups": GROUPS, "config": {key: value.strip()}}
    assert groups.warn(wanted_of(raw)) == []


@pytest.mark.parametrize("name", ["x\n- nodes.count: 3", "\ud800\u202e", "k" * 5_000, '"', "ü"])
def test_no_name_writes_a_line_of_its_own_or_fills_a_refusal(name: str) -> None:
    people = {name: {"groups": [name]}, "ann": {"groups": [name]}}
    raw = {"users": people, "groups": {name: {"members": [name, "bob"]}}, "config": {KEYS[0]: name}}
    with pytest.raises(InvalidInput) as caught:
        wanted_of(raw)
    text = str(caught.value)
    assert re.fullmatch(r"[\n -~]*", text)
    assert all(" is refused: " in line and len(line) < 1_200 for line in text.splitlines()[1:])


def test_whoever_takes_the_last_member_away_is_refused() -> None:
    known = {"users": {"ann": {}}, "groups": {"g": {"members": ["ann"]}}, "config": {KEYS[0]: "g"}}
    changes: list[Any] = [{"users": {"ann": None}}, {"groups": {"g": {"members": []}}}, {"groups": {"g": None}}]
    for raw in changes:
        with pytest.raises(
            InvalidInput, match=rf"- config\.{KEYS[0]}: \"g\" is refused: .* \(an earlier execution rec"
        ):
            wanted_of(raw, known, users=["ann"], of_earlier=["g"])


@pytest.mark.parametrize(
    ("other", "who"),
    [
        ({"image": {"ami": AMI}}, f"the AMI {AMI}"),
        ({"config": {"user-provisioning-enabled": "1"}}, "the identity provider"),
    ],
)
def test_a_group_that_only_nodes_know_is_a_warning(other: Any, who: str) -> None:
    config = {"admin-group": "directory-admins,analysts", **other.get("config", {})}
    wanted = wanted_of({"users": PEOPLE, "groups": GROUPS, **other, "config": config})
    assert groups.warn(wanted) == [
        (
            'config: admin-group names "directory-admins", which `groups` lacks. No one has looked whether '
            f"{who} has it, and members in it."
        )
    ]
    with pytest.raises(InvalidInput, match='"writers" has no member'):
        wanted_of({"users": PEOPLE, "groups": GROUPS, **other, "config": config | {"admin-group": "writers"}})
