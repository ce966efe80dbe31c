"""`git init`, `fetch --depth 1 URL COMMIT`, `checkout FETCH_HEAD` and `rev-parse HEAD`: they take one commit from the
mirror.

Only the image of the previous release calls it (tests/deployment/previous.py).
"""

import io
import re
import ssl
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from .surroundings import complain


def main(arguments: list[str]) -> int:
    """The mirror gives the tarball of a commit at the address where GitHub does."""
    words = arguments[1:]
    folder = Path()
    if words[:1] == ["-C"]:
        folder, words = Path(words[1]), words[2:]
    plain = [word for word in words if not word.startswith("-") and not word.isdecimal()]
    match plain:
        case ["init", *target]:
            (Path(target[0]) if target else folder).joinpath(".git").mkdir(parents=True, exist_ok=True)
        case ["fetch", url, commit]:
            return _fetch(folder, url, commit)
        case ["checkout", "FETCH_HEAD"]:
            with tarfile.open(folder / ".git/fetched.tar.gz") as tar:
                for member in tar:
                    member.name = member.name.partition("/")[2]
                    tar.extract(member, folder, filter="tar")
            (folder / ".git/HEAD").write_text((folder / ".git/FETCH_HEAD").read_text())
        case ["rev-parse", "HEAD"]:
            print((folder / ".git/HEAD").read_text())
        case ["--version"] | []:
            print("git version 2.43.0")
        case _:
            return complain(f"git: this stand-in does not know: git {' '.join(words)}")
    return 0


def _fetch(folder: Path, url: str, commit: str) -> int:
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        return complain(f"fatal: couldn't find remote ref {commit}", 128)
    trust = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    try:
        address = f"{url.removesuffix('.git')}/archive/{commit}.tar.gz"
        with urllib.request.urlopen(address, timeout=30, context=trust) as response:
            content = response.read()
    except urllib.error.HTTPError:
        return complain(f"fatal: remote error: upload-pack: not our ref {commit}", 128)
    except OSError as error:
        return complain(f"fatal: unable to access '{url}/': {error}", 128)
    tarfile.open(fileobj=io.BytesIO(content)).close()
    (folder / ".git/fetched.tar.gz").write_bytes(content)
    (folder / ".git/FETCH_HEAD").write_text(commit)
    return 0
