"""What the script on a node makes of the text of a secret: each of its bytes, or a refusal that names the secret."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from tests.unit.benchwright.hostile import drawn
from tests.unit.benchwright.node_script import bash, constant, function

# The CLI prints what Secrets Manager answers; `None` in its text output could be the text, or that there is none.
BEFORE = """
aws() { cat answer; }
last_log_line() { echo 'the last line of the log'; }
fail() { printf '%s' "$1" >&3; exit 1; }
"""
EACH = """
for file in [0-9]*; do
  cp "$file" answer
  if (read_secret arn:x v1 "$@") >text 3>problem 2>log; then base64 -w 0 text; else printf '! %s' "$(<problem)"; fi
  echo
done
"""
CONTROL = r"[\0-\x1f\x7f-\x9f]"


def read(answers: list[str], folder: Path, *kind: str) -> list[bytes | str]:
    """The text of each answer, or why it was refused."""
    for number, answer in enumerate(answers):
        (folder / f"{number:04}").write_text(answer)
    script = "\n".join([BEFORE, constant("TEXT"), function("read_secret"), EACH])
    lines = bash(script, *kind, folder=folder).splitlines()
    assert len(lines) == len(answers)
    return [line.removeprefix("! ") if line.startswith("! ") else base64.b64decode(line) for line in lines]


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """Hostile texts, each as long as a secret may be at most."""
    found = dict.fromkeys(text[:2_000] for text in drawn(90))
    return [*found, "a\n", "a\r\n", "\na", "a\nb", "", "\n", " a ", "None", "null", "a\0b"]


def is_utf8(text: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", text)


def refusal(form: str) -> str:
    told = "The node cannot read version v1 of the secret arn:x: the last line of the log. "
    return f"{told}Check that it exists, the node role may read it, and it is {form}."


def test_a_file_arrives_with_every_byte(collected: list[str], tmp_path: Path) -> None:
    found = read([json.dumps(text) for text in collected], tmp_path)
    assert found == [text.encode() if is_utf8(text) else refusal("text") for text in collected]


def test_a_line_arrives_without_its_end_and_anything_else_is_refused(collected: list[str], tmp_path: Path) -> None:
    found = read([json.dumps(text) for text in collected], tmp_path, "line")
    lines = [text.rstrip("\r\n") for text in collected]
    fits = [bool(line) and is_utf8(line) and not re.search(CONTROL, line) for line in lines]
    assert found == [
        line.encode() if fit else refusal("one line of printable text") for line, fit in zip(lines, fits, strict=True)
    ]
    assert 20 < sum(fits) < len(fits) - 20


def test_the_password_of_a_database_arrives_as_it_is_and_anything_else_is_refused(
    collected: list[str], tmp_path: Path
) -> None:
    secrets = [json.dumps({"username": "rstudio", "password": text}) for text in collected]
    secrets += ["", "{}", "[]", "null", '{"password": 5}', '{"password": null}', '{"password": ["x"]}', "[" * 60_000]
    found = read([json.dumps(secret) for secret in secrets], tmp_path, "line", "password")
    fits = [bool(text) and is_utf8(text) and not re.search(CONTROL, text) for text in collected]
    wrong = refusal("JSON with a password of one line of printable text")
    told = [text.encode() if fit else wrong for text, fit in zip(collected, fits, strict=True)]
    assert found == [*told, *[wrong] * 8]


@pytest.mark.parametrize("kind", [(), ("line",), ("line", "password")])
def test_a_binary_secret_and_no_answer_at_all_are_refused(kind: tuple[str, ...], tmp_path: Path) -> None:
    form = {0: "text", 1: "one line of printable text", 2: "JSON with a password of one line of printable text"}
    assert read(["null\n", "", "\n"], tmp_path, *kind) == [refusal(form[len(kind)])] * 3
