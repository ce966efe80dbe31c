"""Which known name was meant by one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

CUTOFF: Final = 0.75  # of 1, which is the same name


def meant(name: str, known: Iterable[str]) -> str:
    """Ask whether a known name was meant that an unknown one resembles; empty where none does."""
    # difflib prepares the whole name first, which may be as long as an input; these names alone can be so similar.
    near = [each for each in sorted(known) if 2 * min(len(name), len(each)) >= CUTOFF * (len(name) + len(each))]
    found = near and difflib.get_close_matches(name, near, n=1, cutoff=CUTOFF)
    return f" (did you mean {found[0]}?)" if found else ""
