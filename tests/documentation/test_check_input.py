"""`make check-input` as its users have it: what it prints, and its exit status."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.planning.read_input import read_input
from tests.check_input import NOT_CHECKED, check, main
from tests.documentation import input_reference
from tests.documentation.pages import ROOT


def said(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    file = tmp_path / "input.json"
    file.write_text(content)
    status = main([str(file), *more])
    return status, capsys.readouterr().out.replace(str(file), "FILE")


def test_every_problem_is_printed_as_the_first_state_prints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: dict[str, Any] = {"node": {"count": 3}, "nodes": {"count": "three"}, "users": {"root": {}}}
    with pytest.raises(InvalidInput) as refused:
        read_input(wrong, {}, input_reference.defaults(), "benchwright").whole()
    _, _, problems = str(refused.value).partition("\n")
    assert said(json.dumps(wrong), tmp_path, capsys) == (1, f"The input has 3 problems:\n{problems}\n")
    assert problems.count("- ") == 3


def test_what_only_the_whole_plan_shows_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The length of a plan, of which no single value is to blame."""
    files = {f"of-a-team-{number}": {"text": "x" * 15_000} for number in range(20)}
    status, text = said(json.dumps({"files": files}), tmp_path, capsys)
    assert (status, text.startswith("The input has ")) == (1, True)


def test_an_accepted_input_is_said_to_be_with_its_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said('{"config": {"no-such": "1"}}', tmp_path, capsys)
    assert status == 0
    assert text.startswith("Warning: config: no-such: not among the published keys of rserver.conf.")
    assert text.endswith(f"The first state would accept FILE. {NOT_CHECKED}\n")


@pytest.mark.parametrize(
    "wrong",
    [{"users": {"root": {}}}, {"nodes": {"count": "three"}}, {"users": {"Ann": {}}}, {"tags": {"aws:x": "1"}, "a": 1}],
)
def test_warnings_are_printed_beside_problems(wrong: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(json.dumps({"config": {"no-such": "1"}, **wrong}), tmp_path, capsys)
    assert (status, text.startswith("The input has "), text.count("Warning: ")) == (1, True, 1)
    assert "\nWarning: config: no-such: not among the published keys" in text


def test_a_key_that_is_given_twice_is_refused_by_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = '{"nodes": {"count": 2}, "nodes": {"count": 3, "count": 4}, "r_versions": [{"x": 1, "x": 2}]}'
    status, text = said(content, tmp_path, capsys)
    why = "is refused: the file gives this key more than once in one object. Give it once."
    shown = [line for line in text.splitlines() if why in line]
    assert (status, shown) == (
        1,
        [f'- nodes: {{"count": 4}} {why}', f"- nodes.count: 4 {why}", f"- r_versions.x: 2 {why}"],
    )


def test_a_secret_that_is_given_twice_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = '{"users": {"ann": {"password": "hush", "password": "hush"}}, "license": "hush", "license": "hush"}'
    status, text = said(content, tmp_path, capsys)
    assert (status, "hush" in text, text.count("more than once")) == (1, False, 2)


def test_what_only_an_account_shows_is_said_to_be_unchecked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How large an instance type is, AWS alone knows (planning/account_check.py)."""
    for limits in ({"default": {"cpus": 8, "memory_mb": 32768}}, {"reserved_memory_mb": 20000}):
        status, text = said(json.dumps({"limits": limits}), tmp_path, capsys)
        assert (status, "that the instance type exists and is as large as `limits` need it" in text) == (0, True)


def test_the_name_of_the_application_decides_about_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = '{"license": "wb/license/workbench"}'
    assert said(content, tmp_path, capsys)[0] == 1
    assert said(content, tmp_path, capsys, "--name", "wb")[0] == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"nodes": {"count": NaN}}', "is not JSON: it has NaN"),
        (None, "cannot be"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    content: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input.json"
    if content:
        file.write_text(content)
    assert main([str(file)]) == 2
    shown = capsys.readouterr().err
    assert (shown.startswith(f"{file} {why}"), shown.count("\n")) == (True, 1)


@pytest.mark.parametrize("name", ["administrator", "production"])
def test_the_examples_are_accepted(name: str) -> None:
    assert check(json.loads((ROOT / "events" / f"{name}.json").read_text()))[0] is None


def test_make_has_the_command() -> None:
    makefile = ["make", "--no-print-directory", "--dry-run", "--old-file=.venv/.rehearsal", "check-input"]
    shown = subprocess.run(
        [*makefile, "FILE=a.json", "ARGS=--name wb"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m tests.check_input a.json --name wb" in shown.stdout
