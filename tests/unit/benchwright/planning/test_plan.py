"""From an input to a plan: what is refused, what is merged, what is remembered."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from benchwright.errors import InvalidInput
from benchwright.models import FORMS, Account, License, Wanted, merge_patch
from benchwright.planning.plan import LookupResult, make_plan, sources_of
from benchwright.planning.read_input import read_input, read_verify_input
from benchwright.record import Known
from benchwright.secrets import Secret

DEFAULTS: dict[str, Any] = {
    "workbench": {"version": "2026.07.1+147.pro6"},
    "r_versions": ["4.5.1"],
    "python_versions": ["3.13.1"],
    "nodes": {"count": 2, "instance_type": "m6i.xlarge"},
    "database": {"min_capacity": 0.5, "max_capacity": 4},
}
LOOKED = LookupResult(
    {"benchwright/users/ann": Secret("arn:ann", "v1"), "benchwright/license/l": Secret("arn:l", "v2")}, "ami-new"
)


def problems(raw: Any, known: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_input(raw, known or {}, DEFAULTS, "benchwright").whole()
    return str(caught.value).splitlines()[1:]


def patterns(schema: Any) -> set[str]:
    """Every pattern in a JSON Schema, of keys and of values."""
    if isinstance(schema, list):
        return {found for item in schema for found in patterns(item)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    parts = [value for name, value in schema.items() if name != "not"]
    return own | set(schema.get("patternProperties", {})) | patterns(parts)


def test_every_form_is_reported_in_words() -> None:
    """One value against each, and what is wrong with it."""
    wrong = {
        "workbench": {"version": "latest"},
        "r_versions": ["4"],
        "python_versions": ["2.7.18"],
        "image": {"ami": "ami-xyz"},
        "nodes": {"instance_type": "large"},
        "database": {"engine_version": "16.9"},
        "license": "l" * 401,
        "users": {"Ann": {}},
        "config": {"-x": "a\tb"},
        "tags": {"k" * 129: "v" * 257},
    }
    reported = "\n".join(problems(wrong))
    assert set(FORMS) == patterns(Wanted.model_json_schema())
    assert [words for words in FORMS.values() if f" is refused: not {words}. Give " not in reported] == []


@pytest.mark.parametrize("raw", [[], "x", 3, None, True])
def test_an_input_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^The input must be a JSON object such as \{\}, not "):
        read_input(raw, {}, DEFAULTS, "benchwright").whole()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"nodes": {"count": 0}}, "- nodes.count: 0 is refused: "),
        ({"nodes": {"count": 51}}, "- nodes.count: 51 is refused: "),
        ({"nodes": {"count": "2"}}, '- nodes.count: "2" is refused: '),
        ({"nodes": {"count": True}}, "- nodes.count: true is refused: "),
        ({"nodes": 2}, "- nodes: 2 is refused: "),
        ({"nodes": {"instance_type": "m7g.large"}}, "- nodes.instance_type: "),
        (
            {"nodes": {"size": 2}},
            "- nodes.size: 2 is refused: an unknown key. Give one of count, instance_type, root_volume_size.",
        ),
        ({"nodez": None}, "- nodez: null is refused: an unknown key. "),
        ({"licence": "-----BEGIN"}, '- licence: "***" is refused: an unknown key. '),
        ({"Users": {"a": {"password": "x y"}}}, '- Users: {"a": {"password": "***"}} is refused: an unknown key. '),
        ({"nodes": {"passwords": ["x y"]}}, '- nodes.passwords: ["***"] is refused: an unknown key. '),
        ({"cluster": {"password": "x y"}}, '- cluster: {"password": "***"} is refused: '),
        ({"config": {"a": {"password": "x"}}}, '- config.a: {"password": "***"} is refused: '),
        ({"cluster": "Big One"}, '- cluster: "Big One" is refused: not a cluster name. '),
        (
            {"workbench": {"version": "latest"}},
            '- workbench.version: "latest" is refused: not a full version of Workbench from',
        ),
        (
            {"workbench": {"version": "2023.09.1+494.pro2"}},
            '- workbench.version: "2023.09.1+494.pro2" is refused: not a full version of Workbench from 2023.12 on',
        ),
        ({"workbench": {"version": "2026.13.0+1.pro1"}}, '- workbench.version: "2026.13.0+1.pro1" is refused: not a'),
        ({"workbench": {"version": "2026.00.0+1.pro1"}}, '- workbench.version: "2026.00.0+1.pro1" is refused: not a'),
        ({"nodes": {"instance_type": "mac2.metal"}}, '- nodes.instance_type: "mac2.metal" is refused: an instance ty'),
        ({"tags": {"a": ""}}, '- tags.a: "" is refused: not 1 to 256 letters, numbers, spaces and _.:/=+@-. '),
        ({"tags": {"a": "3 \u20ac"}}, "- tags.a: \"3 \\u20ac\" is refused: '\\u20ac' is neither a letter nor a number"),
        ({"r_versions": []}, "- r_versions: [] is refused: "),
        ({"r_versions": ["4.5.1", "4.5.1"]}, '- r_versions: ["4.5.1", "4.5.1"] is refused: named twice: 4.5.1.'),
        ({"python_versions": ["three"]}, '- python_versions.0: "three" is refused: '),
        ({"image": {"rebuild": "yes"}}, '- image.rebuild: "yes" is refused: it is neither true nor false. '),
        ({"image": {"ami": "ami-1"}}, '- image.ami: "ami-1" is refused: '),
        ({"image": {"ami": "ami-0123456789abcdef0", "rebuild": True}}, "- image.rebuild: true is refused: it is given"),
        ({"database": {"min_capacity": 0.7}}, "- database.min_capacity: 0.7 is refused: "),
        ({"database": {"min_capacity": 8}}, "- database: "),
        ({"database": {"max_capacity": 0.5}}, "- database.max_capacity: 0.5 is refused: "),
        ({"license": "other/secret"}, '- license: "other/secret" is refused: the nodes may not read it. '),
        ({"users": {"root": {}}}, "- users.root: {} is refused: it is an account of the system, or a group of it. "),
        ({"users": {"Ann": {}}}, '- users.Ann: "Ann" is refused: not 1 to 32 lower-case letters, digits, - and _, '),
        ({"users": {"ann": {"uid": 100}}}, "- users.ann.uid: 100 is refused: "),
        ({"users": {"ann": {"password": "secret"}}}, '- users.ann.password: "***" is refused: the nodes may not'),
        ({"users": {"a": {"uid": 5000}, "b": {"uid": 5000}}}, "- users.b.uid: 5000 is refused: users.a has it. "),
        (
            {"config": {"launcher-port": "1"}},
            '- config.launcher-port: "1" is refused: Benchwright writes this key itself. ',
        ),
        (
            {"config": {"ssl-enabled": "1"}},
            '- config.ssl-enabled: "1" is refused: nodes rely on Workbench\'s default for ',
        ),
        ({"config": {"x": "a\nb"}}, '- config.x: "a\\nb" is refused: not one line of at most 1,000 printable'),
        ({"tags": {"aws:x": "y"}}, '- tags.aws:x: "aws:x" is refused: the prefixes aws: and benchwright: are taken. '),
        ({"only_if_deployed": 1}, "- only_if_deployed: 1 is refused: it is neither true nor false. "),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy(raw: Any, problem: str) -> None:
    (found,) = problems(raw)
    assert found.startswith(problem)
    assert ". Give " in found


def fields(model: type[BaseModel], *above: str) -> Iterator[tuple[str, ...]]:
    """The path of each field of a model, and of the models in it; a map has one entry, `ann`."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                entry = () if kind is field.annotation else ("ann",)
                yield from fields(kind, *above, name, *entry)


