"""Files of /etc/rstudio in an input: what is refused, each with its reason, and what is warned about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from benchwright.errors import InvalidInput
from benchwright.models import Wanted
from benchwright.planning import server_options
from benchwright.planning.files import warn
from benchwright.planning.read_input import read_input
from tests.documentation import input_reference
from tests.unit.benchwright.hostile import SPECIMENS, examples, json_values, near

TEXTS = [text for texts in SPECIMENS.values() for text in texts]
VERSION = "2026.07.1+147.pro6"


def problems(files: Any, **more: Any) -> list[str]:
    try:
        read_input({"files": files, **more}, {}, input_reference.defaults(), "benchwright").whole()
    except InvalidInput as error:
        return [line.removeprefix("- ") for line in str(error).splitlines()[1:]]
    return []


def wanted(files: Any, **more: Any) -> Wanted:
    return read_input({"files": files, **more}, {}, input_reference.defaults(), "benchwright").whole()[1]


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        ({"../passwd": {"text": "x"}}, 'files.../passwd: "***" is refused: a name has no slash'),
        ({"a/b": {"text": "x"}}, "a name has no slash: every file lies in /etc/rstudio itself"),
        ({"a..b": {"text": "x"}}, "a name has no two dots in a row"),
        ({"-rf": {"text": "x"}}, "with single dots between, no - first"),
        ({"database.conf": {"text": "x"}}, "Benchwright writes it with the password of the cluster's database. Give "),
        (
            {"openid-client-secret": {"secret": "benchwright/files/x"}},
            "Give `auth.client_id` and `auth.client_secret`.",
        ),
        ({"themes": {"text": "x"}}, "an input has no themes: it is a folder. Give an AMI"),
        ({"rsession.conf": {"sections": {"*": {"a": "b"}}}}, "Give the file as keys or text, and null for this."),
        ({"launcher.local.profiles.conf": {"keys": {"a": "b"}}}, "the file is sections with lines of key=value. Give "),
        ({"repos.conf": {"keys": {"CRAN": "x"}, "text": "CRAN=y"}}, "it is given as keys and text. Give one of them"),
        (
            {"of-a-team": {"keys": {"a": "b"}}},
            'files.of-a-team.keys: {"a": "***"} is refused: its format is not known.',
        ),
        (
            {"rsesion.conf": {"keys": {"session-timeout-minutes": "60"}}},
            "its format is not known (did you mean rsession.conf?). Give the file as text or secret",
        ),
        (
            {"launcher.conf": {"text": "[server]"}},
            "Benchwright writes keys of this file, too. Give the file as sections,",
        ),
        (
            {"launcher.conf": {"sections": {"server": {"port": "1"}}}},
            'server.port: "1" is refused: Benchwright sets this',
        ),
        ({"launcher.conf": {"sections": {"clusters": {}}}}, "launcher.conf has the sections server and cluster."),
        (
            {"launcher.local.conf": {"keys": {"scratch-path": "/tmp"}}},
            "the nodes share one file system, and this value",
        ),
        ({"file-locks": {"keys": {"lock-type": "linkbased"}}}, "the nodes share one file system, and this value"),
        ({"load-balancer": {"keys": {"www-host-name": "x"}}}, "nodes and security groups rely on it"),
        (
            {"rserver.conf": {"keys": {"launcher-port": "1"}}},
            'keys.launcher-port: "1" is refused: Benchwright writes this',
        ),
        ({"rserver.conf": {"keys": {"ssl-enabled": "1"}}}, "nodes rely on Workbench's default for this key"),
        ({"rserver.conf": {"keys": {"admin-group": "x"}}}, '`groups` has no "x", so the key would hold for no one'),
        ({"databricks.conf": {"text": "client-secret=hush"}}, 'text: "***" is refused: the file holds a secret, which'),
        (
            {"databricks.conf": {"secret": "elsewhere/x"}},
            "Give the name of a secret that begins with benchwright/files/.",
        ),
        ({"rsession.conf": {"secret": "benchwright/files/x"}}, "Give the file as keys or text, and null for this."),
        ({"rsession.conf": {"text": "a=1\n\nb\n[x]\n# c\n=2"}}, "line 3, 4, 6: the file is lines of key=value, and "),
        ({"logging.conf": {"text": "[*]\nlog-level\n[b\n"}}, "line 2, 3: the file is sections with lines of key=value"),
        (
            {"launcher-env": {"text": "JobType: any\n more\nnone\n"}},
            "line 3: the file is records of lines of Field: value",
        ),
        ({"rstudio-prefs.json": {"text": "{'a': 1}"}}, "it is not JSON (Expecting property name"),
        ({"rstudio-prefs.json": {"text": "[" * 10_000}}, "it is not JSON"),
        ({"rstudio-prefs.json": {"text": "[]"}}, "it is JSON, but not an object. Give a JSON object as text."),
        ({"repos.conf": {"text": "CRAN=x\r\n"}}, r"it has a carriage return (\r); lines of a file end with \n alone"),
        ({"x": {"text": "a\0b"}}, "not lines of printable text"),
        ({"x": {"text": "x" * 16_001}}, "it has more than 16,000 characters"),
        ({f"x{number}": {"text": "x"} for number in range(51)}, "it has more than 50 entries"),
        ({"rsession.conf": {"keys": {"a\nb": "1"}}}, r"files.rsession.conf.keys.a\nb: "),
        ({"rsession.conf": {"keys": {"a": "1\nb=2"}}}, "not one line of at most 1,000 printable characters"),
        ({"rsession.conf": {"keys": {"a": "1 # b"}}}, "Workbench takes everything from a # on for a comment"),
        ({"profiles": {"sections": {"*]\n[root": {}}}}, "not 1 to 100 printable characters without #;=[]"),
        ({"profiles": {"sections": {" a": {}}}}, "it begins or ends with a space"),
        ({"x": {"lines": ["hush"]}}, 'files.x.lines: ["***"] is refused: an unknown key. Give one of keys, secret, '),
        ({"x": {"txet": "hush"}}, 'files.x.txet: "***" is refused: an unknown key (did you mean text?). Give one of '),
        ({"x": {"text": 7}}, "files.x.text: 7 is refused: it is not text. "),
        ({"x": {"keys": ["hush"]}}, 'files.x.keys: ["***"] is refused: it is not an object. '),
        ({"rsession.conf": {"keys": {"allow-vcs": True}}}, "allow-vcs: true is refused: it is not text. "),
        ({"profiles": {"sections": {"*": []}}}, "files.profiles.sections.*: [] is refused: it is not an object. "),
        (
            {"rserver.conf": {"keys": {"session-timeout-minutes": "60"}}},
            (
                'files.rserver.conf.keys.session-timeout-minutes: "60" is refused: it is a key of rsession.conf, '
                'not of rserver.conf. Give it in files["rsession.conf"].keys, and null here.'
            ),
        ),
        ({"x": "hush"}, 'files.x: "***" is refused: it is not an object'),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(files: Any, refused: str) -> None:
    found = problems(files)
    assert [line for line in found if refused in line], found
    assert "hush" not in "".join(found)


def test_every_problem_is_named_at_once() -> None:
    files = {"a/b": {"text": "x"}, "database.conf": {"text": "x"}, "x": {"keys": {"a": "b"}}}
    assert len(problems(files, config={"www-port": "1"})) == 4


def test_a_key_of_rserver_conf_is_given_once() -> None:
    files = {"rserver.conf": {"keys": {"auth-timeout-minutes": "5", "www-frame-origin": "same"}}}
    assert wanted(files, config={"auth-stay-signed-in-days": "1"}).server_config == {
        "auth-timeout-minutes": "5",
        "www-frame-origin": "same",
        "auth-stay-signed-in-days": "1",
    }
    (problem,) = problems(files, config={"auth-timeout-minutes": "5"})
    assert problem == (
        'config.auth-timeout-minutes: "5" is refused: files.rserver.conf.keys has this key, too. Remove it; if it is '
        "recorded, give null."
    )


def test_null_takes_back_what_an_earlier_release_accepted() -> None:
    known = {"files": {"database.conf": {"text": "x"}, "x": {"keys": {"a": "b"}}}}
    raw = {"files": {"database.conf": None, "x": {"keys": None, "text": "y"}}}
    read = read_input(raw, known, input_reference.defaults(), "benchwright").whole()[1]
    assert {name: file.text for name, file in read.files.items()} == {"x": "y"}


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        ({"rsession.conf": {"keys": {"session-timeout-minutes": "1"}}, "env-vars": {"keys": {"ANY": "x"}}}, ""),
        ({"of-a-team": {}}, ""),
        (
            {"of-a-team": {"text": "x"}},
            (
                "files.of-a-team: not among the files of /etc/rstudio that Posit publishes, so it is written as it is, "
                "and each change of it restarts the Workbench server. Compare the name with Posit's documentation."
            ),
        ),
        (
            {"launcher.local.profiles.conf": {"text": "[*]\nmax-cpu=1\nmax-cpus = 2\n[ann]\nx=1"}},
            (
                "files.launcher.local.profiles.conf: [*] max-cpu (did you mean max-cpus?), [ann] x: not among the "
                f"published keys. With a key that Workbench {VERSION} does not know, the job launcher keeps what it "
                "had, and does not start again with it. Compare with Posit's documentation of "
                "launcher.local.profiles.conf; null takes a key back."
            ),
        ),
        (
            {"rsesion.conf": {"text": "x"}},
            (
                "files.rsesion.conf (did you mean rsession.conf?): not among the files of /etc/rstudio that Posit "
                "publishes, so it is written as it is, and each change of it restarts the Workbench server. Compare "
                "the name with Posit's documentation."
            ),
        ),
        (
            {"database.con": {"text": "x"}},  # a name that an input may not have is still the one that was meant
            (
                "files.database.con (did you mean database.conf?): not among the files of /etc/rstudio that Posit "
                "publishes, so it is written as it is, and each change of it restarts the Workbench server. Compare "
                "the name with Posit's documentation."
            ),
        ),
        (
            {"launcher-env": {"text": "JobType: any\nEnviron: A=b\n C=d\n"}},
            (
                "files.launcher-env: Environ (did you mean Environment?): not among the published keys. With a "
                f"key that Workbench {VERSION} does not know, it is not published what Workbench does. "
                "Compare with Posit's documentation of launcher-env; null takes a key back."
            ),
        ),
        (
            {"rserver.conf": {"keys": {"no-such": "1"}}},
            *server_options.warn(["no-such"], VERSION, "files.rserver.conf.keys"),
        ),
    ],
)
def test_what_is_not_published_is_warned_about(files: Any, warned: str) -> None:
    assert warn(wanted(files, users={"ann": {}})) == ([warned] if warned else [])


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        (
            {"rsession.conf": {"keys": {"session-timeout-minutes": "one hour", "allow-vcs": "0"}}},
            (
                'files.rsession.conf: session-timeout-minutes is "one hour", and takes a whole number: with it, no '
                "RStudio session starts."
            ),
        ),
        (
            {"rsession.conf": {"text": "# ours\nallow-vcs = perhaps\n"}},
            'files.rsession.conf: allow-vcs is "perhaps", and takes 1 or 0: with it, no RStudio session starts.',
        ),
        (
            {"logging.conf": {"sections": {"*": {"log-level": "loud", "logger-type": "File"}}}},
            (
                'files.logging.conf: [*] log-level is "loud", and takes one of trace, debug, info, warn, error: '
                "Workbench takes its default in its place."
            ),
        ),
        (
            {"rserver.conf": {"keys": {"auth-timeout-minutes": "1h"}}},
            (
                'files.rserver.conf: auth-timeout-minutes is "1h", and takes a whole number: with it, Workbench does '
                "not start."
            ),
        ),
    ],
)
def test_a_value_that_a_key_is_published_not_to_take_is_warned_about(files: Any, warned: str) -> None:
    assert warn(wanted(files)) == [warned]
    given = next(iter(files.items()))
    if given[0] == "rserver.conf":
        assert warn(wanted({}, config=given[1]["keys"])) == [warned.replace("files.rserver.conf", "config")]


@examples(200)
@given(near("rsession.conf", "launcher-env", "of-a-team") | json_values, json_values)
def test_nothing_is_accepted_that_could_leave_its_folder(name: Any, value: Any) -> None:
    """What is refused has a reason, and what is accepted is a name of one file."""
    files: list[Any] = [value if value is not None else {}, {"text": "x"}, {"sections": {str(name): {}}}]
    for file in files:
        found = problems({str(name): file})
        if not found:
            assert not set(str(name)) & set("/\0\n ")
            assert ".." not in str(name)
