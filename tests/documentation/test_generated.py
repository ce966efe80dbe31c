"""What is generated is what it would be if it were generated now, and can be looked at without the network."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchwright.failure.explanation import NEXT_ACTIONS
from tests.documentation.generated import DOCS, contents
from tests.documentation.pages import PAGES, ROOT, with_regions
from tests.documentation.recording import FAILURE, PICTURE

PICTURES = (*(DOCS / f"{machine}.svg" for machine in ("deploy", "verify")), PICTURE)
GENERATED = contents()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_file_is_what_make_docs_would_write(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "make docs writes it again"


def test_a_region_that_a_page_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="no region 'b'"):
        with_regions("<!-- begin a -->\n<!-- end a -->\n", {"a": "x", "b": "y"})


def test_no_page_has_a_region_that_no_one_writes() -> None:
    marks = {path: re.findall(r"<!-- begin (\w+) -->", path.read_text(encoding="utf-8")) for path in PAGES}
    assert {path for path, names in marks.items() if names} <= set(GENERATED)
    assert all(
        len(with_regions(path.read_text(encoding="utf-8"), dict.fromkeys(names, ""))) < len(GENERATED[path])
        for path, names in marks.items()
        if names
    )


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_whole_and_loads_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not any(f'"{address}' in text or f"({address}" in text for address in addresses), addresses
    assert "@import" not in text
    assert "@font-face" not in text


def test_the_recorded_failure_says_what_to_do_as_the_product_does_today() -> None:
    cause = FAILURE.read_text(encoding="utf-8")
    assert cause.startswith("StackFailed in step 'Deploy foundation'\n")
    assert f"Next: {NEXT_ACTIONS['StackFailed']}\n" in cause


def test_the_recorded_terminal_shows_a_cluster() -> None:
    shown = PICTURE.read_text(encoding="utf-8").replace("&#160;", " ")
    assert "$ make rehearse" in shown
    assert "SUCCEEDED" in shown
    assert shown.count("Online") == 2
    assert str(ROOT) not in shown
