"""What the script on a node makes of accounts that someone, an image or an earlier run has left there."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from benchwright.models import HIGHEST_ID, LOWEST_ID, OWNED_IDS, AccountName, Id
from tests.unit.benchwright.node_script import bash, constant, function

# The accounts of the node stand in files; what would change them is recorded.
NODE = """
STATE=state work=.
getent() { [ $# -gt 1 ] && { grep -E "^$2:|^[^:]*:[^:]*:$2:" "$1"; return; }; cat "$1"; }
usermod() { printf '%s\\n' "$*" >>usermod; }
fail() { printf '%s' "$1"; exit 1; }
"""
ANN = "ann:x:3001:3001::/efs/home/ann:/bin/bash"


def on_a_node(script: str, folder: Path, passwd: str = ANN, group: str = "ann:x:3001:\nstaff:x:50:ann") -> str:
    """What a script prints on a node with these accounts, before which a configuration was applied there."""
    (folder / "passwd").write_text(f"{passwd}\n")
    (folder / "group").write_text(f"{group}\n")
    (folder / "shadow").write_text("ann:$6$x:20000:0:99999:7:::\n")
    names = ["applied_here", "differences", "restore_account", "change_account", "unlock_account"]
    return bash("\n".join([NODE, *map(function, names), script]), folder=folder)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder in which a configuration with the user ann has been applied."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "files").touch()
    (tmp_path / "state" / "users.list").write_text("ann 3001 3001 - -\n")
    on_a_node("applied_here >state/applied", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("passwd", "group", "differs", "restored"),
    [
        (ANN, "ann:x:3001:\nstaff:x:50:ann", [], []),
        (ANN, "staff:x:50:ann", ["gid=3001(no-group), not gid=3001"], []),
        (ANN, "ann:x:3001:\nstaff:x:50:", ["groups=, not groups=staff"], ["--groups staff ann"]),
        (
            ANN,
            "ann:x:3001:\nstaff:x:50:ann\nsudo:x:27:ann",
            ["groups=staff,sudo, not groups=staff"],
            ["--groups staff ann"],
        ),
        (
            ANN.replace("/efs/home/ann", "/efs/home/ann of old"),
            "ann:x:3001:\nstaff:x:50:ann",
            ["home=/efs/home/ann_of_old, not home=/efs/home/ann"],
            ["--home /efs/home/ann ann"],
        ),
    ],
)
def test_only_what_has_changed_of_an_account_is_named_and_restored(
    passwd: str, group: str, differs: list[str], restored: list[str], node: Path
) -> None:
    printed = on_a_node("differences | tee differences; restore_account ann 3001 >/dev/null", node, passwd, group)
    assert printed.splitlines() == [f"user:ann: {line}" for line in differs]
    calls = node / "usermod"
    assert (calls.read_text().splitlines() if calls.exists() else []) == restored


# What stands in the way of the user ann, to whom the configuration gives uid 3003 and gid 3004.
REFUSALS = """
last_log_line() { tail -n 1 log; }
groupadd() {
  cut -d: -f1 group | grep -qx "$3" || return 0
  echo "groupadd: group '$3' already exists" >>log
  return 9
}
useradd() { echo 'useradd: cannot lock /etc/passwd; try again later' >>log; return 1; }
"""
REPLACE = "comes with the image, remove it there; otherwise replace each node that has it. Then deploy again."


def refused(folder: Path, passwd: str = "", group: str = "", home_of: int = 3003, around: str = "") -> str:
    """Why the user ann is refused on a node with these accounts and a home of this uid."""
    home = f"mkdir -p efs/home/ann; stat() {{ echo {home_of}; }}"
    names = ["is_free_id", "or_by_input", "ensure_account", "ensure_home"]
    functions = "\n".join(map(function, names)).replace('"/efs/home', '"efs/home')
    ensure = "(ensure_account ann 3003 3004; ensure_home ann 3003 3004) || true"
    script = "\n".join([REFUSALS, home, constant("REPLACE"), functions, around, ensure])
    return on_a_node(script, folder, passwd, group)


def by_input(uid: int, kind: str = "uid") -> str:
    """The remedy that the input has, for an id that it takes."""
    if not is_valid(Id, uid):
        return ""
    return f" Until a deployment with ann is verified, the input can also give ann {kind} {uid}."


def is_valid(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


IDS = [0, LOWEST_ID - 1, LOWEST_ID, 3001, HIGHEST_ID, HIGHEST_ID + 1]
IDS += sorted({number for first, last, _ in OWNED_IDS for number in (first - 1, first, last, last + 1)})
NAMES = ["jane.doe", "7of9", "7", "1234", "12.34", "0x1f", "_x", "-x", ".x", ".", "..", "a..b", "Jane", "a@b.c", "a$"]
NAMES += ["a" * 32, "a" * 33, "ü", "a b", "a/b", "a:b", "a;b", "", "a\n", "*"]


@pytest.mark.parametrize("name", NAMES)
def test_a_node_takes_the_names_that_the_input_takes(name: str, tmp_path: Path) -> None:
    script = f"{constant('ACCOUNT_NAME')}\n{function('is_name')}\nis_name {quote(name)} && echo yes || true"
    said = bash(script, folder=tmp_path)
    assert (said == "yes\n") == is_valid(AccountName, name)


@pytest.mark.parametrize("uid", IDS)
def test_an_account_with_another_uid_is_refused_with_what_a_person_can_do(uid: int, node: Path) -> None:
    """A failed run, the image or a person made it: the input can change only ids that no verified deployment used."""
    reported = f"User ann has uid {uid} on this node, but uid 3003 in the configuration. "
    found = refused(node, f"ann:x:{uid}:3001::/efs/home/ann:/bin/bash")
    assert found == f"{reported}If this account {REPLACE}{by_input(uid)}"


def test_a_uid_of_another_account_is_refused_with_what_a_person_can_do(node: Path) -> None:
    reported = "Uid 3003 of user ann belongs to ben on this node. "
    other = " Until a deployment with ann is verified, the input can also give ann another uid."
    assert refused(node, "ben:x:3003:3003::/efs/home/ben:/bin/bash") == f"{reported}If ben {REPLACE}{other}"


def test_a_gid_of_another_group_is_refused_for_a_new_account(node: Path) -> None:
    reported = "Gid 3004 of user ann belongs to the group admins on this node. "
    other = " Until a deployment with ann is verified, the input can also give ann another gid."
    assert refused(node, group="admins:x:3004:") == f"{reported}If admins {REPLACE}{other}"


@pytest.mark.parametrize("gid", IDS)
def test_a_group_of_the_same_name_is_refused_with_what_a_person_can_do(gid: int, node: Path) -> None:
    reported = "Group ann cannot be made with gid 3004: groupadd: group 'ann' already exists. "
    assert refused(node, group=f"ann:x:{gid}:") == f"{reported}If this group {REPLACE}{by_input(gid, 'gid')}"


def test_a_group_that_cannot_be_made_for_another_reason_is_refused_with_what_was_said(node: Path) -> None:
    reported = "Group ann cannot be made with gid 3004: groupadd: cannot lock /etc/group; try again later. "
    around = "groupadd() { echo 'groupadd: cannot lock /etc/group; try again later' >>log; return 10; }"
    assert refused(node, around=around) == f"{reported}If this group {REPLACE}"


def test_an_account_that_cannot_be_made_is_refused_with_what_a_person_can_do(node: Path) -> None:
    reported = "User ann cannot be made with uid 3003 and gid 3004: useradd: cannot lock /etc/passwd; try again later. "
    assert refused(node) == f"{reported}Deploy again; if that does not help, replace this node."


@pytest.mark.parametrize("uid", IDS)
def test_a_home_of_another_uid_is_refused_with_what_a_person_can_do(uid: int, node: Path) -> None:
    reported = f"The home efs/home/ann belongs to uid {uid}, but user ann has uid 3003. "
    remedy = "If it is ann's, run chown -R 3003:3004 efs/home/ann on this node, otherwise move it away. "
    found = refused(node, "ann:x:3003:3004::/efs/home/ann:/bin/bash", "ann:x:3004:", uid)
    assert found == f"{reported}{remedy}Then deploy again.{by_input(uid)}"
