"""The documents as text that can be asked: their regions, code, links and anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "rehearsal/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[(?:[^\]`]|`[^`]*`)*\]\(([^)\s]+)\)|<(?:img|source)[^>]* (?:src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


def with_regions(text: str, regions: Mapping[str, str]) -> str:
    """Replace what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; raises KeyError for a name without
    marks.
    """
    for name, content in regions.items():
        before, begin, rest = text.partition(f"<!-- begin {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not begin or not end:
            raise KeyError(f"there is no region {name!r}")
        text = f"{before}{begin}\n{content.strip()}\n\n{end}{after}"
    return text


def blocks(text: str, language: str) -> list[str]:
    """The fenced code of a language."""
    return [content for _, marked, content in FENCE.findall(text) if marked == language]


def prose(text: str) -> str:
    """The text without fenced code and comments."""
    return COMMENT.sub("", FENCE.sub("", text))


def inline_code(text: str) -> list[str]:
    return INLINE_CODE.findall(prose(text))


def links(text: str) -> Iterator[str]:
    """Targets of links and pictures."""
    for first, second in LINK.findall(prose(text)):
        yield first or second


def headings(text: str) -> list[str]:
    return HEADING.findall(FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page (github-slugger: lower case, no punctuation, hyphens)."""
    found: dict[str, int] = {}
    made = set()
    for heading in headings(text):
        name = slug(heading)
        count = found.get(name, 0)
        found[name] = count + 1
        made.add(f"{name}-{count}" if count else name)
    return made


def slug(heading: str) -> str:
    visible = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", visible.lower()).replace(" ", "-")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table. GitHub reads `\\|` as a bar, also in code."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in cells] for cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: str) -> str:
    """A span of code, which may hold backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
