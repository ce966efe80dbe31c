"""From an input to a plan: what is refused, what is merged, what is remembered."""

import json
from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.models import Account, License, SignIn
from benchwright.planning.plan import LookupResult, make_plan, sources_of
from benchwright.planning.read_input import VerifyRequest, read_input, read_verify_input
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
    {
        "benchwright/users/ann": Secret("arn:ann", "v1"),
        "benchwright/license/l": Secret("arn:l", "v2"),
        "benchwright/auth/oidc": Secret("arn:oidc", "v3"),
        "benchwright/auth/scim": Secret("arn:scim", "v4"),
    },
    "ami-new",
)


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
    assert removed.locked_accounts == {"ann": (20_000, 20_000)}
    assert [(account.name, account.uid) for account in removed.accounts] == [
        ("bob", 20_001),
        ("cid", 5000),
        ("dan", 20_002),
    ]
    back, _ = plan_from({"users": {"ann": {}}}, later)
    assert (back.locked_accounts, back.accounts[0].uid) == ({}, 20_000)


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
        "acceptance": "default",
        "access": "default",
        "audit": "default",
        "auth": "default",
        "config": "default",
        "files": "default",
        "database.max_capacity": "parameter",
        "database.min_capacity": "parameter",
        "groups": "default",
        "limits": "default",
        "image.ami": "default",
        "license": "default",
        "metrics": "default",
        "nodes.count": "input",
        "nodes.instance_type": "parameter",
        "python_versions": "parameter",
        "r_versions": "recorded",
        "repos": "default",
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
    assert read_verify_input({"cluster": "big", "Comment": "x"}) == VerifyRequest("big")
    assert read_verify_input({}) == read_verify_input({"every_cluster": False}) == VerifyRequest("workbench")
    assert read_verify_input({"sessions": 50, "cluster": "big"}) == VerifyRequest("big", sessions=50)
    assert read_verify_input({"every_cluster": True, "Comment": "x"}) == VerifyRequest("workbench", every_cluster=True)
    with pytest.raises(InvalidInput, match=r"- nodes: \{\"count\": 3\} is refused: a verification changes nothing"):
        read_verify_input({"nodes": {"count": 3}})
    for given, wrong in (
        ({"every_cluster": "yes"}, 'every_cluster: "yes" is refused: it is neither true nor false. Give true or false'),
        (
            {"sessions": 51},
            "sessions: 51 is refused: it is not a number of sessions. Give a number from 0 to 50",
        ),
        (
            {"sessions": True},
            "sessions: true is refused: it is not a number of sessions. Give a number from 0 to 50",
        ),
        (
            {"every_cluster": True, "sessions": 2},
            "sessions: 2 is refused: it is given together with every_cluster. Give one of the two",
        ),
        (
            {"every_cluster": True, "cluster": "big"},
            "every_cluster: true is refused: it is given together with cluster. Give one of the two",
        ),
    ):
        with pytest.raises(InvalidInput, match=wrong):
            read_verify_input(given)


VERIFY_ALONE = "Give cluster, every_cluster or sessions alone."


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"session": 6}, f"- session: 6 is refused: an unknown key (did you mean sessions?). {VERIFY_ALONE}"),
        ({"clusters": "x"}, f'- clusters: "***" is refused: an unknown key (did you mean cluster?). {VERIFY_ALONE}'),
        (
            {"only_if_deployed": True},
            f"- only_if_deployed: true is refused: a verification changes nothing. {VERIFY_ALONE}",
        ),
        (
            {"image": {"rebuild": True}},
            f'- image: {{"rebuild": true}} is refused: a verification changes nothing. {VERIFY_ALONE}',
        ),
        ({"nodes": {"x": 1}}, f'- nodes: {{"x": 1}} is refused: a verification changes nothing. {VERIFY_ALONE}'),
    ],
)
def test_each_mistake_in_the_input_of_a_verification_is_one_line(given: Any, line: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_verify_input(given)
    assert str(refused.value).splitlines()[1:] == [line]


@pytest.mark.parametrize(("key", "value"), [("sessions", 6), ("every_cluster", True)])
def test_a_key_of_a_verification_is_named_as_such_in_a_deployment(key: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_input({key: value}, {}, DEFAULTS, "benchwright").whole()
    wrong = f"- {key}: {json.dumps(value)} is refused: it is a key of the input of `verify`, not of `deploy`. "
    assert str(refused.value).splitlines()[1:] == [f"{wrong}Give it to `verify`."]


def test_the_plan_has_the_versions_of_the_secrets_of_sign_in() -> None:
    oidc = {"method": "oidc", "issuer": "https://idp", "client_id": "x", "client_secret": "benchwright/auth/oidc"}
    scim = {"provisioning": "scim", "scim_token": "benchwright/auth/scim"}
    address = {"access": {"hostname": "wb.example.com"}, "users": {"ann": {}}}
    plan, _ = plan_from({**address, "auth": {**oidc, **scim}})
    assert plan.sign_in == SignIn(secret_arn="arn:oidc", secret_version="v3", token_arn="arn:scim", token_version="v4")
    assert plan_from({**address, "auth": oidc})[0].sign_in == SignIn(secret_arn="arn:oidc", secret_version="v3")
    assert plan_from({})[0].sign_in == SignIn()
