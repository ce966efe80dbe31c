"""Limits of sessions in an input: what is refused, each with its reason, and what is warned about."""

from __future__ import annotations

from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.models import Limits, merge_patch
from benchwright.planning.limits import beyond_a_node, warn
from benchwright.planning.read_input import Reading, read_input
from tests.documentation import input_reference
from tests.unit.benchwright.hostile import SPECIMENS

PROFILES, PEOPLE = "launcher.local.profiles.conf", {"users": {"ann": {}}, "groups": {"analysts": {"members": ["ann"]}}}
NO_ONE = "so this would hold for no one. Give the name of one of"
BACK = "Remove it; if it is recorded, give null"
OR_BACK = "or remove it; if it is recorded, give null"
DIRECTORY = {"auth": {"method": "sssd", "sssd_conf": "benchwright/auth/sssd", "probe_account": "probe"}}

AMI = "ami-0123456789abcdef0"
LACKS = 'limits.groups.Data Analysts: `groups` lacks "Data Analysts". No one has looked whether'


def read(raw: Any, **earlier: Any) -> Reading:
    return read_input(raw, {}, input_reference.defaults(), "benchwright", **earlier)


def problems(limits: Any, **more: Any) -> list[str]:
    try:
        read({**PEOPLE, "limits": limits, **more}).whole()
    except InvalidInput as error:
        return [line.removeprefix("- ") for line in str(error).splitlines()[1:]]
    return []


def warnings(raw: Any, **earlier: Any) -> list[str]:
    return warn(read(raw, **earlier).whole()[1])


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (
            {"default": {"cpus": 0}},
            "limits.default.cpus: 0 is refused: it is below 0.5. Give a number of CPUs from 0.5, which",
        ),
        ({"default": {"cpus": "1"}}, 'limits.default.cpus: "1" is refused: it is not a number'),
        ({"default": {"memory_mb": 99}}, "it is below 100"),
        ({"default": {"max_memory_mb": 2048.5}}, "limits.default.max_memory_mb: 2048.5 is refused"),
        ({"default": {"cpu": 1}}, "limits.default.cpu: 1 is refused: an unknown key (did you mean cpus?)"),
        ({"groups": {"@analysts": {"cpus": 1}}}, "the first not * or @"),
        ({"users": {"*": {"cpus": 1}}}, "the first not * or @"),
        ({"users": {"a]\n[root": {"cpus": 1}}}, "not 1 to 100 printable characters without #;=[]"),
        ({"users": {" ann": {"cpus": 1}}}, "it begins or ends with a space"),
        ({"groups": {"writers": {"cpus": 1}}}, f'`groups` has no "writers", {NO_ONE} `groups`, {OR_BACK}.'),
        ({"users": {"ben": {"cpus": 1}}}, f'`users` has no "ben", {NO_ONE} `users`, {OR_BACK}.'),
        (
            {"default": {"cpus": 2, "max_cpus": 1}},
            (
                "limits.default.max_cpus: 1 is refused: it is below limits.default.cpus, 2, which a session gets by "
                "default. Give at least 2."
            ),
        ),
        (
            {"default": {"memory_mb": 4096}, "groups": {"analysts": {"max_memory_mb": 2048}}},
            (
                "limits.groups.analysts.max_memory_mb: 2048 is refused: it is below limits.default.memory_mb, 4096, "
                "which a session gets by default. Give at least 4096."
            ),
        ),
        (
            {"groups": {"analysts": {"max_cpus": 1.5}}, "users": {"ann": {"cpus": 2}}},
            "limits.users.ann.cpus: 2 is refused: it is above limits.groups.analysts.max_cpus, 1.5. Give at most 1.5.",
        ),
        ({"reserved_memory_mb": 0}, "limits.reserved_memory_mb: 0 is refused"),
        (
            {"default": {"cpus": 10**400, "max_cpus": 1}},
            "it is not a number. Give a number of CPUs",
        ),  # no float holds it
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(limits: Any, refused: str) -> None:
    (found,) = problems(limits)
    assert refused in found


def test_what_a_user_inherits_is_compared_too_and_named_once() -> None:
    """Ann is an analyst: her own maximum is at least what she gets, and that of others is not hers."""
    limits = {
        "default": {"cpus": 1, "max_cpus": 4},
        "groups": {"analysts": {"cpus": 4}, "writers": {"max_cpus": 1}},
        "users": {"ann": {"max_cpus": 8}},
    }
    groups = {"analysts": {"members": ["ann"]}, "writers": {}}
    assert problems(limits, groups=groups) == []
    assert problems(limits | {"users": {"ann": {"max_cpus": 2}}}, groups=groups) == [
        (
            "limits.users.ann.max_cpus: 2 is refused: it is below limits.groups.analysts.cpus, 4, which a session gets "
            "by default. Give at least 4."
        )
    ]


