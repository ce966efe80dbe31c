"""What the script on a node makes of the text of a secret: its lines as Linux ends them, or a refusal that names it."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.unit.benchwright.hostile import SPECIMENS, drawn
from tests.unit.benchwright.node_script import FOLDER, bash, function

# The CLI prints what Secrets Manager answers; `None` in its text output could be the text, or that there is none.
BEFORE = """
aws() { cat answer; }
last_log_line() { echo 'the last line of the log'; }
fail() { printf '%s' "$1" >&3; exit 1; }
"""
EACH = """
work=.
for number in [0-9]*; do
  ask_secret() { cat "$number"; }
  (read_secret arn:x v1 "$@") >"text.$number" 3>"problem.$number" 2>/dev/null || rm "text.$number"
done
"""
CONTROL = r"[\0-\x1f\x7f-\x9f]"
CONTROL_IN_A_FILE = r"[\0-\x08\x0b-\x1f\x7f-\x9f]"  # tabs and ends of lines are not


BY_HAND = [
    "\ufeffa\r\nb\r\n",
    "\ufeffa",
    "\ufeff",
    "a\ufeff",
    "a\n",
    "a\r\n",
    "\na",
    "a\nb",
    "",
    "\n",
    " a ",
    "None",
    "null",
    "a\0b",
    "a\rb",
    "a\tb\n",
    "\r\n\n",
    " \t",
]
NO_SECRET = ["", "{}", "[]", "null", '{"password": 5}', '{"password": null}', '{"password": ["x"]}', "[" * 60_000]


def read(answers: list[str], folder: Path, *kind: str) -> list[bytes | str]:
    """The text of each answer, or why it was refused."""
    for number, answer in enumerate(answers):
        (folder / f"{number:04}").write_text(answer)
    functions = map(function, ["answer_file", "read_secret"])
    bash("\n".join([BEFORE, *functions, EACH]), *kind, folder=folder)
    read_texts = {path.suffix: path.read_bytes() for path in folder.glob("text.*")}
    problems = [(folder / f"problem.{number:04}").read_text() for number in range(len(answers))]
    return [problem or read_texts[f".{number:04}"] for number, problem in enumerate(problems)]


def written(answers: list[str], *kind: str) -> list[bytes | None]:
    """What the program of `read_secret` writes of each answer, nothing where it refuses it, all in this process: a
    Python for each would take a hundred times as long.
    """
    found: list[bytes | None] = []
    for answer in answers:
        output = io.TextIOWrapper(io.BytesIO())
        around: dict[str, Any] = {"argv": ["secret_text.py", *kind], "stdin": io.StringIO(answer), "stdout": output}
        with mock.patch.multiple(sys, **around):
            try:
                runpy.run_path(str(FOLDER / "secret_text.py"), run_name="__main__")
            except SystemExit:
                assert output.buffer.tell() == 0
                found.append(None)
            else:
                output.seek(0)
                found.append(output.buffer.read())
    return found


def as_password(text: str) -> str:
    return json.dumps({"username": "rstudio", "password": text})


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """Hostile texts, each as long as a secret may be at most."""
    return [*dict.fromkeys(text[:2_000] for text in drawn(90)), *BY_HAND]


def is_utf8(text: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", text)


def refusal(form: str) -> str:
    reported = "The node cannot read version v1 of the secret arn:x: the last line of the log. "
    return f"{reported}Check that it exists, the node role may read it, and it is {form}."


@pytest.mark.parametrize("kind", [(), ("line",), ("line", "password")])
def test_the_script_passes_on_what_the_program_writes(kind: tuple[str, ...], tmp_path: Path) -> None:
    form = ["printable text", "one line of printable text", "JSON with a password of one line of printable text"]
    few = [*BY_HAND, *(texts[0] for texts in SPECIMENS.values()), "é" * 2_000, " %s \\n"]
    answers = [*map(as_password, few), *NO_SECRET] if "password" in kind else few
    answers = [json.dumps(answer) for answer in answers]
    expected = [refusal(form[len(kind)]) if text is None else text for text in written(answers, *kind)]
    assert read(answers, tmp_path, *kind) == expected
    assert 4 < sum(isinstance(text, bytes) for text in expected) < len(expected) - 4


def test_a_file_arrives_with_every_line_as_linux_ends_it(collected: list[str]) -> None:
    found = written([json.dumps(text) for text in collected])
    files = [text.removeprefix("\ufeff").replace("\r\n", "\n") for text in collected]
    fits = [bool(text.strip("\t\n ")) and is_utf8(text) and not re.search(CONTROL_IN_A_FILE, text) for text in files]
    assert found == [text.encode() if fit else None for text, fit in zip(files, fits, strict=True)]
    assert 20 < sum(fits) < len(fits) - 20


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        ('"\\ufeff"', (), "it is empty"),
        ('" \\r\\n"', (), "it is empty"),
        ('"one\\u0000two\\n"', (), "it has a character that cannot be printed"),
        ('"one\\rtwo"', (), "it has a character that cannot be printed"),
        ('"one\\ud800"', (), "it has a character that cannot be printed"),
        ('"one\\ntwo"', ("line",), "it has more than one line"),
        ('"one\\ttwo"', ("line",), "it has a character that cannot be printed"),
        ('"\\r\\n"', ("line",), "it is empty"),
        ("null", ("line",), "its value is not text"),
        ('"password"', ("line", "password"), "it is not JSON with password"),
        ('"{}"', ("line", "password"), "it is not JSON with password"),
    ],
)
def test_what_is_refused_is_named_in_one_sentence(answer: str, kind: tuple[str, ...], why: str, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(answer)
    script = 'python3 "$FOLDER/secret_text.py" "$@" <answer 2>&1 || true'
    assert bash(script, *kind, folder=tmp_path) == f"{why}\n"


def test_a_line_arrives_without_its_end_and_anything_else_is_refused(collected: list[str]) -> None:
    found = written([json.dumps(text) for text in collected], "line")
    lines = [text.removeprefix("\ufeff").rstrip("\r\n") for text in collected]
    fits = [bool(line) and is_utf8(line) and not re.search(CONTROL, line) for line in lines]
    assert found == [line.encode() if fit else None for line, fit in zip(lines, fits, strict=True)]
    assert 20 < sum(fits) < len(fits) - 20


def test_the_password_of_a_database_arrives_as_it_is_and_anything_else_is_refused(collected: list[str]) -> None:
    found = written([json.dumps(each) for each in [*map(as_password, collected), *NO_SECRET]], "line", "password")
    fits = [bool(text) and is_utf8(text) and not re.search(CONTROL, text) for text in collected]
    reported = [text.encode() if fit else None for text, fit in zip(collected, fits, strict=True)]
    assert found == [*reported, *[None] * len(NO_SECRET)]


@pytest.mark.parametrize("kind", [(), ("line",), ("line", "password")])
def test_a_binary_secret_and_no_answer_at_all_are_refused(kind: tuple[str, ...], tmp_path: Path) -> None:
    form = ["", "one line of ", "JSON with a password of one line of "][len(kind)]
    assert read(["null\n", "", "\n"], tmp_path, *kind) == [refusal(f"{form}printable text")] * 3


FETCH = """
work=. STATE=state SSM_Mode=apply
begin() { :; }
aws() {
  [ "$4" != arn:u7 ] || return 254
  echo "$4 $6" >>asked
  mkdir "running.$4" && ls -d running.* | wc -l >>together
  sleep 0.1
  rmdir "running.$4"
  printf '"password of %s"' "$4"
}
export -f aws
"""


READ = """
ask_secret() { echo "$1 $2" >>asked-alone; return 254; }
while read -r name _ _ arn version; do
  [ "$arn" = - ] || (read_secret "$arn" "$version" line) >"read.$name" 3>/dev/null || true
