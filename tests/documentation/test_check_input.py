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
    assert said(json.dumps(wrong), tmp_path, capsys) == (1, f"{refused.value}\n")
    assert str(refused.value).count("\n- ") == 3


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


def test_the_name_of_the_application_decides_about_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = '{"license": "wb/license/workbench"}'
    assert said(content, tmp_path, capsys)[0] == 1
    assert said(content, tmp_path, capsys, "--name", "wb")[0] == 0


@pytest.mark.parametrize(
    ("content", "why"), [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), (None, "cannot be")]
)
def test_a_file_that_cannot_be_read_is_named(
    content: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input.json"
    if content:
        file.write_text(content)
    with pytest.raises(SystemExit) as ended:
        main([str(file)])
    assert (ended.value.code, f"{file} {why}" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("name", ["administrator", "production"])
def test_the_examples_are_accepted(name: str) -> None:
    check(json.loads((ROOT / "events" / f"{name}.json").read_text()))


def test_make_has_the_command() -> None:
    makefile = ["make", "--no-print-directory", "--dry-run", "--old-file=.venv/.installed", "check-input"]
    shown = subprocess.run(
        [*makefile, "FILE=a.json", "ARGS=--name wb"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m tests.check_input a.json --name wb" in shown.stdout
