"""What the script on a node makes of accounts that another hand, an image or an earlier run has left there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.benchwright.node_script import bash, function

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
