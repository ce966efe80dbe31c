"""Which known name was meant by one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(name: str, known: Iterable[str]) -> str:
    """Ask whether a known name was meant that an unknown one resembles; empty where none does."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f" (did you mean {found[0]}?)" if found else ""