SECTION = f"files.{PROFILES}.sections"


@pytest.mark.parametrize(
    ("limits", "profiles", "refused"),
    [
        (
            {"default": {"max_cpus": 2}},
            {"sections": {"*": {"default-cpus": "6"}}},
            (
                f"limits.default.max_cpus: 2 is refused: it is below {SECTION}.*.default-cpus, 6, which a session gets "
                "by default. Give at least 6."
            ),
        ),
        (
            {"default": {"max_memory_mb": 2_097_152}},
            {"sections": {"@analysts": {"default-mem-mb": "2097153"}}},
            (
                f'{SECTION}.@analysts.default-mem-mb: "2097153" is refused: it is above limits.default.max_memory_mb, '
                "2097152. Give at most 2097152."
            ),
        ),
        (
            {},
            {"sections": {"*": {"default-cpus": "6", "max-cpus": "0.5"}}},
            (
                f'{SECTION}.*.max-cpus: "0.5" is refused: it is below {SECTION}.*.default-cpus, 6, which a session '
                "gets by default. Give at least 6."
            ),
        ),
        (
            {},
            {"text": "[*]\nmax-cpus = 2\n[ann]\n# its own\ndefault-cpus=6\n"},
            (
                f'files.{PROFILES}.text: "***" is refused: [ann] default-cpus of files.{PROFILES}.text is above [*] '
                f"max-cpus of files.{PROFILES}.text, 2. Give at most 2."
            ),
        ),
        (
            {},
            {"sections": {"*": {"max-cpus": "many"}}},
            f'{SECTION}.*.max-cpus: "many" is refused: it is not a number. Give a number; 0 is no limit.',
        ),
    ],
)
def test_the_profiles_are_judged_as_the_launcher_gets_them(limits: Any, profiles: Any, refused: str) -> None:
    assert problems(limits, files={PROFILES: profiles}) == [refused]


def test_who_is_in_two_groups_has_the_keys_of_both() -> None:
    limits = {"groups": {"analysts": {"cpus": 4}, "writers": {"max_cpus": 2}}}
    found = problems(limits, groups={"analysts": {"members": ["ann"]}, "writers": {"members": ["ann"]}})
    assert found == [
        (
            "limits.groups.writers.max_cpus: 2 is refused: it is below limits.groups.analysts.cpus, 4, which a session "
            "gets by default. Give at least 4."
        )
    ]
    assert problems(limits, groups={"analysts": {"members": ["ann"]}, "writers": {}}) == []


def test_no_limit_is_below_none() -> None:
    """0 is no limit (Posit Workbench administration guide, "Local plugin")."""
    files = {PROFILES: {"sections": {"*": {"default-cpus": "2", "max-cpus": "0"}, "ann": {"max-mem-mb": "0"}}}}
    assert problems({"default": {"memory_mb": 4096}}, files=files) == []


def test_a_name_that_was_meant_is_offered() -> None:
    (found,) = problems({"groups": {"analyst": {"cpus": 1}}})
    assert '`groups` has no "analyst" (did you mean analysts?), so this would' in found


def test_a_limit_beyond_a_node_is_shown_as_it_was_given() -> None:
    limits = Limits.model_validate({"default": {"cpus": 8, "max_cpus": 8.5}})
    assert [(value, give) for _, value, _, give in beyond_a_node(limits, 4, 16384)] == [
        (8, "at most 4, or larger nodes (nodes.instance_type)"),
        (8.5, "at most 4, or larger nodes (nodes.instance_type)"),
    ]
    assert {type(value) for _, value, *_ in beyond_a_node(limits, 4, 16384)} == {int, float}


def test_a_group_without_members_is_warned_about() -> None:
    raw = {**PEOPLE, "groups": {"analysts": {}}, "limits": {"groups": {"analysts": {"cpus": 1}}}}
    empty = 'limits.groups.analysts: the group "analysts" has no members, so this holds for no one.'
    assert warnings(raw) == [empty]
    assert warnings({**raw, "image": {"ami": AMI}}) == []
    assert warnings({**raw, "users": {"ann": {"groups": ["analysts"]}}}) == []


