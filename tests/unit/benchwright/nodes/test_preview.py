"""What a dry run says of nodes, of their configuration and of sessions."""

from typing import Any

import pytest

from benchwright.nodes.archive import unpacked
from benchwright.nodes.auto_scaling import Group, Node
from benchwright.nodes.bundle import Endpoint, make_bundle
from benchwright.nodes.preview import MOST_LISTED, Nodes, configuration, nodes_after, publication, replacement, sessions
from benchwright.rstudio_files import Effect
from benchwright.secrets import Secret
from tests.unit.benchwright.nodes.test_replacement import wanted as wanted_nodes
from tests.unit.benchwright.verification.test_checks import a_plan

TWO = Group("g", (Node("i-1", "InService", "lt:1"), Node("i-2", "InService", "lt:1")), template_version="lt:1")
MIXED = "since versions of Workbench cannot be mixed"
KEPT = Nodes(now=2, then=2)


def bundle(given: Any, *, database: str = "v1", key: str = "v1") -> dict[str, str]:
    secrets = Secret("arn:database", database), Secret("arn:key", key)
    return unpacked(make_bundle(a_plan(given), Endpoint("db.example", 5432), *secrets).archive)


@pytest.mark.parametrize(
    ("group", "wanted", "facts", "expected"),
    [
        (Group("g"), 2, (False, False), {"created": 2}),
        (TWO, 2, (False, False), {}),
        (TWO, 3, (False, False), {"created": 1}),
        (TWO, 1, (False, False), {"removed": 1}),
        (TWO, 3, (True, False), {"created": 1, "replaced": 2}),
        (TWO, 1, (True, False), {"removed": 1, "replaced": 1}),
        (TWO, 2, (True, True), {"replaced": 2}),
        (TWO._replace(nodes=(Node("i-1", "InService", "lt:0"), *TWO.nodes[1:])), 2, (False, False), {"replaced": 1}),
    ],
)
def test_how_many_nodes_come_go_and_are_replaced(
    group: Group, wanted: int, facts: tuple[bool, bool], expected: dict[str, int]
) -> None:
    new_template, all_at_once = facts
    found = nodes_after(group, wanted_nodes(wanted), ["why"], new_template=new_template, all_at_once=all_at_once)
    counts = {"created": found.created, "removed": found.removed, "replaced": found.replaced}
    assert {name: count for name, count in counts.items() if count} == expected
    assert found.why == (["why"] if "replaced" in expected else [])


@pytest.mark.parametrize(
    ("nodes", "sentences"),
    [
        (KEPT, ["The nodes stay."]),
        (Nodes(now=1, then=3, created=2, replaced=1, why=["another image"]), None),
        (Nodes(now=2, then=1, replaced=1, removed=1, all_at_once=True, why=["another image"]), None),
        (Nodes(now=9, then=9, replaced=9), ["9 nodes are replaced, one at a time."]),
        (Nodes(now=12, then=12, replaced=12, at_once=2), ["12 nodes are replaced, 2 at a time."]),
        (Nodes(now=12, then=12, replaced=2, at_once=2), ["2 nodes are replaced, all at the same time."]),
    ],
)
def test_what_becomes_of_nodes_in_sentences(nodes: Nodes, sentences: list[str] | None) -> None:
    said = {
        3: ["2 nodes are launched.", "1 node is replaced (another image)."],
        1: [
            f"All 2 nodes go before 1 new one come, {MIXED} (another image). No one can work meanwhile.",
        ],
    }
    assert replacement(nodes) == (sentences or said[nodes.then])


