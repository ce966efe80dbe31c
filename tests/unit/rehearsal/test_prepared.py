"""`pytest` by hand says what to run first, before it begins a test that is bound to fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PREPARED, missing

ROOT = Path(__file__).resolve().parents[3]


def test_everything_that_is_missing_is_named_once_with_what_to_run(tmp_path: Path) -> None:
    files = [tmp_path / "tests/judges/test_state_machines.py", tmp_path / "tests/policies/test_mapping.py"]
    assert missing(files, tmp_path) == (
        "Run `make prepare` first, which needs the network once: tests/policies needs"
        " .tools/node_modules/@cloud-copilot/iam-simulate, tests/judges needs .tools/node_modules/asl-validator."
    )
    for needed in ("@cloud-copilot/iam-simulate", "asl-validator"):
        (tmp_path / ".tools/node_modules" / needed).mkdir(parents=True)
    assert missing(files, tmp_path) == ""
    assert missing([tmp_path / "tests/unit/test_errors.py"], tmp_path) == ""


def test_each_place_is_one_of_tests_and_is_named_as_make_makes_it() -> None:
    assert [place for place in PREPARED if not (ROOT / place).exists()] == []
    needed = {place.partition("/")[0] for places in PREPARED.values() for place in places}
    text = (ROOT / "Makefile").read_text()
    [prepare] = re.findall(r"^prepare: (.*) ##", text, re.MULTILINE)
    places = dict(re.findall(r"^([A-Z]+) := (\.[a-z-]+)/", text, re.MULTILINE))
    made = {places.get(each.strip("$()"), {"build": ".aws-sam"}.get(each)) for each in prepare.split()}
    assert needed <= made


@pytest.mark.parametrize(
    ("options", "reported"), [([], "ERROR: Run `make prepare` first"), (["-n", "1"], "Failed: Run `make")]
)
def test_pytest_ends_with_the_sentence_and_no_traceback(tmp_path: Path, options: list[str], reported: str) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for file in ("tests/conftest.py", "rehearsal/launcher.py", "rehearsal/aws/__init__.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    (tmp_path / "tests/judges").mkdir()
    (tmp_path / "tests/judges/test_one.py").write_text("def test_one() -> None: ...\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert reported in said
    assert "Traceback" not in said
