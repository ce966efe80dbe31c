"""Real programs for hosts and their network, from the distribution of this machine: sssd, and the directory it asks.

Hosts have the root file system of this machine below their own, so its packages run on them. They are fetched by apt,
and unpacked into a folder: nothing is installed here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build/debian"
SETS = {
    "sssd": ("adcli", "libnss-sss", "libpam-sss", "sssd-ad", "sssd-krb5", "sssd-ldap", "sssd-tools"),
    "slapd": ("slapd",),
}
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "etc/init.d")
MERGED = ("bin", "lib", "lib64", "sbin")  # links into /usr since Debian 12 and Ubuntu 20.04
SECONDS = 300


class NotFetched(Exception):
    """When this machine cannot fetch the packages: the message has what apt said."""


def tree(name: str) -> Path:
    """The folder that holds the packages of a set with all that this machine lacks of what they depend on.

    Raises NotFetched. It fetches nothing: who rehearses without a directory needs no network and no apt.
    """
    there = FOLDER / name
    if not there.is_dir():
        raise NotFetched(f"{name} is not in {FOLDER}: `make directory` fetches it, and needs apt and its network")
    return there


def fetch() -> None:
    """Fetch the sets that are not there. Raises NotFetched."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, packages in SETS.items():
        if not (FOLDER / name).is_dir():
            with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
                _fetch(packages, Path(scratch))
                (Path(scratch) / "root").rename(FOLDER / name)


def _fetch(packages: tuple[str, ...], scratch: Path) -> None:
    """Unpack what these packages bring and this machine lacks; `--reinstall` counts what it has, too, as lacking."""
    archives, lists, root = scratch / "archives", scratch / "lists", scratch / "root"
    for folder in (archives, lists):
        (folder / "partial").mkdir(parents=True)
    options = (
        f"Dir::Cache={scratch}",
        f"Dir::Cache::archives={archives}",
        f"Dir::State::lists={lists}",
        "APT::Sandbox::User=root",
        "Acquire::Retries=3",
        "Acquire::http::Timeout=30",
        "Debug::NoLocking=1",
    )
    words = [word for option in options for word in ("-o", option)]
    download = ["install", "--yes", "--no-install-recommends", "--reinstall", "--download-only", *packages]
    try:
        for command in (["update"], download):
            done = _run(["apt-get", *words, *command])
            if done.returncode:
                raise NotFetched(f"apt-get cannot fetch {' '.join(packages)}: {done.stderr.strip()[-500:]}")
        root.mkdir(mode=0o755)
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFetched(f"{' '.join(packages)}: {error}") from error
    for folder in (root / name for name in MERGED):
        if folder.is_dir():
            shutil.copytree(folder, root / "usr" / folder.name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder)
    for name in UNUSED:
        shutil.rmtree(root / name, ignore_errors=True)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )


if __name__ == "__main__":
    if not shutil.which("apt-get"):
        print("There is no apt-get, so tests that sign people of a directory in are skipped.", file=sys.stderr)
        sys.exit()
    try:
        fetch()
    except NotFetched as error:
        sys.exit(str(error))
