"""Code of functions, layers and the runtime client, in directories that an execution environment mounts."""

import compileall
import contextlib
import hashlib
import importlib
import io
import os
import py_compile
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# What the managed runtime brings beside the interpreter. Its boto3 and botocore are left out on purpose: the layer has
# botocore, and what it lacks must be missing here, too.
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py.py", "runtime_client")

UNPACKED = Path(__file__).parents[4] / "build" / "functions"
"""Code by its content, as Lambda keeps it: unpacked once for all rehearsals. What brings no bytecode has none."""

KEPT_SECONDS = 7 * 24 * 3600


@dataclass
class DeploymentPackages:
    """The archives of functions and layers, unpacked."""

    _digests: dict[bytes, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def unpacked(self, kind: str, archives: list[bytes]) -> Path:
        """The archives, one over the other, in a directory named by their content: unpacked once."""
        with self._lock:
            parts = [self._once(kind, archive, _unpack) for archive in archives]
            if len(parts) == 1:
                return parts[0]
            return self._once(
                kind, " ".join(part.name for part in parts).encode(), lambda _, target: _merge(parts, target)
            )

    def _once(self, kind: str, content: bytes, make: Callable[[bytes, Path], None]) -> Path:
        if content not in self._digests:  # a layer has 20 MB, and every invocation asks
            self._digests[content] = hashlib.sha256(content).hexdigest()[:16]
        target = UNPACKED / f"{kind}-{self._digests[content]}"
        if not target.exists():
            UNPACKED.mkdir(parents=True, exist_ok=True)
            _forget_what_is_old()
            with tempfile.TemporaryDirectory(dir=UNPACKED, prefix="unfinished-") as folder:
                unfinished = Path(folder) / "code"
                make(content, unfinished)
                with contextlib.suppress(OSError):  # another process was faster
                    unfinished.rename(target)
        os.utime(target)
        return target


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


def _merge(parts: list[Path], target: Path) -> None:
    """Links instead of copies: layers are read-only."""
    for part in parts:
        for directory, _, names in part.walk():
            there = target / directory.relative_to(part)
            there.mkdir(parents=True, exist_ok=True)
            for name in names:
                (there / name).unlink(missing_ok=True)
                (there / name).hardlink_to(directory / name)


def copy_runtime_client(target: Path) -> None:
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
    compileall.compile_dir(target, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
