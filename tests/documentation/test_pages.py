"""What the documents point to exists: pages, anchors, files, targets of make, options of the rehearsal."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from benchwright.planning import account_check
from rehearsal.__main__ import options
from tests.documentation.pages import PAGES, ROOT, anchors, blocks, inline_code, links

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PATHS = re.compile(
    r"(?:docs|events|functions|image|infra|layers|rehearsal|statemachine|tests)/[\w./-]*|[\w/-]+\.(?:md|ya?ml|toml|py)"
)
PLACES = (ROOT, ROOT / "infra", ROOT / "layers" / "benchwright" / "benchwright")
# Named as examples, or made by what the page says to run.
NOT_IN_THE_TREE = {"workbench.lic", "build/rehearsal"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    broken = []
    for link in links(text):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path: Path) -> None:
    named = {code for code in inline_code(path.read_text(encoding="utf-8")) if PATHS.fullmatch(code)}
    missing = {name for name in named if not any((folder / name).exists() for folder in (*PLACES, path.parent))}
    assert missing - NOT_IN_THE_TREE == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_exist_and_their_options_are_understood(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of files that the lines before write."""
    text = path.read_text(encoding="utf-8")
    (tmp_path / "events").symlink_to(ROOT / "events")
    monkeypatch.chdir(tmp_path)
    for line in re.findall(r"^(?:echo .* >\S+|mkdir .*)$", "\n".join(blocks(text, "sh")), re.MULTILINE):
        subprocess.run(["bash", "-c", line], check=True, timeout=60)
    written = [*blocks(text, "sh"), *(code for code in inline_code(text) if code.startswith("make "))]
    for line in (line for block in written for line in block.splitlines() if line.startswith("make ")):
        words = shlex.split(line, comments=True)
        targets = [word for word in words[1:] if "=" not in word]
        assert set(targets) <= TARGETS, line
        for word in words:
            if word.startswith("ARGS=") and targets == ["rehearse"] and word != "ARGS=--help":
                options(shlex.split(word.removeprefix("ARGS=")))


def test_make_help_lists_every_target_that_the_readme_names() -> None:
    listed = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bmake ([a-z-]+)", "\n".join([*blocks(text, "sh"), *inline_code(text)]))) <= listed


def test_anchors_are_those_of_github() -> None:
    page = "# The `a.b` key, and more\n## Twice\n## Twice\n```sh\n# no heading\n```\n### [Link](x.md): é\n"
    assert anchors(page) == {"the-ab-key-and-more", "twice", "twice-1", "link-é"}


def test_what_a_network_needs_is_what_the_first_state_looks_for() -> None:
    text = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    needs = " ".join(text.partition("**A network of your own**")[2].partition("\n\nThe first deployment")[0].split())
    services = re.search(r"or endpoints of ([^-]*),", needs)
    assert services and tuple(inline_code(services[1])) == account_check.CALLED
    assert f"{account_check.OTHER_ADDRESSES} in each subnet" in needs


def test_each_decision_that_is_cited_is_recorded_and_listed() -> None:
    """Code and comments cite a decision by its number alone, as `docs/decisions/0009`."""
    folders = ("functions", "image", "infra", "layers/benchwright", "statemachine", "rehearsal", "tests", "watch")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".yaml"}]
    texts = [path.read_text(encoding="utf-8") for path in (*files, *PAGES, ROOT / "template.yaml")]
    cited = {number for text in texts for number in re.findall(r"decisions/(\d{4})", text)}
    records = {path.name[:4]: path for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    assert cited <= set(records)
    assert not [text for text in texts if re.search(r"design\s+decision", text)]
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for number, path in records.items():
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert title.startswith(f"{int(number)}. ")
        assert f"- [{title}]({path.name})" in listed
