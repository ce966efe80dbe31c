"""What hosts wrote below /var/log: those that run, and those that have ended, of whom nothing else is kept."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

RUNNING: Final = "running"
ENDED: Final = "ended"
DISK: Final = "disk"
LOGS: Final = Path(DISK, "upper/var/log")
"""The logs in a host's directory: nothing below /var/log comes from the layers under its own, except of an image."""


def of_all(directory: Path) -> Iterator[tuple[str, Path]]:
    """Each log of the hosts in `directory` (of a `Hosts`): the host and the path there, and the file here."""
    for state, place in ((RUNNING, LOGS), (ENDED, Path())):
        for host in sorted((directory / state).glob("*")):
            for file in _files(host / place):
                yield f"{host.name}:/var/log/{file.relative_to(host / place)}", file


def keep(host: Path) -> None:
    """Keep the logs in the directory of a host that ends; another of the same name may have ended before."""
    ended = host.parent.parent / ENDED
    ended.mkdir(exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=f"{host.name}.", dir=ended))
    for file in _files(host / LOGS):
        copy = kept / file.relative_to(host / LOGS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _files(directory: Path) -> Iterator[Path]:
    """Without links, and without the devices that stand for what was removed."""
    return (file for file in sorted(directory.rglob("*")) if file.is_file() and not file.is_symlink())
