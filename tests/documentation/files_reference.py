"""The tables of docs/files.md, from the table of the product."""

from __future__ import annotations

from collections.abc import Iterable

from benchwright.models import RSERVER_CONF
from benchwright.planning.files import takes
from benchwright.rstudio_files import FILES, REFUSED, Effect, File
from benchwright.values import OWNED_KEYS
from tests.documentation.pages import table

EFFECTS = {
    Effect.NONE: "nothing; new sessions have it",
    Effect.RELOAD: "reload",
    Effect.RELOAD_LAUNCHER: "reload of the launcher's profiles",
    Effect.RESTART: "restart",
    Effect.RESTART_LAUNCHER: "launcher",
}


def files() -> str:
    """A row for each file that is known."""
    rows = [
        [
            f"`{name}`",
            " or ".join(f"`{way}`" for way in takes(name)),
            EFFECTS[file.effect],
            f"{file.mode} {file.owner}",
            str(file.unknown)
            if file.keys is not None or name == RSERVER_CONF
            else "any key"
            if _has_keys(file)
            else "",
        ]
        for name, file in FILES.items()
    ]
    return table(["file", "give it as", "a change needs", "mode, owner", "with a key that it does not know"], rows)


def refused() -> str:
    """What an input may not give, and what it gives in its place."""
    rows = [[f"`{name}`", why, instead] for name, (why, instead) in REFUSED.items()]
    rows.append(
        [f"keys of `{RSERVER_CONF}`", "Benchwright writes them, or nodes rely on their default", _codes(OWNED_KEYS)]
    )
    for name, file in FILES.items():
        for section, owned in file.owned.items():
            where = f"keys of `{name}`, `[{section}]`" if section else f"keys of `{name}`"
            reasons = dict.fromkeys(owned.values())
            rows += [[where, why, _codes(key for key in owned if owned[key] == why)] for why in reasons]
    return table(["file", "why", "instead, or which keys"], rows)


def _has_keys(file: File) -> bool:
    return "key" in file.format


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
