"""How a file system is handed to a host: with root squashed or read-only, as far as the host's role asks for no better.

Root is squashed by an id-mapped mount, which shows root as "nobody" (65534) to the file system; where the kernel or the
file system cannot do that (Linux before 5.12; tmpfs before 6.3) the mount is read-only, which refuses root's writes as
surely.
"""

import ctypes
import os
import subprocess
import time
from pathlib import Path

NOBODY = 65534
HOLDER_SECONDS = 60
# include/uapi/linux/mount.h and the system call table that all architectures share
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_IDMAP = 1, 4, 0x00100000
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000


def export(source: Path, target: Path, actions: frozenset[str]) -> None:
    """Mount `source` on the directory `target` for a role with these EFS actions. Raises CalledProcessError."""
    squashed = "ClientRootAccess" not in actions
    if squashed and _mount_squashed(source, target):
        squashed = False
    else:
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True, timeout=10)
    access = "ro" if squashed or "ClientWrite" not in actions else "rw"
    options = f"remount,bind,strictatime,{access}"  # by that time EFS's metrics know what is read
    subprocess.run(["mount", "-o", options, str(target)], check=True, timeout=10)


def withdraw(target: Path) -> None:
    """Undo `export`; never touches what is in the file system."""
    subprocess.run(["umount", "--lazy", str(target)], check=False, timeout=10, capture_output=True)
    target.rmdir()


def _mount_squashed(source: Path, target: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    holder = subprocess.Popen(["unshare", "--user", "sleep", str(2 * HOLDER_SECONDS)])
    try:
        users = _map_root_to_nobody(holder.pid)
        tree = libc.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE)
        if tree < 0:
            return False
        attributes = (ctypes.c_uint64 * 4)(
            MOUNT_ATTR_IDMAP, 0, 0, users
        )  # struct mount_attr: set, clear, propagation, users
        size = ctypes.sizeof(attributes)
        mapped = libc.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, ctypes.byref(attributes), size) == 0
        placed = (
            mapped and libc.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH) == 0
        )
        os.close(tree)
        os.close(users)
    except OSError:
        return False
    finally:
        holder.kill()
        holder.wait()
    return bool(placed)


def _map_root_to_nobody(process: int) -> int:
    """The user namespace of the process, once it has one of its own: "nobody" of the file system is root there."""
    own = Path("/proc/self/ns/user").readlink()
    deadline = time.monotonic() + HOLDER_SECONDS
    while (place := Path(f"/proc/{process}/ns/user")).readlink() == own:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{process}/{kind}").write_text(f"{NOBODY} 0 1\n1 1 {NOBODY - 1}\n")
    return os.open(place, os.O_RDONLY)
