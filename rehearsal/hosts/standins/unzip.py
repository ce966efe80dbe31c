"""`unzip [-q] [-o] FILE [-d FOLDER]`, for machines that have none: files keep their modes."""

import zipfile
from pathlib import Path

from .surroundings import complain


def main(arguments: list[str]) -> int:
    """Overwrites, as with -o."""
    words = [word for word in arguments[1:] if word not in {"-q", "-o", "-qq", "-qo"}]
    folder = Path()
    if "-d" in words:
        place = words.index("-d")
        folder = Path(words[place + 1])
        del words[place : place + 2]
    try:
        with zipfile.ZipFile(words[0]) as archive:
            for entry in archive.infolist():
                target = Path(archive.extract(entry, folder))
                if mode := entry.external_attr >> 16 & 0o777:
                    target.chmod(mode)
    except (OSError, zipfile.BadZipFile) as error:
        return complain(f"unzip:  cannot find or open {words[0]}: {error}", 9)
    return 0
