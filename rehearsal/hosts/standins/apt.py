"""`apt-get`, `apt-cache` and `apt-mark`: package indexes and packages come from the mirror, as sources.list says."""

import contextlib
import fcntl
import functools
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import dpkg
from .surroundings import complain

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    import ssl

SOURCES = Path("/etc/apt")
LISTS = Path("/var/lib/apt/lists")
HELD = Path("/var/lib/apt/held")
FRONTEND = Path("/var/lib/dpkg/lock-frontend")
ARCHIVES = Path("/var/cache/apt/archives")
LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<url>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")
SECONDS = 30


class AptError(Exception):
    """When apt must refuse; the message is its own, and the exit code is 100."""


class Source(NamedTuple):
    """One `deb` line, of one component."""

    url: str
    suite: str
    component: str
    signed_by: str

    @property
    def listing(self) -> Path:
        return LISTS / re.sub(r"[^a-z0-9.]+", "_", f"{self.url}_{self.suite}_{self.component}_Packages")


def main(arguments: list[str]) -> int:
    """Answers by the name it was called."""
    called = Path(arguments[0]).name
    options = [word for word in arguments[1:] if word.startswith("-")]
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if not words:
        return complain(f"{called}: this stand-in needs a command")
    verb, *names = words
    try:
        if called == "apt-mark":
            return _mark(verb, names)
        match verb:
            case "update":
                with _lock(LISTS / "lock", 0):
                    update()
            case "install":
                with _lock(FRONTEND, _lock_timeout()):
                    install(names, reinstall="--reinstall" in options)
                from . import needrestart

                needrestart.main([])
            case "purge" | "remove":
                with _lock(FRONTEND, _lock_timeout()):
                    purge(names)
            case "policy":
                _policy(names)
            case "autoremove" | "clean" | "autoclean" | "upgrade" | "dist-upgrade":
                pass
            case _:
                raise AptError(f"E: Invalid operation {verb}")
    except (AptError, dpkg.PackageError) as error:
        return complain(str(error), 100)
    return 0


@contextlib.contextmanager
def _lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold a lock that one process may have. DPkg::Lock::Timeout is about dpkg's, not about that of the lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise AptError(f"E: Could not get lock {path}. It is held by another process") from error
                time.sleep(0.1)
        yield


def _lock_timeout() -> float:
    texts = [file.read_text() for file in sorted((SOURCES / "apt.conf.d").glob("*"))]
    found = re.findall(r'^DPkg::Lock::Timeout "(\d+)";', "\n".join(texts), re.MULTILINE)
    return float(found[-1]) if found else 0


