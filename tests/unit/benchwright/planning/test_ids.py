"""Ids are given once, for ever, once a verified execution has used them."""

from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.record import Known
from tests.documentation.input_reference import OIDC
from tests.unit.benchwright.planning.test_plan import plan_from
from tests.unit.benchwright.planning.test_sign_in import JIT


def verified(known: Known) -> Known:
    return known.model_copy(update={"proven_accounts": tuple(known.accounts), "proven_groups": tuple(known.groups)})


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
    assert list(plan.locked_accounts) == sorted(set(ids) - set(plan.wanted.users))


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


def test_groups_get_ids_once_and_removed_groups_keep_theirs() -> None:
    """No number is both that of a group and that of a user."""
    plan, known = plan_from({"users": {"ann": {}, "ben": {"uid": 20_001}}, "groups": {"writers": {}, "analysts": {}}})
    assert known.groups == {"analysts": 20_000, "writers": 20_002}
    assert known.accounts == {"ann": (20_003, 20_003), "ben": (20_001, 20_001)}
    assert [(group.name, group.gid) for group in plan.groups] == [("analysts", 20_000), ("writers", 20_002)]
    assert {name: group.gid for name, group in plan.wanted.groups.items()} == known.groups
    removed, later = plan_from({"groups": {"analysts": None, "editors": {}}}, known)
    assert removed.emptied_groups == {"analysts": 20_000}
    assert [(group.name, group.gid) for group in removed.groups] == [("editors", 20_004), ("writers", 20_002)]
    back, _ = plan_from({"groups": {"analysts": {}}}, verified(later))
    assert (back.emptied_groups, back.groups[0].gid) == ({}, 20_000)


@pytest.mark.parametrize(
    ("second", "third", "gids"),
    [
        ({"analysts": {"gid": 3003}}, {}, {"analysts": 3003}),
        ({"analysts": {"gid": None}}, {}, {"analysts": 20_000}),
        ({"analysts": None}, {}, {"analysts": 3001}),
        ({"analysts": None}, {"analysts": {"gid": 3003}}, {"analysts": 3003}),
        ({"analysts": None, "writers": {"gid": 3001}}, {}, {"writers": 3001}),
        ({"writers": {"gid": 3005}}, {"writers": {"gid": 3006}}, {"analysts": 3001, "writers": 3006}),
    ],
)
def test_a_gid_of_a_group_that_no_verified_execution_has_used_can_be_changed(
    second: dict[str, Any], third: dict[str, Any], gids: dict[str, int]
) -> None:
    plan, known = plan_from({"groups": {"analysts": {"gid": 3001}}})
    for groups in (second, third):
        plan, known = plan_from({"groups": groups}, known)
    assert known.groups == gids
    assert list(plan.emptied_groups) == sorted(set(gids) - set(plan.wanted.groups))


PROVEN: dict[str, Any] = {
    "users": {"ann": {"uid": 3001, "gid": 3002}, "ben": {}},
    "groups": {"analysts": {}, "old": {}},
}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            {"groups": {"analysts": {"gid": 6000}}},
            "groups.analysts.gid: 6000 is refused: the group has gid 20000 since",
        ),
        ({"groups": {"w": {"gid": 20_000}}}, "groups.w.gid: 20000 is refused: the gid belongs to the group analysts. "),
        ({"groups": {"w": {"gid": 20_001}}}, "groups.w.gid: 20001 is refused: the gid belongs to the group old. "),
        ({"groups": {"w": {"gid": 3002}}}, "groups.w.gid: 3002 is refused: the gid belongs to ann. "),
        (
            {"users": {"ann": None}, "groups": {"w": {"gid": 3002}}},
            "groups.w.gid: 3002 is refused: the gid belongs to ",
        ),
        ({"users": {"cid": {"gid": 20_001}}}, "users.cid.gid: 20001 is refused: the gid belongs to the group old. "),
        ({"users": {"cid": {"uid": 20_001}}}, "users.cid.gid: 20001 is refused: the gid belongs to the group old. "),
        ({"groups": {"w": {"gid": 5}}}, "groups.w.gid: 5 is refused: "),
        (
            {"groups": {"w": {"gid": 600_000}}},
            "groups.w.gid: 600000 is refused: systemd-nspawn has it for containers, ",
        ),
        (
            {"groups": {"v": {"gid": 5000}, "w": {"gid": 5000}}},
            "groups.w.gid: 5000 is refused: the gid belongs to the ",
        ),
        (
            {"groups": {"w": {"gid": 5000}}, "users": {"cid": {"uid": 5000}}},
            "users.cid.gid: 5000 is refused: the gid be",
        ),
        (
            {"users": {"ann": None}, "groups": {"ann": {}}},
            'groups.ann: "ann" is refused: the user ann of an earlier in',
        ),
        (
            {"users": {"old": {}}},
            'users.old: "old" is refused: an earlier input had a group old, and a user has a group',
        ),
    ],
)
def test_what_contradicts_an_id_or_a_name_of_users_and_groups_is_refused(raw: Any, problem: str) -> None:
    _, known = plan_from(PROVEN)
    _, known = plan_from({"groups": {"old": None}}, verified(known))
    with pytest.raises(InvalidInput) as caught:
        plan_from(raw, known)
    assert str(caught.value).splitlines()[1].startswith(f"- {problem}")


def test_a_number_that_was_only_recorded_gives_way() -> None:
    _, known = plan_from({"users": {"ann": {}}, "groups": {"analysts": {}}})
    assert (known.accounts, known.groups) == ({"ann": (20_001, 20_001)}, {"analysts": 20_000})
    _, of_group = plan_from({"groups": {"writers": {"gid": 20_001}}}, known)
    assert (of_group.accounts, of_group.groups) == ({"ann": (20_002, 20_002)}, {"analysts": 20_000, "writers": 20_001})
    _, of_user = plan_from({"users": {"ben": {"uid": 20_000}}}, known)
    assert of_user.accounts == {"ann": (20_001, 20_001), "ben": (20_000, 20_000)}
    assert of_user.groups == {"analysts": 20_002}


@pytest.mark.parametrize(
    ("earlier", "owner"),
    [
        ({"users": {"ben": {"uid": 250_000}}}, "the user ben of an earlier input has the id 250000"),
        ({"users": {"ben": {"gid": 200_000}}}, "the user ben of an earlier input has the id 200000"),
        ({"groups": {"old": {"gid": 524_287}}}, "the group old of an earlier input has the id 524287"),
    ],
)
def test_workbench_gives_no_id_that_someone_had_who_was_removed(earlier: dict[str, Any], owner: str) -> None:
    """The files of that one would be those of whom Workbench makes."""
    known = verified(plan_from({"users": {"ann": {}}, **earlier})[1])
    known = plan_from({kind: dict.fromkeys(names) for kind, names in earlier.items()}, known)[1]
    with pytest.raises(InvalidInput, match=rf'- auth.provisioning: "jit" is refused: {owner}, and Workbench gives'):
        plan_from(JIT, known)
    plan_from(OIDC, known)


def test_workbench_gives_ids_where_those_of_the_past_are_others() -> None:
    known = verified(plan_from({"users": {"ann": {}, "ben": {"uid": 199_999}, "cid": {"uid": 1_879_048_192}}})[1])
    plan, _ = plan_from({**JIT, "users": {"ben": None, "cid": None}}, known)
    assert list(plan.locked_accounts) == ["ben", "cid"]
