"""The release of Benchwright stands in template.yaml, and goes from there to output and functions."""

import re

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