def sources() -> Iterator[Source]:
    """What sources.list and its folder say. Raises AptError for a line that apt would not understand."""
    for file in [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*.list"))]:
        for number, line in enumerate(file.read_text().splitlines() if file.exists() else [], start=1):
            if not line.strip() or line.lstrip().startswith(("#", "deb-src")):
                continue
            found = LINE.fullmatch(line.strip())
            if not found:
                raise AptError(
                    f"E: Malformed line {number} in source list {file}\nE: The list of sources could not be read."
                )
            options = dict(word.partition("=")[::2] for word in (found["options"] or "").split())
            for component in found["components"].split():
                yield Source(found["url"].rstrip("/"), found["suite"], component, options.get("signed-by", ""))


def update() -> None:
    """Fetch the index of every source."""
    LISTS.mkdir(parents=True, exist_ok=True)
    for source in sources():
        where = f"{source.url} {source.suite}"
        if source.signed_by and not Path(source.signed_by).exists():
            raise AptError(
                f"W: GPG error: {where} InRelease: no key {source.signed_by}\nE: The repository is not signed."
            )
        content = _fetch(f"{source.url}/dists/{source.suite}/{source.component}/binary-amd64/Packages")
        source.listing.write_bytes(content)
        print(f"Get: {where}/{source.component} amd64 Packages [{len(content)} B]")
    print("Reading package lists... Done")


def available() -> dict[str, list[dict[str, str]]]:
    """Stanzas by package name, with the address of each under `Url`; the newest is last."""
    found: dict[str, list[dict[str, str]]] = {}
    for source in sources():
        if source.listing.exists():
            for stanza in map(dpkg.fields, source.listing.read_text().split("\n\n")):
                found.setdefault(stanza["Package"], []).append({**stanza, "Url": f"{source.url}/{stanza['Filename']}"})
    return found


def install(names: list[str], *, reinstall: bool) -> None:
    """Install packages, `NAME=VERSION` or files, after what they depend on."""
    index = available()
    for name in names:
        if name.startswith(("/", "./")):
            if not Path(name).exists():
                raise AptError(f"E: Unsupported file {name} given on commandline")
            depends = dpkg.Archive.read(Path(name)).control.get("Depends", "")
            _install_dependencies(depends, index)
            dpkg.install(Path(name))
        else:
            _install_named(name, index, reinstall=reinstall)


def _install_named(wanted: str, index: dict[str, list[dict[str, str]]], *, reinstall: bool = False) -> None:
    name, _, version = wanted.partition("=")
    here = dpkg.installed().get(name)
    if name not in index:
        raise AptError(f"E: Unable to locate package {name}")
    choices = [stanza for stanza in index[name] if version in {"", stanza["Version"]}]
    if not choices:
        raise AptError(f"E: Version '{version}' for '{name}' was not found")
    stanza = choices[-1]
    if here and here["Version"] == stanza["Version"] and not reinstall:
        print(f"{name} is already the newest version ({here['Version']}).")
        return
    if here and name in held():
        raise AptError(f"E: Held packages were changed and -y was used without --allow-change-held-packages: {name}")
    _install_dependencies(stanza.get("Depends", ""), index)
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    file = ARCHIVES / Path(stanza["Filename"]).name
    file.write_bytes(_fetch(stanza["Url"]))
    dpkg.install(file)
    file.unlink()


def _install_dependencies(depends: str, index: dict[str, list[dict[str, str]]]) -> None:
    for name in filter(None, (word.split("(")[0].strip() for word in depends.split(","))):
        if name not in dpkg.installed():
            _install_named(name, index)


def purge(names: list[str]) -> None:
    """Remove packages; one that is known but not installed is no error."""
    here, index = dpkg.installed(), available()
    for name in names:
        if name not in here and name not in index:
            raise AptError(f"E: Unable to locate package {name}")
        if name in here:
            print(f"Removing {name} ({here[name]['Version']}) ...")
            dpkg.remove(name)


def held() -> set[str]:
    return set(HELD.read_text().split()) if HELD.exists() else set()


def _mark(verb: str, names: list[str]) -> int:
    if verb == "showhold":
        print("\n".join(sorted(held())))
        return 0
    if verb not in {"hold", "unhold", "auto", "manual"}:
        return complain(f"E: Invalid operation {verb}")
    for name in names:
        if name not in dpkg.installed():
            return complain(
                f"E: Can't select installed nor candidate version from package {name} as it has neither of them", 100
            )
        print(f"{name} set on hold." if verb == "hold" else f"Canceled hold on {name}.")
    changed = held() | set(names) if verb == "hold" else held() - set(names) if verb == "unhold" else held()
    HELD.write_text("\n".join(sorted(changed)))
    return 0


def _policy(names: list[str]) -> None:
    for name in names:
        here = dpkg.installed().get(name, {}).get("Version", "(none)")
        candidates = available().get(name, [])
        print(f"{name}:\n  Installed: {here}\n  Candidate: {candidates[-1]['Version'] if candidates else '(none)'}")


@functools.cache
def _trust(*, with_tls: bool) -> "ssl.SSLContext":
    """The authorities that count. Without TLS none does; were nothing given, those of OpenSSL would be read."""
    import ssl

    if not with_tls:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")


def _fetch(url: str) -> bytes:
    import urllib.error  # takes half of the time of a start, and most of them fetch nothing
    import urllib.request

    trust = _trust(with_tls=url.startswith("https:"))
    try:
        with urllib.request.urlopen(url, timeout=SECONDS, context=trust) as response:
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"E: Failed to fetch {url}  {error.code}  {error.reason}\n")
        raise AptError(
            "E: Some index files failed to download. They have been ignored, or old ones used instead."
        ) from error
    except OSError as error:
        raise AptError(f"E: Failed to fetch {url}  {error}") from error
    return content
