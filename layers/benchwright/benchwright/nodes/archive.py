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


def unpacked(data: bytes) -> dict[str, str]:
    """Return the files of a compressed tar by their paths."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read().decode() for name, file in files.items() if file}
