"""The words of the field in what people read: pages, templates, state comments, errors and the code behind them."""

import re
from pathlib import Path

import pytest

from tests.templates.templates import ROOT

FOLDERS = (
    "docs",
    "events",
    "functions",
    "image",
    "infra",
    "layers/benchwright/benchwright",
    "rehearsal",
    "statemachine",
    "watch",
)
FILES = sorted(
    path
    for place in (*(ROOT / folder for folder in FOLDERS), ROOT)
    for path in (place.rglob("*") if place != ROOT else [*ROOT.glob("*.md"), ROOT / "template.yaml"])
    if path.is_file() and "__pycache__" not in path.parts
)
INSTEAD = {
    r"\bshall\b": "must, should or will",
    r"\b(tells?|told)\b": "reports, says, shows, returns or logs",
    r"\b(mend(s|ed|ing)?)\b": "fix",
    r"\banew\b": "again, or recreate",
    r"(?<![\"'])\b[Nn]obody\b(?![\"'])": "no one; quoted, it is the account of Linux",
    r"\b([Ss]ome|[Ee]very|[Aa]ny)body\b": "someone, everyone, anyone, or a passive",
    r"\bin vain\b": "unused",
    r"\b[Rr]ights\b": "permissions, or privileges of PostgreSQL",
    r"\bwithout a word\b": "without a notification, or unnoticed",
    r"\blongest poles?\b": "in parallel",
    r"\bhand to hand\b": "in turn",
    r"\bbad hour\b": "degraded",
    r"\bkeeps? (it|them) true\b": "verifies it",
    r"\bwill do, too\b": "also works",
    r"\bit is no (object(?! at all)|list|text|number|whole number|JSON|XML|name|range)\b": "it is not",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_people_read_has_the_words_of_the_field(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]} (instead: {instead})"
        for number, line in enumerate(lines, 1)
        for word, instead in INSTEAD.items()
        if (match := re.search(word, line))
    ]
    assert not found
