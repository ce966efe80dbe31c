"""Packs what nodes fetch from the bucket: the same files give the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping


def packed(contents: Mapping[str, bytes]) -> bytes:
    """Return the files, by their paths, as a tar whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(contents.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def compressed(archive: bytes) -> bytes:
    """Return a tar as nodes fetch it."""
    return gzip.compress(archive, mtime=0)
