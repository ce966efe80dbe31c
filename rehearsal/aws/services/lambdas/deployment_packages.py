"""Code of functions, layers and the runtime client, in directories that an execution environment mounts."""

import contextlib
import importlib
import io
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

# What the managed runtime brings beside the interpreter; boto3 is left out on purpose: ours comes with the layer.
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client")

UNPACKED = Path(__file__).parents[4] / "build" / "functions"
"""Code by its content, as Lambda keeps it: unpacked and compiled once for all rehearsals."""

KEPT_SECONDS = 7 * 24 * 3600


def _forget_what_is_old() -> None:
    for folder in UNPACKED.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process took it away
            if folder.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for member in packed.infolist():
            packed.extract(member, target)
            mode = member.external_attr >> 16 & 0o777
            if mode and not member.is_dir():
                (target / member.filename).chmod(mode)
    _compile(target)


def _merge(parts: list[Path], target: Path) -> None:
    """Links instead of copies: layers are read-only."""
    for part in parts:
        for directory, _, names in part.walk():
            there = target / directory.relative_to(part)
            there.mkdir(parents=True, exist_ok=True)
            for name in names:
                (there / name).unlink(missing_ok=True)
                (there / name).hardlink_to(directory / name)


def _compile(directory: Path) -> None:
    """Precompiled code imports in less than half the time; in a process of its own, since it is seconds of work."""
    command = [
        sys.executable,
        "-m",
        "compileall",
        "-qq",
        "-j",
        "2",
        "--invalidation-mode",
        "unchecked-hash",
        str(directory),
    ]
    subprocess.run(command, check=False, timeout=120)  # a file that does not compile fails when it is imported


def _copy_runtime_client(target: Path) -> None:
    """awslambdaric and what it needs, out of the virtualenv and into a directory that holds nothing else."""
    packages = Path(importlib.import_module("awslambdaric").__file__ or "").parents[1]
    target.mkdir(parents=True)
    for name in RUNTIME_CLIENT:
        for source in packages.glob(f"{name}*") if "." not in name else [packages / name]:
            if source.name.endswith(".dist-info"):
                continue
            if source.is_dir():
                shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    _compile(target)