@pytest.mark.parametrize("path", list(fields(Wanted)), ids=".".join)
def test_the_remedy_of_each_key_holds_an_example_that_is_accepted(path: tuple[str, ...]) -> None:
    def given(value: Any) -> Any:
        return reduce(lambda inner, key: {key: inner}, reversed(path), value)

    (found,) = problems(given([[]]))
    remedy = found.partition(". Give ")[2]
    example = re.search(r"(?:; for example|an object such as) (.+)\.$", remedy)
    assert example, found
    read_input(given(json.loads(example[1])), {}, DEFAULTS, "benchwright").whole()


def test_all_problems_are_reported_at_once() -> None:
    raw = {"nodez": 1, "nodes": {"count": 0}, "users": {"root": {}}, "workbench": {"version": "x"}, "cluster": ""}
    paths = [problem.split(":")[0] for problem in problems(raw)]
    assert paths == ["- cluster", "- nodez", "- workbench.version", "- nodes.count", "- users.root"]


def test_an_input_says_what_to_change_and_null_returns_to_the_parameter() -> None:
    _, scaled = read_input({"nodes": {"count": 3}}, {}, DEFAULTS, "benchwright").whole()
    _, kept = read_input({}, {"nodes": {"count": 3}}, DEFAULTS, "benchwright").whole()
    _, returned = read_input({"nodes": {"count": None}}, {"nodes": {"count": 3}}, DEFAULTS, "benchwright").whole()
    _, all_returned = read_input({"nodes": None}, {"nodes": {"count": 3}}, DEFAULTS, "benchwright").whole()
    assert [item.nodes.count for item in (scaled, kept, returned, all_returned)] == [3, 3, 2, 2]