done <bundle/users
"""


def fetch(users: list[str], folder: Path, around: str = "") -> tuple[dict[str, str], list[str]]:
    """What is read for each user after the passwords were fetched together, and what had to be asked for again.

    `users` are lines of the bundle.
    """
    for inside in ("bundle", "state/users"):
        (folder / inside).mkdir(parents=True)
    (folder / "bundle" / "users").write_text("\n".join([*users, ""]))
    (folder / "state" / "users" / "u3").write_text("v1")  # set already
    functions = map(function, ["ask_secret", "answer_file", "fetch_passwords", "read_secret"])
    bash("\n".join([BEFORE, FETCH, *functions, around, "fetch_passwords bundle/users", READ]), folder=folder)
    alone = folder / "asked-alone"
    return (
        {path.name.removeprefix("read."): path.read_text() for path in folder.glob("read.*")},
        alone.read_text().splitlines() if alone.exists() else [],
    )


def test_the_passwords_of_many_users_are_asked_for_several_at_once(tmp_path: Path) -> None:
    """A call of the CLI takes 0.5 seconds of a CPU (awscli 1.46.3, measured): 2,000 in turn would pass its end."""
    users = [f"u{number} {number} {number} arn:u{number} v1" for number in range(40)]
    found, alone = fetch([*users, "none 900 900 - -"], tmp_path)
    together = [number for number in range(40) if number not in (3, 7)]
    asked = sorted((tmp_path / "asked").read_text().splitlines())
    assert asked == sorted(f"arn:u{number} v1" for number in together)
    assert alone == ["arn:u3 v1", "arn:u7 v1"]
    assert found == {f"u{number}": f"password of arn:u{number}" for number in together} | {"u3": "", "u7": ""}
    counts = [int(count) for count in (tmp_path / "together").read_text().split()]
    assert 1 < max(counts) <= 2 * (os.cpu_count() or 1)


def test_a_password_is_fetched_whatever_the_name_of_its_secret(tmp_path: Path) -> None:
    """A secret's name may have 400 characters, slashes among them; that of a file 255."""
    names = ["n" * 400, "a/" * 200, "a_" * 200, "a/b", "a_b"]
    users = [f"user{number} 1 1 {name} v1" for number, name in enumerate(names)]
    found, alone = fetch(users, tmp_path, 'aws() { printf \'"password of %s"\' "$4"; }')
    assert found == {f"user{number}": f"password of {name}" for number, name in enumerate(names)}
    assert alone == []


