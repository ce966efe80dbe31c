"""Images that the processes of a test run share: what components make of an instance is made once.

A layer is kept as an archive: the folders of pytest may stand on a file system that holds no whiteouts of overlays.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import trustme

from rehearsal import run
from rehearsal.aws.services.imagebuilder.build import ImageBuild
from rehearsal.hosts import base_image
from rehearsal.hosts.host import Hosts


def of_run(directory: Path) -> Path:
    """The folder of all processes of this test run; `directory` is that of this process."""
    return directory.parent if "PYTEST_XDIST_WORKER" in os.environ else directory


@contextlib.contextmanager
def alone(file: Path) -> Iterator[bool]:
    """While one process makes a file, the others wait. Gives whether it is there."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield file.exists()


def authority(shared: Path) -> trustme.CA:
    """What all images of this test run trust."""
    file = shared / "authority.pem"
    with alone(file) as there:
        if not there:
            made = trustme.CA()
            made.private_key_pem.write_to_path(str(file.with_suffix(".key")))
            made.cert_pem.write_to_path(str(file))
    return trustme.CA.from_pem(file.read_bytes(), file.with_suffix(".key").read_bytes())


def keep(layer: Path, file: Path) -> None:
    written = file.with_suffix(f".{os.getpid()}")
    _tar(layer, written, "--create", ".")
    written.rename(file)


def unpack(file: Path, layer: Path) -> None:
    _tar(layer, file, "--extract", "--preserve-permissions")


def _tar(layer: Path, file: Path, *what: str) -> None:
    attributes = ("--xattrs", "--xattrs-include=*", "--numeric-owner")
    command = ["tar", "--directory", str(layer), *attributes, "--file", str(file), *what]
    subprocess.run(command, check=True, timeout=60)


@contextlib.contextmanager
def shared_by_accounts(shared: Path) -> Iterator[None]:
    """Inside, a build of components that another account of this run has built and tested takes its files from there.

    Nothing waits for a build of another: time would pass at the speed of AWS meanwhile. Rehearsals in processes of
    their own build each image.
    """
    run_build = ImageBuild.run

    def run_or_take(build: Any) -> None:
        uses = [[use.document, dict(use.parameters)] for use in build._image.uses]
        made_of = json.dumps([uses, base_image.LOCKING_UNITS], default=str)  # which a test changes
        kept = shared / f"image-{hashlib.sha256(made_of.encode()).hexdigest()}.tar"
        if kept.exists():
            build._run_phase = lambda machine, *_: vars(machine.host).update(capture=lambda layer: unpack(kept, layer))
            run_build(build)
            return
        run_build(build)
        if build._image.status == "AVAILABLE":
            keep(build._machines.images.layer(build._image.ami["image"]), kept)

    with (
        mock.patch.object(run, "Hosts", lambda *given, **named: Hosts(*given, authority=authority(shared), **named)),
        mock.patch.object(ImageBuild, "run", run_or_take),
    ):
        yield
