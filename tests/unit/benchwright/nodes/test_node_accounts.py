"""What the script on a node makes of accounts that someone, an image or an earlier run has left there."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from benchwright.nodes.report import groups_digest
from benchwright.values import (
    FIRST_PROVISIONED_ID,
    HIGHEST_ID,
    LAST_PROVISIONED_ID,
    LOWEST_ID,
    OWNED_IDS,
    AccountName,
    Id,
)
from tests.unit.benchwright.node_script import bash, constant, function
from tests.unit.benchwright.verification.test_checks import a_plan

# The accounts of the node stand in files; what would change them is recorded.
NODE = """
STATE=state work=. PROBE_ACCOUNT='' RSERVER_CONF=/rserver.conf
of_this_node() { [ $# -gt 1 ] && { grep -E "^$2:|^[^:]*:[^:]*:$2:" "$1"; return; }; cat "$1"; }
among_own() { "$@"; }
known_here() { of_this_node "$@"; }
usermod() { printf '%s\\n' "$*" >>usermod; }
makes_room() { false; }
fail() { printf '%s' "$1"; exit 1; }
names_of_node() { cat "$1.names" 2>/dev/null || cut -d: -f1 "$1"; }
"""
ANN = "ann:x:3001:3001::/efs/home/ann:/bin/bash"


def on_a_node(script: str, folder: Path, passwd: str = ANN, group: str = "ann:x:3001:\nstaff:x:50:ann") -> str:
    """What a script prints on a node with these accounts, before which a configuration was applied there."""
    (folder / "passwd").write_text(f"{passwd}\n")
    (folder / "group").write_text(f"{group}\n")
    (folder / "shadow").write_text("ann:$6$x:20000:0:99999:7:::\n")
    names = ["applied_here", "differences", "groups_here", "restore_account", "change_account", "unlock_account"]
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
    names = ["is_of_node", "is_free_id", "or_by_input", "ensure_account", "ensure_home"]
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


def test_a_node_knows_the_ids_that_workbench_gives() -> None:
    given = {"FIRST_PROVISIONED_ID": FIRST_PROVISIONED_ID, "LAST_PROVISIONED_ID": LAST_PROVISIONED_ID}
    assert [constant(name) for name in given] == [f"readonly {name}='{number}'" for name, number in given.items()]


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


# The node has the groups of the file; what would change one is recorded, and done.
GROUPS = """
begin() { :; }
last_log_line() { echo 'what the log says'; }
of_this_node() {
  local file=$1 found=0 key
  [ $# -gt 1 ] || cat "$file"
  for key in "${@:2}"; do grep -E "^$key:|^[^:]*:[^:]*:$key:" "$file" || found=2; done
  return $found
}
groupadd() { echo "groupadd $*" >>calls; echo "$3:x:$2:" >>group; }
gpasswd() {
  echo "gpasswd $*" >>calls
  awk -F: -v OFS=: -v name="$3" -v members="$2" '$1 == name { $4 = members } 1' group >new
  mv new group
}
"""


def grouped(folder: Path, listed: str, emptied: str = "", around: str = "") -> list[str]:
    """What the script does to the groups of a node."""
    (folder / "bundle").mkdir(exist_ok=True)
    (folder / "bundle" / "groups").write_text(listed)
    (folder / "bundle" / "emptied").write_text(emptied)
    names = [
        "is_name",
        "is_of_node",
        "is_free_id",
        "or_by_input",
        "or_other_gid",
        "ensure_group",
        "set_members",
        "ensure_groups",
    ]
    constants = [constant("REPLACE"), constant("ACCOUNT_NAME")]
    said = bash("\n".join([NODE, GROUPS, *constants, *map(function, names), around, "ensure_groups"]), folder=folder)
    calls = folder / "calls"
    return [*(calls.read_text().splitlines() if calls.exists() else []), *([said] if said else [])]


@pytest.mark.parametrize(
    ("here", "listed", "emptied", "calls"),
    [
        ("", "writers 5001 ann,ben\n", "", ["groupadd --gid 5001 writers", "gpasswd --members ann,ben writers"]),
        ("", "writers 5001 -\n", "", ["groupadd --gid 5001 writers"]),
        ("writers:x:5001:ann,ben", "writers 5001 ann,ben\n", "", []),
        ("writers:x:5001:ben", "writers 5001 ann\n", "", ["gpasswd --members ann writers"]),
        ("writers:x:5001:ben", "writers 5001 -\n", "", ["gpasswd --members  writers"]),
        ("writers:x:5001:ben\nold:x:5002:ann", "", "old\nnever-here\n", ["gpasswd --members  old"]),
        ("old:x:5002:", "", "old\n", []),
    ],
)
def test_groups_get_exactly_their_members(
    here: str, listed: str, emptied: str, calls: list[str], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "group").write_text(f"sudo:x:27:ubuntu\n{here}\n")
    assert grouped(tmp_path, listed, emptied) == calls
    assert (tmp_path / "state" / "groups.list").read_text() == listed
    assert (tmp_path / "state" / "emptied.list").read_text() == emptied
    (tmp_path / "calls").unlink(missing_ok=True)
    assert grouped(tmp_path, listed, emptied) == []


OTHER_GID = " Until a deployment with w is verified, the input can also give w another gid."
BY_INPUT = " Until a deployment with w is verified, the input can also give w gid 5002."
HAS, NOT = "The group w has gid", "on this node, but gid 5001 in the configuration. If this group"
HELD = "Gid 5001 of the group w belongs to the group docker on this node. If docker"
LOG, AGAIN = "what the log says.", "Deploy again; if that does not help, replace this node."


@pytest.mark.parametrize(
    ("here", "listed", "around", "reason"),
    [
        ("w:x:990:", "w 5001 -", "", f"{HAS} 990 {NOT} {REPLACE}"),
        ("w:x:5002:", "w 5001 -", "", f"{HAS} 5002 {NOT} {REPLACE}{BY_INPUT}"),
        ("docker:x:5001:", "w 5001 -", "", f"{HELD} {REPLACE}{OTHER_GID}"),
        ("", "w 5001 -", "groupadd() { return 10; }", f"The group w cannot be made with gid 5001: {LOG} {AGAIN}"),
        ("", "w 5001 ann", "gpasswd() { return 3; }", f"The group w cannot be given its members: {LOG} {AGAIN}"),
        ("", "12 5001 -", "", "The list of groups has the line '12 5001', which is no group; deploy again."),
        ("", "w 27x ann", "", "The list of groups has the line 'w 27x', which is no group; deploy again."),
    ],
)
def test_a_group_in_the_way_is_refused_with_what_a_person_can_do(
    here: str, listed: str, around: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "group").write_text(f"sudo:x:27:ubuntu\n{here}\n")
    assert grouped(tmp_path, f"{listed}\n", around=f"{around}\ntrap 'exit 0' EXIT")[-1] == reason


def test_the_digest_of_the_groups_of_a_node_is_that_of_the_plan(tmp_path: Path) -> None:
    """Whatever the order in which the node has members."""
    members = {"writers": ["ben", "7of9", "jane.doe", "a-b", "a_b"], "analysts": [], "a.b": ["ann"]}
    people: dict[str, Any] = {name: {} for listed in members.values() for name in listed}
    plan = a_plan({"users": people, "groups": {name: {"members": listed} for name, listed in members.items()}})
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "groups.list").write_text("".join(f"{group.name} {group.gid} -\n" for group in plan.groups))
    lines = [f"{group.name}:x:{group.gid}:{','.join(reversed(group.members))}" for group in plan.groups]
    (tmp_path / "group").write_text("\n".join([*lines, "sudo:x:27:ann", ""]))
    functions = [function("groups_here"), function("digest")]
    printed = bash("\n".join([NODE, GROUPS, *functions, 'digest "$(groups_here)"']), folder=tmp_path)
    assert printed == f"{groups_digest(plan)}\n"


def test_a_group_that_someone_changed_is_named_as_such_and_not_as_a_change_of_its_members(node: Path) -> None:
    (node / "state" / "groups.list").write_text("staff 50 ann\n")
    (node / "state" / "emptied.list").write_text("old\n")
    group = "ann:x:3001:\nstaff:x:50:ann\nold:x:60:"
    assert on_a_node(f"{GROUPS}\napplied_here | tee state/applied", node, group=group).splitlines() == [
        "group:staff gid=50 members=ann",
        "group:old gid=60 members=",
        "user:ann uid=3001 gid=3001 home=/efs/home/ann shell=login groups= password=set expires=",
    ]
    changed = "ann:x:3001:\nstaff:x:51:\nold:x:60:ann\nsudo:x:27:ann"
    assert on_a_node(f"{GROUPS}\ndifferences", node, group=changed).splitlines() == [
        "group:staff: gid=51, not gid=50",
        "group:staff: members=, not members=ann",
        "group:old: members=ann, not members=",
        "user:ann: groups=sudo, not groups=",
    ]


HOME = "ann:x:3001:3001::/efs/home/ann:/bin/bash"


@pytest.mark.parametrize(
    ("listed", "changed"),
    [
        ("ann 3001 3001 - -", {}),
        ("ann 3001 3001 arn:aws:s:ann v1", {}),
        ("ann 3001 3001 arn:aws:s:ann v2", None),
        ("ann 3002 3001 - -", None),
        ("ann 3001 3002 - -", None),
        ("ben 3001 3001 - -", None),
        ("ann 3001 3001 - -", {"passwd": HOME.replace("bash", "false")}),
        ("ann 3001 3001 - -", {"passwd": HOME.replace("/efs/home/ann", "/home/ann")}),
        ("ann 3001 3001 - -", {"group": "staff:x:50:"}),
        ("ann 3001 3001 - -", {"shadow": "ann:!$6$x:20000:0:99999:7:::"}),
        ("ann 3001 3001 - -", {"shadow": "ann:$6$x:20000:0:99999:7::1:"}),
        ("ann 3001 3001 - -", {"differences": "user:ann: groups=sudo, not groups="}),
        ("ann 3001 3001 - -", {"owner": "3002"}),
        ("ann 3001 3001 - -", {"owner": ""}),
        ("ann 3001 3001 - -", {"passwd.names": "ben"}),  # of Workbench or of a directory
    ],
)
def test_nothing_is_done_for_a_user_only_where_all_is_as_the_list_says(
    listed: str, changed: dict[str, str] | None, tmp_path: Path
) -> None:
    """changed: what is otherwise on the node; None where the list says something else."""
    here = {"passwd": HOME, "group": "ann:x:3001:", "shadow": "ann:$6$x:20000:0:99999:7:::", "differences": "user:b: x"}
    here |= changed or {}
    for name, text in {**here, "bundle/users": listed, "state/users/ann": "v1"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n" if name != "state/users/ann" else text)
    owner = here.get("owner", "3001")
    homes = f"stat() {{ [ -z '{owner}' ] || echo home:{owner}:/efs/home/ann; }}"
    printed = bash("\n".join([NODE, GROUPS, homes, function("settled_users"), "settled_users"]), folder=tmp_path)
    assert printed == ("ann\n" if changed == {} else "")


def test_an_account_that_workbench_makes_is_none_of_users(tmp_path: Path) -> None:
    (tmp_path / "passwd.names").write_text("root\nann\n")
    names = ["is_of_node", "is_free_id", "or_by_input", "ensure_account"]
    script = "\n".join([constant("REPLACE"), *map(function, names), "(ensure_account jit 20000 20000) || true"])

    said = on_a_node(script, tmp_path, "jit:x:200001:200001::/efs/home/jit:/bin/bash")
    assert said.startswith("User jit has an account of Workbench or of a directory on this node, with uid 200001. As ")
    assert said.endswith("first deploy without auth, and then with uid 200001 for jit.")


def test_a_group_that_workbench_makes_is_none_of_groups(tmp_path: Path) -> None:
    (tmp_path / "group").write_text("jit:x:200002:ann\n")
    (tmp_path / "group.names").write_text("root\n")
    (said,) = grouped(tmp_path, "", around="ensure_groups() { (ensure_group jit 20000 -) || true; }")
    assert said.startswith("The group jit comes from Workbench or a directory on this node, with gid 200002. As long ")


# On a node where `gone` has a home of uid 300000, and `new` none yet.
HOMES = """
mkdir() { :; }; cp() { :; }; chown() { :; }; chmod() { :; }; mv() { :; }; rm() { :; }
find() { [ "${@: -3:1}" != 300000 ] || echo "$1/gone"; }
stat() { echo "$uid"; }
HOSTNAME=here
"""


@pytest.mark.parametrize(("uid", "refused"), [(300_000, True), (300_001, False), (20_000, False)])
def test_a_number_that_workbench_gave_makes_no_one_else_the_owner_of_those_files(
    uid: int, refused: bool, tmp_path: Path
) -> None:
    """Whoever had it may sign in no more, and still has a home."""
    names = ("is_free_id", "or_by_input", "ensure_home")
    ensure = f"(uid={uid}; ensure_home new {uid} {uid}) || true"
    constants = map(constant, ("FIRST_PROVISIONED_ID", "LAST_PROVISIONED_ID"))
    said = on_a_node("\n".join([HOMES, *constants, *map(function, names), ensure]), tmp_path)
    expected = "Uid 300000 of user new owns /efs/home/gone, so new would own the files of someone whom Workbench made. "
    assert said == (f"{expected}Give new another uid in the input." if refused else "")


def test_an_account_is_found_among_many(tmp_path: Path) -> None:
    """What reads no further must not end what still writes names."""
    script = f"names_of_node() {{ echo ann; seq 100000; }}\n{function('is_of_node')}is_of_node passwd ann && echo yes"
    assert bash(script, folder=tmp_path) == "yes\n"


@pytest.mark.parametrize(
    ("probe", "key", "changed"),
    [
        ("", "x=1", ["usermod --lock --expiredate 1 ann", "gpasswd --members  staff"]),
        ("svc-probe", "x=1", ["the directory answers", "userdel --force ann", "groupdel staff"]),
        *(
            ("", f"{key}=1", ["the directory answers", "userdel --force ann", "groupdel staff"])
            for key in ("user-provisioning-enabled", "auth-openid", "auth-saml", "auth-proxy")
        ),
    ],
)
def test_who_left_is_locked_or_removed_where_others_let_people_in(
    node: Path, probe: str, key: str, changed: list[str]
) -> None:
    """What is only locked or emptied would come before an account and a group of the directory or of Workbench, and an
    identity provider asks for no password. Nothing is removed before the directory has answered.
    """
    files = {"locked": "ann 3001 3001\ngone 3009 3009\n", "emptied": "staff 50\ngone 51\n", "users": "", "groups": ""}
    for name, text in {**{f"bundle/{name}": text for name, text in files.items()}, "stage/conf": f"{key}\n"}.items():
        (node / name).parent.mkdir(exist_ok=True)
        (node / name).write_text(text)
    (node / "state" / "users").mkdir()
    (node / "state" / "users" / "ann").write_text("v1")
    around = "begin() { :; }; remove_subordinate_ids() { :; }; settled_users() { :; }; RSERVER_CONF=/conf\n"
    around += "\n".join(f'{name}() {{ echo "{name} $*" >>done; }}' for name in DOES)
    names = ["makes_room", "lock_account", "set_members", "remove_account", "remove_group", "make_room"]
    names += ["ensure_users", "ensure_groups"]
    calls = f"PROBE_ACCOUNT='{probe}'; ensure_users; ensure_groups; makes_room && echo 'the directory answers' >>done"
    on_a_node("\n".join([around, *map(function, names), f"{calls} || true; make_room"]), node)
    assert (node / "done").read_text().splitlines() == changed
    # With the next account of this name comes its password, too.
    assert (node / "state" / "users" / "ann").exists() is (len(changed) == 2)


DOES = ("usermod", "userdel", "groupdel", "gpasswd")
