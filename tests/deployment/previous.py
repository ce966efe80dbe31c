"""The previous release of the application, for the test of an upgrade: taken out of git by its commit, and built.

Building needs the network, which tests do not have: `make previous` does it before them.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from rehearsal import application
from rehearsal.application import ROOT, SOURCES

COMMIT: Final = "655640ba21a94ed7c99f6736d41c96d0be5f47aa"
"""There are no tags: whoever releases puts the commit of the last release here."""

RELEASE: Final = ROOT / "build" / "previous" / COMMIT[:12]


class NoPreviousReleaseError(Exception):
    """This clone has no such commit, or the release was not built."""


def build() -> None:
    """Take the release out of git, unless that was done, and build it; raises NoPreviousReleaseError."""
    if not RELEASE.exists():
        RELEASE.parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(dir=RELEASE.parent))
        with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
            archive.extractall(directory, filter="tar")
        directory.rename(RELEASE)
    application.build(RELEASE)


def built() -> Path:
    """Where the built release is; raises NoPreviousReleaseError."""
    if not (RELEASE / ".aws-sam" / "build" / "template.yaml").exists():
        raise NoPreviousReleaseError("The previous release is not built, which needs the network: run `make previous`.")
    return RELEASE


def _archive() -> bytes:
    git = ["git", "-C", str(ROOT)]
    known = subprocess.run(
        [*git, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, timeout=60, check=False
    )
    if known.returncode != 0:
        raise NoPreviousReleaseError(
            f"This clone lacks the commit {COMMIT} of the previous release: run `git fetch --unshallow`."
        )
    return subprocess.run([*git, "archive", COMMIT, *SOURCES], capture_output=True, timeout=60, check=True).stdout


if __name__ == "__main__":
    try:
        build()
    except (NoPreviousReleaseError, application.CommandFailedError) as error:
        sys.exit(str(error))
