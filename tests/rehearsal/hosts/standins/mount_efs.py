"""`mount.efs`, the mount helper of amazon-efs-utils: its option checks, and a bind of the access point's directory
here.

Root is squashed unless the role has ClientRootAccess: an id-mapped mount shows root as nobody (65534) to the file
system, and where the kernel cannot do that, the mount is read-only, which refuses root's writes just as surely.
"""

import ctypes
import os
import re
import signal
import subprocess
from pathlib import Path

from .surroundings import complain, metadata, surroundings

LOG = Path("/var/log/amazon/efs/mount.log")
VERSION = Path("/etc/amazon/efs/VERSION")
MOUNT_SETATTR, OPEN_TREE, MOVE_MOUNT = 442, 428, 429
MOUNT_ATTR_IDMAP = 0x00100000
AT_FDCWD, AT_EMPTY_PATH, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = -100, 0x1000, 1, 4
CLONE_NEWUSER = 0x10000000
NOBODY = 65534


def main(arguments: list[str]) -> int:
    """`mount.efs FILE_SYSTEM:/ DIRECTORY -o OPTIONS`, as mount(8) calls it."""
    if "--version" in arguments:
        print(f"{arguments[0]} Version: {VERSION.read_text().strip()}")
        return 0
    words = arguments[1:]
    given = words[words.index("-o") + 1] if "-o" in words else ""
    options = dict(word.partition("=")[::2] for word in given.split(","))
    specification, target = [word for word in words if not word.startswith("-") and word != given][:2]
    file_system, _, path = specification.partition(":")
    problem = _problem_with(file_system, path or "/", options) or _mount(file_system, options, target)
    _log(f"{specification} at {target}: {problem or 'mounted'}")
    return complain(problem) if problem else 0


def _problem_with(file_system: str, path: str, options: dict[str, str]) -> str | None:
    """The helper's own checks, then the server's."""
    point = options.get("accesspoint", "")
    if not re.fullmatch(r"fs-[0-9a-f]+", file_system):
        return f'Failed to resolve "{file_system}" - check that your file system ID is correct.'
    if "accesspoint" in options and "tls" not in options:
        return 'The "tls" option is required when mounting via "accesspoint"'
    if "iam" in options and "tls" not in options:
        return 'The "tls" option is required when mounting via "iam"'
    if "accesspoint" in options and not re.fullmatch(r"fsap-[0-9a-f]{17}", point):
        return f"Access Point ID {point} is malformed"
    if "accesspoint" in options and path != "/":
        return f"{path} cannot be mounted: an access point has its own root directory"
    told = surroundings()
    if file_system not in told["access_points"]:
        name = f"{file_system}.efs.{told['region']}.amazonaws.com"
        return f'Failed to resolve "{name}" - check that your file system ID is correct.'
    denied = "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    if (
        point not in told["access_points"][file_system]
        or "iam" not in options
        or "ClientMount" not in told["file_system_actions"]
    ):
        return denied
    try:
        role = metadata("meta-data/iam/security-credentials/")
        metadata(f"meta-data/iam/security-credentials/{role}")
    except OSError as error:
        return f"AWS Access Key ID and Secret Access Key are not found in AWS credentials file: {error}"
    return None


def _mount(file_system: str, options: dict[str, str], target: str) -> str | None:
    told = surroundings()
    source = told["access_points"][file_system][options["accesspoint"]]
    actions = told["file_system_actions"]
    if not Path(target).is_dir():
        return f"mount.nfs4: mount point {target} does not exist"
    if "ClientRootAccess" not in actions and _mount_without_root(source, target):
        return None
    command = ["mount", "--bind", source, target]
    if "ClientWrite" not in actions or "ClientRootAccess" not in actions:
        command[1:1] = ["-o", "ro"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stderr.strip() if done.returncode else None


def _mount_without_root(source: str, target: str) -> bool:
    """Bind `source` with root mapped to nobody. False when this kernel or file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os.unshare(CLONE_NEWUSER)
        signal.pause()
    try:
        while Path(f"/proc/{child}/ns/user").readlink() == Path("/proc/self/ns/user").readlink():
            os.sched_yield()
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{kind}").write_text(f"{NOBODY} 0 1\n1 1 {NOBODY - 1}\n")
        users = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
        tree = libc.syscall(OPEN_TREE, AT_FDCWD, source.encode(), OPEN_TREE_CLONE)
        attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_IDMAP, 0, 0, users)
        if libc.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, ctypes.byref(attributes), ctypes.sizeof(attributes)):
            return False
        return libc.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH) == 0
    except OSError:
        return False
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _log(line: str) -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as file:
        file.write(f"{line}\n")
