"""A secret is found in each spelling and inside each wrapping; and the watch sees the arguments of processes."""

import base64
import gzip
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.judges.arguments import ArgumentWatch
from rehearsal.judges.secrets import Findings, Place, Secret, search, unpacked
from tests.waiting import PATIENCE, until

AWKWARD = "p%4 '\"\\ü/&$w+=0"


def traced(value: str) -> str:
    """What bash writes about a command that is given the value, after `set -x`."""
    command = ["bash", "-xc", ': "$0"', value]
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.defpath}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stderr


SPELLINGS: list[tuple[str, Callable[[str], str]]] = [
    ("plain", str),
    ("base64", lambda value: base64.b64encode(value.encode()).decode()),
    ("base64 in a text", lambda value: base64.b64encode(f"user:{value}@host".encode()).decode()),
    ("URL-safe base64", lambda value: base64.urlsafe_b64encode(value.encode()).decode()),
    ("URL", lambda value: f"postgresql://rstudio:{quote(value, safe='')}@host"),
    ("form", lambda value: f"password={quote_plus(value)}&x=1"),
    ("shell", lambda value: f"psql --password {shlex.quote(value)}"),
    ("trace of bash", traced),
    ("JSON", lambda value: json.dumps({"password": value})),
    ("JSON, not ASCII", lambda value: json.dumps({"password": value}, ensure_ascii=False)),
    ("JSON in JSON", lambda value: json.dumps(json.dumps({"password": value}))),
    ("JSON in JSON in JSON", lambda value: json.dumps(json.dumps(json.dumps({"password": value})))),
    ("SQL", lambda value: "PASSWORD '{}'".format(value.replace("'", "''"))),
    ("INI", lambda value: f"password={value.replace('%', '%%')}"),
    ("hexadecimal", lambda value: value.encode().hex()),
    ("Python", repr),
]


@pytest.mark.parametrize("value", [AWKWARD, "kX8mN2pQ4rT6"], ids=["awkward", "plain"])
@pytest.mark.parametrize(("name", "spell"), SPELLINGS, ids=[name for name, _ in SPELLINGS])
def test_every_spelling_is_found(name: str, spell: Callable[[str], str], value: str) -> None:
    secret = Secret("benchwright/workbench/database", value)
    findings = search([secret], [(name, spell(value).encode())])
    assert (findings.found, findings.checked) == (1, 1)


@given(
    before=st.binary(max_size=5), value=st.text(st.characters(codec="utf-8"), min_size=9), after=st.binary(max_size=5)
)
def test_base64_is_found_at_every_offset(before: bytes, value: str, after: bytes) -> None:
    text = base64.b64encode(before + value.encode() + after)
    assert search([Secret("a", value)], [("here", text)]).found == 1


def test_what_is_found_says_which_secret_stands_where() -> None:
    places: list[Place] = [("log group /aws/lambda/x", b"password=kX8mN2pQ4rT6"), ("table y", b"nothing")]
    assert search([Secret("database", "kX8mN2pQ4rT6"), Secret("key", "0123456789abcdef")], places) == Findings(
        checked=2, found=1, where=["database (plain) in log group /aws/lambda/x"], places=2
    )


def test_a_value_too_short_to_distinguish_from_chance_is_not_looked_for() -> None:
    assert search([Secret("short", "abc")], [("here", b"abc")]).checked == 0


def tar_gz(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"kX8mN2pQ4rT6", "s3://b/k"),
        (gzip.compress(b"kX8mN2pQ4rT6"), "s3://b/k (unpacked)"),
        (
            tar_gz("files/etc/rstudio/database.conf", b"kX8mN2pQ4rT6"),
            "s3://b/k (unpacked)!files/etc/rstudio/database.conf",
        ),
        (zipped("x.tar.gz", tar_gz("y", b"kX8mN2pQ4rT6")), "s3://b/k!x.tar.gz (unpacked)!y"),
    ],
    ids=["plain", "gzip", "tar.gz", "tar.gz in zip"],
)
def test_archives_are_searched_inside(body: bytes, place: str) -> None:
    findings = search([Secret("key", "kX8mN2pQ4rT6")], unpacked("s3://b/k", body))
    assert f"key (plain) in {place}" in findings.where


def test_the_watch_sees_an_argument_of_a_process() -> None:
    with ArgumentWatch() as watch:
        process = subprocess.Popen([sys.executable, "-c", "input()", "kX8mN2pQ4rT6"], stdin=subprocess.PIPE)
        begun = watch.rounds
        until(lambda: watch.rounds > begun + 1, "a round that began after the process")
        process.communicate(b"\n", timeout=PATIENCE)
    findings = search([Secret("key", "kX8mN2pQ4rT6")], watch.places())
    assert [where.rsplit("/", 1)[-1].startswith("python") for where in findings.where] == [True]
