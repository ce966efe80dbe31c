"""Where the servers of these tests live: in memory, and under names of their own, where this process may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_ours() -> bool:
    """Whether tests/conftest.py could give this process mounts and a network of its own."""
    if os.geteuid() != 0:
        return False
    kinds = [Path(f"/proc/{process}/ns") for process in (os.getpid(), os.getppid())]
    return all((kinds[0] / kind).readlink() != (kinds[1] / kind).readlink() for kind in ("mnt", "net"))


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """With this mount, as `mount` takes it; the last is where."""
    subprocess.run(["mount", *arguments], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True, timeout=60)


@contextmanager
def in_memory(directory: Path) -> Iterator[Path]:
    """`directory`, in memory if that can be: each new database writes some thousand blocks."""
    if not is_ours():
        yield directory
        return
    with mounted("-t", "tmpfs", "tmpfs", directory):
        yield directory