@pytest.mark.parametrize(
    ("before", "after", "changes", "effect"),
    [
        ({}, {}, [], Effect.NONE),
        ({}, {"config": {"admin-enabled": "1"}}, [("change", "file", "/etc/rstudio/rserver.conf")], Effect.RESTART),
        (
            {"users": {"ann": {"uid": 30001}}},
            {"users": {"ben": {"uid": 30002}}},
            [("create", "user", "ben")],
            Effect.NONE,
        ),
        (
            {"groups": {"a": {"gid": 40001}}, "users": {"ann": {"uid": 30001}}},
            {"groups": {"a": {"gid": 40001}}, "users": {"ann": {"uid": 30001, "groups": ["a"]}}},
            [("change", "group", "a")],
            Effect.NONE,
        ),
        (
            {"files": {"rsession.conf": {"keys": {"session-timeout-minutes": "9"}}}},
            {},
            [("remove", "file", "/etc/rstudio/rsession.conf")],
            Effect.RELOAD,
        ),
    ],
)
def test_what_a_configuration_changes_and_what_that_needs(
    before: Any, after: Any, changes: list[tuple[str, str, str]], effect: Effect
) -> None:
    found = configuration(bundle(before), bundle(after))
    assert [(each.action, each.kind, each.name) for each in found] == changes
    steps, needed = publication(bundle(before), bundle(after), KEPT)
    assert needed is effect
    assert [step.step for step in steps] == ["Publish configuration", *(["Configure nodes"] if changes else [])]


@pytest.mark.parametrize(("count", "is_listed"), [(MOST_LISTED, True), (MOST_LISTED + 1, False)])
def test_so_many_users_that_none_is_listed_are_counted(count: int, is_listed: bool) -> None:
    before: dict[str, Any] = {f"user{number}": {"uid": 30_000 + number} for number in range(1, count)}
    after = {name: value | {"comment": "another"} for name, value in before.items()} | {"new": {"uid": 31_000}}
    old = bundle({"users": before})
    new = old | {"users": "".join(f"{name} {value}\n" for name, value in after.items())}
    (published, *_), _effect = publication(old, new, KEPT)
    assert len(published.changes) == (count if is_listed else 0)
    assert published.omitted == ({} if is_listed else {"user": count})
    assert len(published.sentences) == (count if is_listed else 1)
    if not is_listed:
        assert published.sentences == [f"{count} users: 1 made, {count - 1} changed."]


def test_a_new_version_of_a_secret_changes_the_file_that_has_it() -> None:
    found = configuration(bundle({}), bundle({}, key="v2"))
    assert [(each.name, each.because) for each in found] == [("/etc/rstudio/secure-cookie-key", ["the secret"])]
    _, effect = publication(bundle({}), bundle({}, key="v2"), KEPT)
    assert effect is Effect.RESTART_LAUNCHER


def test_a_file_that_comes_with_its_secret_is_made_and_a_new_version_changes_it() -> None:
    def given(version: str) -> dict[str, str]:
        return bundle({"files": {"databricks.conf": {"secret": "benchwright/files/databricks"}}}) | {
            "secrets": f"/etc/rstudio/databricks.conf arn {version}\n"
        }

    path = "/etc/rstudio/databricks.conf"
    assert [(each.action, each.name) for each in configuration(bundle({}), given("v1"))] == [("create", path)]
    assert [(each.action, each.name) for each in configuration(given("v1"), given("v2"))] == [("change", path)]
    assert configuration(given("v1"), given("v1")) == []


def test_nodes_that_are_all_replaced_restart_nothing() -> None:
    steps, effect = publication(
        bundle({}), bundle({"config": {"admin-enabled": "1"}}), Nodes(now=2, then=2, replaced=2)
    )
    assert ([step.step for step in steps], effect) == (["Publish configuration"], Effect.NONE)


@pytest.mark.parametrize(
    ("count", "nodes", "effect", "said"),
    [
        (3, KEPT, Effect.RESTART, []),
        (0, Nodes(now=2, then=2, replaced=2), Effect.NONE, ["No session runs now."]),
        (3, Nodes(now=2, then=2, replaced=2), Effect.NONE, ["All 3 sessions that run now end."]),
        (None, Nodes(now=2, then=1, removed=1), Effect.NONE, ["Of sessions that run now, those on 1 node of 2 end."]),
        (1, KEPT, Effect.RESTART_LAUNCHER, ["All 1 session that run now end."]),
        (None, Nodes(then=2, created=2), Effect.NONE, []),
    ],
)
def test_what_becomes_of_sessions(count: int | None, nodes: Nodes, effect: Effect, said: list[str]) -> None:
    rest = " RStudio sessions are suspended and open again; all others are lost."
    assert [line.removesuffix(rest) for line in sessions(count, nodes, effect)] == said
