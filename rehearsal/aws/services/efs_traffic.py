"""What was read from a file system of EFS and written to it, by what its files show of it.

A file that grew was written that much; another one with a new time of modification, as a whole; one with a new time of
access was read as a whole, and the mounts of instances keep that time strictly (rehearsal/hosts/exports.py). What
happened to a file between two looks counts once. A client moves up to 1 MiB in an operation, by the mount options of
amazon-efs-utils; making or changing a file is one more. What is asked of directories is left out.

Source: EFS user guide, "How Amazon EFS reports file system and object sizes" (increments of 4 KiB), "Throughput modes"
(a byte that is read is metered as a third).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

OPERATION: Final = 1 << 20


class Moved(NamedTuple):
    """Bytes as they are metered, and operations."""

    metered: float = 0
    reads: int = 0
    writes: int = 0


class Seen(NamedTuple):
    """A file at a look."""

    size: int
    modified: int
    accessed: int


@dataclass
class Traffic:
    """Of the file system whose content lies in `directory`."""

    directory: Path
    _seen: dict[int, Seen] = field(default_factory=dict)
    """By inode."""

    def since_last(self) -> Moved:
        """What was moved since the last look."""
        before, self._seen = self._seen, dict(_files(self.directory))
        metered, reads, writes = 0.0, 0, 0
        for inode, now in self._seen.items():
            then = before.get(inode) or Seen(0, 0, now.modified)  # a new file was not read when it was made
            if now.modified != then.modified:
                written = now.size - then.size if now.size > then.size else now.size
                metered += written
                writes += 1 + -(-written // OPERATION)
            if now.accessed > then.accessed:
                metered += now.size / 3
                reads += -(-now.size // OPERATION)
        return Moved(metered, reads, writes)


def _files(directory: Path) -> Iterator[tuple[int, Seen]]:
    """Every file by its inode; one that goes meanwhile is left out."""
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                status = (Path(folder) / name).lstat()
            except FileNotFoundError:
                continue
            yield status.st_ino, Seen(status.st_blocks * 512, status.st_mtime_ns, status.st_atime_ns)
