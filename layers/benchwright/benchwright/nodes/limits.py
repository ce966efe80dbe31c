"""Limits of sessions as files of a node, and the share of its memory that is no session's.

Sources: Posit Workbench administration guide, "Local plugin" (profiles, enable-cgroups); systemd.resource-control(5).
Where sessions run differs by release and by PAM: below the launcher's service, in control groups that the launcher
makes, or in user.slice. So the services are protected, in place of a limit of all sessions together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchwright.models import RESERVED_PERCENT, File, Limits
from benchwright.nodes.entries import Entry
from benchwright.rstudio_files import PROFILES

# What is protected is taken from a unit's slice, so both need it.
UNITS = {"system.slice": "Slice", "rstudio-server.service": "Service"}
SHARES = tuple(f"/etc/systemd/system/{unit}.d/benchwright-memory.conf" for unit in UNITS)


def profiles(limits: Limits, given: Mapping[str, File]) -> Mapping[str, File]:
    """Return the files of an input with the launcher's profiles of its limits."""
    own = {section: part.keys for section, part in limits.of_sessions.items()}
    if not own:
        return given
    others = given[PROFILES].sections if PROFILES in given else {}
    sections = {name: own.get(name, {}) | others.get(name, {}) for name in {*own, *others}}
    return {**given, PROFILES: File(sections=sections)}


def server(limits: Limits) -> dict[str, str]:
    """Return the keys of the launcher without which profiles are suggestions."""
    return {"enable-cgroups": "1"} if limits.of_sessions else {}


def shares(limits: Limits) -> Iterator[Entry]:
    """Return what systemd needs to know of the share. It reads it when files are placed, and restarts nothing."""
    amount = f"{limits.reserved_memory_mb}M" if limits.reserved_memory_mb else f"{RESERVED_PERCENT}%"
    for path, section in zip(SHARES, UNITS.values(), strict=True):
        yield Entry(path, "0644", "root", "root", f"[{section}]\nMemoryMin={amount}\n")