@pytest.mark.parametrize("file", [PROFILES, "profiles"])
@pytest.mark.parametrize("way", ["sections", "text"])
def test_profiles_that_are_written_by_hand_name_people_of_the_input(file: str, way: str) -> None:
    sections = {"*": {"a": "1"}, "@analysts": {"a": "1"}, "@ann": {}, "ann": {}, "@writers": {"a": "1"}, "ben": {}}
    given = {"sections": sections, "text": "\n".join(f"[{name}]\na=1" for name in sections)}[way]
    found = problems({}, files={file: {way: given}})
    paths = {"sections": ("sections.@writers", "sections.ben"), "text": ("text", "text")}[way]
    assert [(text.partition(": ")[0], text.partition("refused: ")[2]) for text in found] == [
        (f"files.{file}.{paths[0]}", f'`groups` has no "writers", {NO_ONE} `groups`, {OR_BACK}.'),
        (f"files.{file}.{paths[1]}", f'`users` has no "ben", {NO_ONE} `users`, {OR_BACK}.'),
    ]


def test_a_key_has_one_owner() -> None:
    limits = {"default": {"cpus": 1, "max_cpus": 4}, "users": {"ann": {"max_cpus": 4}}}
    sections: Any = {"*": {"max-cpus": "2", "resource-profiles": "small"}, "ann": {"max-mem-mb": "1"}, "@analysts": {}}
    cgroups = {"sections": {"server": {"enable-cgroups": "0"}}}
    assert problems(limits, files={PROFILES: {"sections": sections}, "launcher.conf": cgroups}) == [
        f'files.{PROFILES}.sections.*.max-cpus: "2" is refused: `limits` gives this key. {BACK}.',
        (
            'files.launcher.conf.sections.server.enable-cgroups: "0" is refused: `limits` switches control groups on. '
            f"{BACK}."
        ),
    ]
    assert problems({"reserved_memory_mb": 100}, files={"launcher.conf": cgroups}) == []
    assert problems(limits, files={PROFILES: {"text": "[*]\nresource-profiles=small\n"}}) == [
        (
            f'files.{PROFILES}.text: "***" is refused: `limits` gives keys of this file, too. Give the file as '
            "sections, and null for this."
        )
    ]


def test_who_was_removed_may_still_be_named_and_is_warned_about() -> None:
    raw = {"limits": {"users": {"ann": {"cpus": 1}}, "groups": {"analysts": {"cpus": 1}}}}
    assert warnings(raw, earlier_users={"ann": (1, 1)}, earlier_groups={"analysts": 1}) == [
        'limits.groups.analysts: "analysts" was removed from `groups`, so this holds for no one.',
        'limits.users.ann: "ann" was removed from `users`, so this holds for no one.',
    ]


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        (DIRECTORY, [f"{LACKS} the directory has it, and members in it."]),
        ({"image": {"ami": AMI}}, [f"{LACKS} the AMI {AMI} has it, and members in it."]),
        (merge_patch(input_reference.BESIDE["auth.groups_claim"], {"auth": {"groups_claim": "groups"}}), []),
        (merge_patch(input_reference.BESIDE["auth.scim_token"], {"auth": {"scim_token": "benchwright/auth/scim"}}), []),
    ],
)
def test_people_of_others_cannot_be_known(more: Any, warned: list[str]) -> None:
    limits = {"users": {"Jane.Doe": {"cpus": 1}}, "groups": {"Data Analysts": {"cpus": 1}}}
    assert warnings({**more, "limits": limits}) == warned


def test_an_old_workbench_may_not_hold_limits() -> None:
    def said(version: str, **limits: Any) -> list[str]:
        return warnings({"workbench": {"version": version}, "limits": limits})

    old = "2025.05.1+513.pro3"
    assert said(old, default={"cpus": 1}) == [
        (
            f"limits: Workbench {old} starts sessions through PAM, outside the control groups of its launcher, so "
            "limits may not apply. Workbench 2025.09 and newer move them back."
        )
    ]
    assert said(old, reserved_memory_mb=100) == said("2025.09.0+387.pro3", default={"cpus": 1}) == []


@pytest.mark.parametrize("text", [text for texts in SPECIMENS.values() for text in texts])
def test_nothing_but_an_input_is_refused(text: str) -> None:
    for raw in ({text: {"cpus": 1}}, text, [text], {"ann": text}, {"ann": {"cpus": text}}):
        for key in ("users", "groups", "default"):
            problems({key: raw}, files={PROFILES: {"text": text}})
