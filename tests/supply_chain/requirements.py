"""Requirements files as what they pin: every line is an exact version with hashes, or the file is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("layers/*/requirements.txt")) + sorted(
    [ROOT / "rehearsal/requirements.txt", ROOT / "watch/requirements.txt", *ROOT.glob("tests/requirements*.txt")]
)

PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([A-Za-z0-9.!+_-]+)(?: ; (.+?))?((?: --hash=\S+)*)"
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class NotPinnedError(Exception):
    """A line is no exact version with hashes; the message has file and line."""


@dataclass(frozen=True)
class Pin:
    """One version of one package. hashes: SHA-256 of each file that may be installed as it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""

    @property
    def applies(self) -> bool:
        """Whether it is installed on a machine like this one."""
        return not self.marker or Marker(self.marker).evaluate()


def pins(path: Path) -> list[Pin]:
    """All that a requirements file pins, in its order; raises NotPinnedError."""
    found = [_pin(line, path) for line in _lines(path)]
    if not found:
        raise NotPinnedError(f"{path} pins nothing")
    return found


def _lines(path: Path) -> Iterator[str]:
    """The lines without comments, each joined with those that go on after a backslash."""
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.strip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            yield " ".join(line.split())


def _pin(line: str, path: Path) -> Pin:
    found = PIN.fullmatch(line)
    hashes = tuple(HASH.findall(line))
    if not found or not hashes or len(hashes) != line.count("--hash="):
        raise NotPinnedError(f"{path}: {line[:120]!r} is no exact version with SHA-256 hashes")
    return Pin(canonicalize_name(found[1]), found[2], hashes, found[3] or "")