def test_the_comment_of_the_console_is_ignored() -> None:
    request, _ = read_input({"Comment": "Insert your JSON here"}, {}, DEFAULTS, "benchwright").whole()
    assert request.patch == {}


def plan_from(raw: Any, known: Known | None = None, execution: str = "e1") -> Any:
    known = known or Known()
    request, wanted = read_input(raw, known.input, DEFAULTS, "benchwright").whole()
    return make_plan(request, wanted, known, LOOKED, defaults=DEFAULTS, execution=execution)


def test_what_acts_once_is_never_recorded() -> None:
    _, known = plan_from({"image": {"rebuild": True}, "only_if_deployed": True, "nodes": {"count": 3}, "Comment": "x"})
    assert known.input == {"nodes": {"count": 3}}


def test_the_parent_image_stays_until_a_rebuild() -> None:
    first = Known(parent_image="ami-old", generation=4)
    same, _ = plan_from({}, first)
    rebuilt, known = plan_from({"image": {"rebuild": True}}, first)
    retried, _ = plan_from({"image": {"rebuild": True}}, known)
    again, _ = plan_from({"image": {"rebuild": True}}, known, execution="e2")
    images = [(plan.image.parent_image, plan.image.generation) for plan in (same, rebuilt, retried, again)]
    assert images == [("ami-old", 4), ("ami-new", 5), ("ami-new", 5), ("ami-new", 6)]


def test_users_get_ids_once_and_removed_users_are_locked_and_keep_theirs() -> None:
    plan, known = plan_from({"users": {"bob": {}, "ann": {"password": "benchwright/users/ann"}, "cid": {"uid": 5000}}})
    assert plan.accounts == [
        Account(name="ann", uid=20_000, gid=20_000, secret_arn="arn:ann", secret_version="v1"),
        Account(name="bob", uid=20_001, gid=20_001),
        Account(name="cid", uid=5000, gid=5000),
    ]
    removed, later = plan_from({"users": {"ann": None, "dan": {}}}, known)
    assert removed.locked_accounts == ["ann"]
    assert [(account.name, account.uid) for account in removed.accounts] == [
        ("bob", 20_001),
        ("cid", 5000),
        ("dan", 20_002),
    ]
    back, _ = plan_from({"users": {"ann": {}}}, later)
    assert (back.locked_accounts, back.accounts[0].uid) == ([], 20_000)


def verified(known: Known) -> Known:
    return replace(known, proven_accounts=tuple(known.accounts))


@pytest.mark.parametrize(
    ("second", "third", "ids"),
    [
        ({"ann": {"uid": 3003}}, {}, {"ann": (3003, 3003)}),
        ({"ann": {"uid": 3003, "gid": 3004}}, {}, {"ann": (3003, 3004)}),
        ({"ann": {"uid": None}}, {}, {"ann": (20_000, 20_000)}),
        ({"ann": {"uid": None}}, {"ann": {"gid": 3004}}, {"ann": (20_000, 3004)}),
        ({"ann": None}, {}, {"ann": (3001, 3001)}),  # it may have a home
        ({"ann": None}, {"ann": {"uid": 3003}}, {"ann": (3003, 3003)}),
        ({"ann": None, "ben": {"uid": 3001}}, {}, {"ben": (3001, 3001)}),  # a name that was misspelt
        ({"ann": None}, {"ben": {"uid": 3001}}, {"ben": (3001, 3001)}),
        ({"ben": {"uid": 3005}}, {"ben": {"uid": 3006}}, {"ann": (3001, 3001), "ben": (3006, 3006)}),
    ],
)
def test_an_id_that_no_verified_execution_has_used_can_be_changed(
    second: dict[str, Any], third: dict[str, Any], ids: dict[str, tuple[int, int]]
) -> None:
    plan, known = plan_from({"users": {"ann": {"uid": 3001}}})
    for users in (second, third):
        plan, known = plan_from({"users": users}, known)
    assert known.accounts == ids
    assert plan.locked_accounts == sorted(set(ids) - set(plan.wanted.users))


def test_an_id_that_was_allocated_stays_when_its_deployment_is_tried_again() -> None:
    _, known = plan_from({"users": {"ben": {}}})
    _, known = plan_from({"users": {"ann": {}}}, known)
    assert known.accounts == {"ben": (20_000, 20_000), "ann": (20_001, 20_001)}


