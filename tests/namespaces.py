"""The namespaces of a test."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rehearsal.launcher import own_network_and_mounts


@contextlib.contextmanager
def visit_network_and_mounts() -> Iterator[None]:
    """`own_network_and_mounts` for the calling thread and what it starts; afterwards it is back where it was.

    A thread that shares its root and working directory with another may not enter a mount namespace (EINVAL,
    setns(2)), and the threads that it started share them: of a server that was shut down one may still run. So it
    first takes its own (CLONE_FS).
    """
    kinds = {"net": os.CLONE_NEWNET, "mnt": os.CLONE_NEWNS}
    before = {kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in kinds}
    where = Path.cwd()
    try:
        own_network_and_mounts()
        try:
            yield
        finally:
            os.unshare(os.CLONE_FS)
            for kind, descriptor in before.items():
                os.setns(descriptor, kinds[kind])
            os.chdir(where)
    finally:
        for descriptor in before.values():
            os.close(descriptor)
