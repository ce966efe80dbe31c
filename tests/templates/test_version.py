"""The release of Benchwright stands in template.yaml, and goes from there to output, functions and their calls."""

import re

import pytest

from benchwright.aws import client
from benchwright.settings import settings
from tests.templates.templates import APPLICATION, ROOT

VERSION = APPLICATION["Mappings"]["Benchwright"]["Release"]["Version"]
FOUND = {"Fn::FindInMap": ["Benchwright", "Release", "Version"]}


def test_the_changelog_begins_with_the_release() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_an_output_and_every_function_have_the_release() -> None:
    assert APPLICATION["Outputs"]["Version"]["Value"] == FOUND
    assert APPLICATION["Globals"]["Function"]["Environment"]["Variables"]["VERSION"] == FOUND


def test_every_call_of_aws_names_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"APPLICATION": "wb", "VERSION": VERSION, "AWS_DEFAULT_REGION": "eu-west-1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("benchwright.aws._clients", {})
    settings.cache_clear()
    try:
        agent = str(vars(client("sts").meta.config)["user_agent"])
    finally:
        settings.cache_clear()
    assert f"benchwright/{VERSION}" in agent.split()