def test_an_id_that_contradicts_a_proven_one_is_refused() -> None:
    known = verified(plan_from({"users": {"ann": {}}})[1])
    with pytest.raises(InvalidInput, match=r"users.ann.uid: 6000 is refused: the user has uid 20000"):
        plan_from({"users": {"ann": {"uid": 6000}}}, known)
    with pytest.raises(InvalidInput, match=r"users.bob.uid: 20000 is refused: the uid belongs to ann"):
        plan_from({"users": {"bob": {"uid": 20_000}}}, known)
    with pytest.raises(InvalidInput, match=r"users.ann.gid: 3001 is refused: the user has uid 20000 and gid 20000"):
        plan_from({"users": {"ann": {"gid": 3001}}}, known)
    with pytest.raises(InvalidInput, match=r"users.bob.gid: 20000 is refused: the gid belongs to ann"):
        plan_from({"users": {"bob": {"gid": 20_000}}}, known)


def test_a_group_belongs_to_one_user_also_where_its_id_is_not_spelled_out() -> None:
    with pytest.raises(InvalidInput, match=r"users.ben.gid: 3002 is refused: users.ann has it"):
        plan_from({"users": {"ann": {"uid": 3001, "gid": 3002}, "ben": {"uid": 3002}}})
    known = verified(plan_from({"users": {"ann": {"uid": 3001, "gid": 3002}}})[1])
    with pytest.raises(InvalidInput, match=r"users.ben.gid: 3002 is refused: the gid belongs to ann"):
        plan_from({"users": {"ann": None, "ben": {"uid": 3002}}}, known)


def test_the_plan_shows_the_ids_that_were_allocated_and_the_record_keeps_what_was_asked() -> None:
    plan, known = plan_from({"users": {"ann": {}, "bob": {"gid": 3001}}})
    assert {name: (user.uid, user.gid) for name, user in plan.wanted.users.items()} == {
        "ann": (20_000, 20_000),
        "bob": (20_001, 3001),
    }
    assert known.input == {"users": {"ann": {}, "bob": {"gid": 3001}}}


@pytest.mark.parametrize(
    "asked", [{"r_versions": ["4.4.3"]}, {"python_versions": ["3.13.1"]}, {"image": {"rebuild": True}}]
)
def test_what_an_ami_of_one_s_own_keeps_from_having_an_effect_is_refused(asked: dict[str, Any]) -> None:
    _, known = plan_from({"image": {"ami": "ami-0123456789abcdef0"}})
    with pytest.raises(InvalidInput, match=r"the cluster uses the AMI ami-0123456789abcdef0, and nothing is built"):
        plan_from(asked, known)
    plan_from(asked | {"image": asked.get("image", {}) | {"ami": None}}, known)


def test_the_licence_is_planned_in_its_current_version() -> None:
    plan, _ = plan_from({"license": "benchwright/license/l"})
    assert plan.license == License(secret_arn="arn:l", secret_version="v2")


def test_each_value_has_a_source() -> None:
    sources = sources_of({"nodes": {"count": 3}}, {"r_versions": ["4.4.0"]}, DEFAULTS)
    assert sources == {
        "config": "default",
        "database.max_capacity": "parameter",
        "database.min_capacity": "parameter",
        "image.ami": "default",
        "license": "default",
        "nodes.count": "input",
        "nodes.instance_type": "parameter",
        "python_versions": "parameter",
        "r_versions": "recorded",
        "tags": "default",
        "users": "default",
        "workbench.version": "parameter",
    }


def test_a_map_has_the_sources_of_what_is_in_it() -> None:
    known = {"users": {"ann": {"uid": 3001}}, "tags": {"a": "b"}, "config": {"x": "1"}}
    patch = {"users": {"ben": {"password": "benchwright/users/ben"}}, "tags": {"a": None}, "config": {"y": "2"}}
    sources = sources_of(patch, known, {})
    assert {path: source for path, source in sources.items() if path.startswith(("users", "tags", "config"))} == {
        "config.x": "recorded",
        "config.y": "input",
        "tags": "default",
        "tags.a": "default",
        "users.ann.uid": "recorded",
        "users.ben.password": "input",
    }


def test_a_verification_takes_a_cluster_and_nothing_else() -> None:
    assert read_verify_input({"cluster": "big", "Comment": "x"}) == "big"
    with pytest.raises(InvalidInput, match=r"- nodes: \{\"count\": 3\} is refused: a verification changes nothing"):
        read_verify_input({"nodes": {"count": 3}})


# RFC 7396, appendix A: the test cases of the standard.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result
