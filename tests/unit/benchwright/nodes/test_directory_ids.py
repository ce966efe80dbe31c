"""Whom a directory gives the numbers of people and groups of the input, of earlier inputs, and of Workbench."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.benchwright.node_script import bash, constant, function

NODE = f"{constant('FIRST_PROVISIONED_ID')}\n{constant('LAST_PROVISIONED_ID')}"
NODE += """
STATE=state NUMBERS=numbers-given work=. RSERVER_CONF=/conf PROBE_ACCOUNT=probe SSSD_CONF=none
begin() { :; }
fail() { printf '%s' "$1"; exit 0; }
explain_directory() { echo "$1"; }
service_state() { echo active; }
grep() { [ "${*: -1}" = /etc/shells ] || command grep "$@"; }
stat() { cat homes-on-efs; }
find() { cat homes-found; }
of_this_node() { cat "node.$1"; }
getent() {
  local kind key
  if [ "$1" = -s ]; then shift 2; fi
  kind=$1
  for key in "${@:2}"; do command grep -E "^$key:|^[^:]*:[^:]*:$key:" "directory.$kind" || true; done
}
"""
SYSTEM = "root:x:0:\ndisk:x:6:\nuucp:x:10:\nstaff:x:50:\nusers:x:100:\nlxd:x:105:ubuntu\nubuntu:x:1000:\n"
PROBE = "probe:*:70001:70000:p:/efs/home/probe:/bin/bash\n"
MALLORY = "mallory:*:{}:70000:m:/efs/home/mallory:/bin/bash\n"


def found(folder: Path, passwd: str = "", group: str = "", homes: str = "", numbers: str = "", **lists: str) -> str:
    """What a node says of this directory; nothing where all is well."""
    texts = {"directory.passwd": PROBE + passwd, "directory.group": group, "homes-on-efs": homes, "node.group": SYSTEM}
    texts |= {f"bundle/{name}": lists.get(name, "") for name in ("users", "locked", "groups", "emptied")}
    for name, text in {**texts, "numbers-given": numbers}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    names = ("find_probe_account", "at_most_five", "homes_of_others", "groups_of_system", "in_directory", "numbers")
    return bash("\n".join([NODE, *map(function, names), "find_probe_account"]), folder=folder)


@pytest.mark.parametrize(
    ("passwd", "homes", "numbers", "refused"),
    [
        (MALLORY.format(20000), "20000 20000 /efs/home/ann\n", "", "ann (uid 20000) and mallory (uid 20000)."),
        (MALLORY.format(20000), "70009 20000 /efs/home/ann\n", "", ""),  # given to another owner
        (MALLORY.format(70009), "70009 20000 /efs/home/ann\n", "", ""),  # to this one
        (MALLORY.format(20001), "20000 20000 /efs/home/ann\n", "", ""),
        ("ann:*:20000:70000:a:/efs/home/ann:/bin/bash\n", "20000 20000 /efs/home/ann\n", "", ""),
        (MALLORY.format(200000), "200000 200000 /efs/home/jit\n", "workbench\n", "jit (uid 200000) and mallory ("),
        (MALLORY.format(200000), "200000 200000 /efs/home/jit\n", "directory\n", ""),  # renamed there
    ],
)
def test_no_one_of_the_directory_owns_the_home_of_someone_else(
    passwd: str, homes: str, numbers: str, refused: str, tmp_path: Path
) -> None:
    said = found(tmp_path, passwd, homes=homes, numbers=numbers, locked="ann 20000 20000\n")
    assert (f"has the uid of the home of someone else, and would own those files: {refused}" in said) is bool(refused)
    assert bool(said) is bool(refused)


@pytest.mark.parametrize(
    "lists",
    [
        {"users": "x 20005 20000 - -\n"},
        {"groups": "x 20000 -\n"},
        {"emptied": "x 20000\n"},
        {"locked": "x 20005 20000\n", "homes": "20005 20000 /efs/home/x\n"},
    ],
)
def test_no_group_of_the_directory_has_the_number_of_another(lists: dict[str, str], tmp_path: Path) -> None:
    said = found(tmp_path, group="staff:*:20000:mallory\n", **lists)
    assert said.startswith("A group of the directory has the gid of another one, ")
    assert ": x (gid 20000) and staff (gid 20000). Give" in said
    named = found(tmp_path, group="domain users:*:20000:mallory\n", **lists)  # as Active Directory does
    assert ": x (gid 20000) and domain users (gid 20000). Give" in named
    assert found(tmp_path, group="x:*:20000:mallory\n", **lists) == ""


@pytest.mark.parametrize(
    ("group", "conf", "refused"),
    [
        ("raw:*:6:mallory\n", "", "disk (gid 6) and raw (gid 6)"),
        (
            "disk:*:6:mallory\nlab one:*:105:kim\n",
            "",
            "disk (gid 6) and disk (gid 6), lxd (gid 105) and lab one (gid 105)",
        ),
        ("disk:*:6:\n", "", ""),
        ("disk:*:6:\n", "[domain/x]\n ignore_group_members = True\n", "disk (gid 6) and disk (gid 6)"),
        ("wheel:*:10:kim\nstaff:*:50:kim\nusers:*:100:kim\nkim:*:1000:kim\nlab:*:70000:kim\n", "", ""),
    ],
)
def test_no_member_of_a_group_of_the_directory_has_the_permissions_of_a_system_group(
    group: str, conf: str, refused: str, tmp_path: Path
) -> None:
    (tmp_path / "none").write_text(conf)
    said = found(tmp_path, group=group)
    assert (f"the permissions of that one: {refused}. Give the group" in said) is bool(refused)
    assert bool(said) is bool(refused)


def test_where_many_have_the_same_name_five_are_named(tmp_path: Path) -> None:
    people = range(20_000, 22_000)
    passwd = "".join(f"person-{uid}:*:{uid + 50000}:70000:p:/efs/home/p:/bin/bash\n" for uid in people[:40])
    said = found(tmp_path, passwd, users="".join(f"person-{uid} {uid} {uid} - -\n" for uid in people[:40]))
    assert said.count(" and person-") == 5


RETURNS = "user-provisioning-enabled=1"
JANE = "200001 jane\n"


@pytest.mark.parametrize(
    ("numbers", "key", "homes", "remembered", "refused"),
    [
        ("directory", RETURNS, JANE, None, "jane (uid 200001)"),
        ("directory", RETURNS, "", None, ""),
        ("directory", "x=1", JANE, None, ""),
        ("workbench", RETURNS, JANE, None, ""),
        ("directory", RETURNS, JANE, "", "jane (uid 200001)"),
        ("directory", RETURNS, JANE, JANE, ""),
        ("directory", RETURNS, f"{JANE}200002 ben\n200003 a b\n", JANE, "a b (uid 200003), /efs/home/ben (uid 200002)"),
        ("directory", RETURNS, "200011 jane\n200001 jane2\n", JANE, "jane (uid 200011), /efs/home/jane2 (uid 200001)"),
    ],
)
def test_workbench_gives_no_uid_that_a_directory_gave(
    numbers: str, key: str, homes: str, remembered: str | None, *, refused: str, tmp_path: Path
) -> None:
    texts = {"numbers-given": f"{numbers}\n", "stage/conf": f"{key}\n", "homes-found": homes}
    for name, text in {**texts, **({} if remembered is None else {"numbers-given.workbench": remembered})}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    names = ("numbers", "provisions", "at_most_five", "check_provisioning")
    said = bash("\n".join([NODE, *map(function, names), "check_provisioning"]), folder=tmp_path)
    assert (f"others, who would own them: /efs/home/{refused}. Give each" in said) is bool(refused)
    assert bool(said) is bool(refused)


@pytest.mark.parametrize(
    ("numbers", "homes", "remembered"),
    [
        ("workbench\n", "jane 200001 200001\nlate 200002 200002\n", "200001 jane\n"),  # late is in the directory
        ("workbench\n", "", ""),
        ("directory\n", "jane 200001 200001\n", None),
        ("", "jane 20001 20001\n", None),
    ],
)
def test_homes_that_workbench_made_are_remembered_when_a_directory_takes_over(
    numbers: str, homes: str, remembered: str | None, tmp_path: Path
) -> None:
    late = MALLORY.replace("mallory", "late").format(200002)
    for name, text in {"numbers-given": numbers, "homes": homes, "directory.passwd": PROBE + late}.items():
        (tmp_path / name).write_text(text)
    names = ("numbers", "write_beside_homes", "homes_of_workbench", "remember_numbers")
    bash("\n".join([NODE, *map(function, names), "remember_numbers"]), folder=tmp_path)
    written = tmp_path / "numbers-given.workbench"
    assert (written.read_text() if written.exists() else None) == remembered
    assert (tmp_path / "numbers-given").read_text() == "directory\n"