def test_an_answer_that_cannot_be_removed_ends_no_run(tmp_path: Path) -> None:
    found, alone = fetch(["u7 1 1 arn:u7 v1", "u8 1 1 arn:u8 v1"], tmp_path, "rm() { return 1; }; export -f rm")
    assert found == {"u7": "", "u8": "password of arn:u8"}
    assert alone == []  # the empty answer stands in its place, and is refused


# The accounts themselves are no subject here.
ACCOUNTS = """
differences() { :; }
makes_room() { false; }
is_name() { :; }
remove_subordinate_ids() { :; }
settled_users() { :; }
ensure_account() { :; }
ensure_home() { :; }
chpasswd() { cat >>set; ls answers | wc -l >>together-in-memory; }
"""


def test_no_password_stays_in_memory_when_it_is_set(tmp_path: Path) -> None:
    for inside in ("bundle", "state/users"):
        (tmp_path / inside).mkdir(parents=True)
    (tmp_path / "bundle" / "users").write_text("ann 3001 3001 arn:ann v1\nben 3002 3002 arn:ben v1\n")
    (tmp_path / "bundle" / "locked").touch()
    names = ["ask_secret", "answer_file", "fetch_passwords", "read_secret", "ensure_password", "ensure_users"]
    bash("\n".join([BEFORE, FETCH, ACCOUNTS, *map(function, names), "ensure_users"]), folder=tmp_path)
    assert (tmp_path / "set").read_text() == "ann:password of arn:ann\nben:password of arn:ben\n"
    assert (tmp_path / "together-in-memory").read_text() == "2\n2\n"
    assert not (tmp_path / "answers").exists()


def test_a_run_that_ends_early_has_set_the_passwords_that_it_fetched(tmp_path: Path) -> None:
    """The next one goes on from there: 2,000 passwords take a small node longer than a run may last."""
    for inside in ("bundle", "state/users"):
        (tmp_path / inside).mkdir(parents=True)
    users = [f"u{number} {number} {number} arn:u{number} v1" for number in range(1_000, 1_250)]
    (tmp_path / "bundle" / "users").write_text("\n".join([*users, ""]))
    (tmp_path / "bundle" / "locked").touch()
    names = ["ask_secret", "answer_file", "fetch_passwords", "read_secret", "ensure_password", "ensure_users"]
    quick = 'aws() { echo "$4" >>asked; printf \'"password of %s"\' "$4"; }; export -f aws; read_secret() { echo p; }'
    ends = 'ensure_account() { [ "$1" != u1150 ] || exit 0; }'
    bash("\n".join([BEFORE, FETCH, ACCOUNTS, *map(function, names), quick, ends, "ensure_users"]), folder=tmp_path)
    assert sorted(path.name for path in (tmp_path / "state" / "users").iterdir()) == [
        f"u{number}" for number in range(1_000, 1_150)
    ]
    assert len((tmp_path / "asked").read_text().splitlines()) == 200


# Everything that `apply` does after it holds the node is left out, but for the first step.
HELD = """
RUN=. STATE=state LOG=log work=./work.mine own_log=./work.mine/log changed=() effects=' '
begin() { :; }
needs() { false; }
note_logs() { :; }
workbench_runs() { :; }
applied_here() { :; }
ensure_room() { find work.* -type f | sort >left; }
for step in ensure_{agent,audit_folder,clock,guard,credentials,mounts,directory,users,groups} fetch_bundle \\
  ensure_name_service stage_files \\
  check_{boot,workbench_version,directory,configuration,session_configuration,identity_provider,provisioning} \\
  find_{changes,effects} complete_launch make_room remember_numbers; do eval "$step() { :; }"; done
configuration=c RSERVER_CONF=conf
apply
"""


def test_a_run_removes_the_secrets_that_a_run_which_was_killed_has_left(tmp_path: Path) -> None:
    """The run that holds the lock is the only one that has secrets; what reports and waits goes on with its files."""
    for name in (
        "state/verified",
        "work.killed/answers/a",
        "work.killed/stage/etc/rstudio/secure-cookie-key",
        "work.killed/before/etc/rstudio/secure-cookie-key",
        "work.killed/steps",
        "work.mine/log",
        "work.reports/token",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    bash("\n".join([BEFORE, function("apply"), HELD]), folder=tmp_path)
    left = (tmp_path / "left").read_text().splitlines()
    assert left == ["work.killed/steps", "work.mine/log", "work.reports/token"]
