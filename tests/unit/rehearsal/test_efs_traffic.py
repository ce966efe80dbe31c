"""What EFS meters of the files that are read and written."""

import os
from pathlib import Path

from rehearsal.aws.services.efs_traffic import Moved, Traffic

MIB = 1 << 20


def read(path: Path) -> None:
    """Read a file on a file system that may keep its time of access at its leisure."""
    before = path.stat()
    path.read_bytes()
    os.utime(path, ns=(before.st_atime_ns + 1, before.st_mtime_ns))


def test_what_is_written_and_read_is_counted_once(tmp_path: Path) -> None:
    traffic, home = Traffic(tmp_path), tmp_path / "home"
    home.mkdir()
    assert traffic.since_last() == Moved(0, 0, 0)
    (home / "notes").write_bytes(b"x" * (MIB + 1))
    assert traffic.since_last() == Moved(MIB + 4096, 0, 3)
    assert traffic.since_last() == Moved(0, 0, 0)
    read(home / "notes")
    assert traffic.since_last() == Moved((MIB + 4096) / 3, 2, 0)
    with (home / "notes").open("ab") as file:
        file.write(b"x" * 4096)
    assert traffic.since_last() == Moved(4096, 0, 2)
    (home / "notes").write_bytes(b"y" * 4096)
    assert traffic.since_last() == Moved(4096, 0, 2)
    (home / "notes").unlink()
    assert traffic.since_last() == Moved(0, 0, 0)
