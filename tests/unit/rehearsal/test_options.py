"""The options of `make rehearse` that are not schedules or faults."""

from pathlib import Path

import pytest

from tests.rehearsal.__main__ import options


def test_a_secret_is_a_name_and_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass=word\n")
    wanted = options(["--secret", f"benchwright/users/ann={tmp_path}/password"])
    assert wanted.secret == [("benchwright/users/ann", "pass=word")]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("benchwright/users/ann", "benchwright/users/ann is not NAME=FILE"),
        ("=file", "=file is not NAME=FILE"),
        ("name=/no/such/file", "/no/such/file cannot be read"),
    ],
)
def test_a_secret_that_is_none_is_a_misuse(given: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--secret", given])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
