"""`gpg`, as far as a build uses it: `--show-keys --with-colons KEY`, `--import KEY`, `--export` and `--verify SIGNATURE
FILE`.

A key of the mirror carries its fingerprint in its comment, a signature the fingerprint of its key and the SHA-256 of
what it signs.
"""

import hashlib
import os
import re
from pathlib import Path

from .surroundings import complain

COMMENT = re.compile(r"Comment: rehearsal ([0-9A-F]{40})(?: ([0-9a-f]{64}))?")


def main(arguments: list[str]) -> int:
    """Nothing else of gpg is needed on a node."""
    options = {word for word in arguments[1:] if word.startswith("-")}
    match [word for word in arguments[1:] if word not in options]:
        case [key] if options >= {"--show-keys", "--with-colons"}:
            return _show(key)
        case [key] if "--import" in options:
            return _import(key)
        case [] if "--export" in options:
            return _export()
        case [signature, file] if "--verify" in options:
            return _verify(signature, file)
    return complain(f"gpg: this stand-in shows keys and takes them, and verifies a signature, not: {arguments[1:]}", 2)


def _read(name: str) -> tuple[str, str] | None:
    """Fingerprint and checksum, which a key does not have."""
    found = COMMENT.search(Path(name).read_text(errors="replace"))
    return (found[1], found[2] or "") if found else None


def _show(name: str) -> int:
    if not (key := _read(name)):
        return complain("gpg: no valid OpenPGP data found.", 2)
    print(f"pub:-:4096:1:{key[0][-16:]}:1748000000:::-:::scSC::::::23::0:\nfpr:::::::::{key[0]}:")
    return 0


def _import(name: str) -> int:
    if not (key := _read(name)):
        return complain("gpg: no valid OpenPGP data found.", 2)
    _known(key[0]).parent.mkdir(parents=True, exist_ok=True)
    _known(key[0]).touch()
    return 0


def _export() -> int:
    """The keys that were imported."""
    for key in sorted(_known("").parent.iterdir()):
        print(f"Comment: rehearsal {key.name}")
    return 0


def _verify(signature: str, file: str) -> int:
    if not (made := _read(signature)):
        return complain("gpg: no valid OpenPGP data found.", 2)
    if not _known(made[0]).exists():
        return complain("gpg: Can't check signature: No public key", 2)
    if hashlib.sha256(Path(file).read_bytes()).hexdigest() != made[1]:
        return complain("gpg: BAD signature", 1)
    return complain("gpg: Good signature", 0)


def _known(fingerprint: str) -> Path:
    return Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg") / "keys" / fingerprint
