"""The options of `make rehearse` that are not schedules or faults."""

from pathlib import Path

import pytest

from rehearsal.__main__ import options


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
        ("a name=/no/such/file", "a name is not the name of a secret: up to 512 of A-Z a-z 0-9 / _ + . @ -"),
        ("name=/dev/null", "/dev/null holds no secret: it has 1 to 65536 bytes"),
    ],
)
def test_a_secret_that_is_none_is_a_misuse(given: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--secret", given])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_secret_that_is_given_twice_is_a_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("a password")
    with pytest.raises(SystemExit) as ended:
        options(["--secret", f"ann={tmp_path}/password", "--secret", f"ann={tmp_path}/password"])
    assert ended.value.code == 2
    assert "--secret gives a name twice" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--input", "--then", "--parameters"])
def test_json_is_given_itself_or_in_a_file(option: str, tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text('{"NodeCount": 3}')
    name = option.removeprefix("--")
    for given in ('{"NodeCount": 3}', ' {"NodeCount": 3}', f"{tmp_path}/given.json"):
        found = getattr(options([option, given]), name)
        assert found == ([("deploy", {"NodeCount": 3})] if option == "--then" else {"NodeCount": 3})


def test_an_input_of_another_kind_comes_from_a_file_and_is_the_machines_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text("[1]")
    assert options(["--input", f"{tmp_path}/given.json"]).input == [1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{nodes: 3}", "{nodes: 3} is not JSON: Expecting property name enclosed in double quotes"),
        ("/no/such/file", "/no/such/file cannot be read: No such file or directory."),
        ("/proc/version", "/proc/version is not JSON: Expecting value"),
    ],
)
def test_an_input_that_is_none_is_a_misuse_that_names_both_ways(
    given: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--input", given])
    assert ended.value.code == 2
    reported = capsys.readouterr().err
    assert sentence in reported
    assert "Give an object itself, which begins with {, or the name of a file that holds JSON" in reported


@pytest.mark.parametrize("option", ["--input", "--then"])
def test_a_directory_is_refused_at_once(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options([option, '{"auth": {"method": "sssd"}}'])
    assert ended.value.code == 2
    assert "auth.method sssd cannot be rehearsed: this network has no directory" in capsys.readouterr().err


def test_the_help_says_of_each_option_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--help"])
    assert ended.value.code == 0
    reported = " ".join(capsys.readouterr().out.split())
    assert "--input JSON|FILE input of the first execution, itself or in a file ({})" in reported
    assert "--report DIR where report.html, report.json and logs are written (build/rehearsal)" in reported
