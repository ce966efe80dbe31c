"""What a rehearsal needs of this machine: each thing is tried, and the first that is missing is named with its remedy.

`python3.13 -m rehearsal.machine TARGET` is the first thing that make does, before it installs anything. So this
module and the launcher import nothing but the standard library.
"""

import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

from rehearsal import launcher

EXIT_MISUSE: Final = 2
GLIBC: Final = (2, 34)
"""What the wheel of PostgreSQL was built for (manylinux_2_34)."""

PROGRAMS: Final = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "umount": "mount",
    "bash": "bash",
    "chroot": "coreutils",
    "hostname": "hostname",
    "useradd": "passwd",
}
"""Programs of this machine that the rehearsal and its nodes run, with Debian's package for each."""

CONTAINER: Final = (
    "in a container, start it with `docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN"
    " --security-opt apparmor=unconfined …`"
)

NEW_NAMESPACES: Final = (
    "unshare",
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--propagation",
    "private",
)
"""How a node gets namespaces of its own."""

# include/uapi/linux/rtnetlink.h, if_link.h and netlink.h
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL = 16, 0x1, 0x4, 0x400, 0x200
IFLA_LINKINFO, IFLA_INFO_KIND, NLMSG_ERROR = 18, 1, 2


class NotAbleError(Exception):
    """This machine cannot run a rehearsal; the message is one sentence with the remedy."""


def require(target: str) -> None:
    """Try all that a rehearsal needs, in a child; raises NotAbleError, which names the target of make."""
    _require_root(target)
    _require_programs()
    _require_glibc()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _try_everything(writing)
    os.close(writing)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    missing = os.read(reading, 4096).decode()
    os.close(reading)
    if missing or ended:
        raise NotAbleError(missing or f"The check of this machine itself ended with {ended}.")


def _require_root(target: str) -> None:
    if os.geteuid() != 0:
        raise NotAbleError(
            f"The rehearsal needs root, because its nodes are namespaces of Linux: start it as `sudo make {target}`."
        )


def _require_programs() -> None:
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
        raise NotAbleError(
            f"The rehearsal runs {', '.join(missing)}, which this PATH does not have: on Debian and Ubuntu,"
            f" `apt-get install {packages}` brings it."
        )


def _require_glibc() -> None:
    found = _libc()
    version = found.removeprefix("glibc ").split(".") if found else []
    if tuple(map(int, version[:2])) < GLIBC:
        raise NotAbleError(
            f"The rehearsal's PostgreSQL needs glibc {GLIBC[0]}.{GLIBC[1]} or newer, and this machine has"
            f" {found or 'another C library'}: take Debian 12, Ubuntu 22.04, or a newer one."
        )


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):  # musl does not know the name
        return None


def _try_everything(writing: int) -> NoReturn:
    """In a child: write the sentence of the first thing that fails, and end. The kernel takes back what was made."""
    code = 1
    try:
        for what, trial, remedy in _trials():
            try:
                trial()
            except (OSError, LookupError, subprocess.SubprocessError) as error:
                os.write(writing, f"This machine cannot {what} ({_reason(error)}): {remedy}.".encode())
                break
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _trials() -> Iterator[tuple[str, Callable[[], object], str]]:
    """What is done with the machine, how that is tried, and what to do where it fails."""
    yield "give root network and mount namespaces", launcher.own_network_and_mounts, CONTAINER
    scratch: list[Path] = []
    yield (
        "mount a directory in memory",
        lambda: scratch.append(launcher.mount_scratch()),
        f"{' or '.join(launcher.SCRATCH_CANDIDATES)} must be a directory without this working copy in it; {CONTAINER}",
    )
    yield (
        "make a node's file system of overlays",
        lambda: _try_overlay(scratch[0]),
        f"the kernel needs overlayfs over the file system of / (`modprobe overlay`); {CONTAINER}",
    )
    yield (
        "give a node namespaces of its own",
        lambda: launcher.run(*NEW_NAMESPACES, "mount", "-t", "proc", "proc", "/proc"),
        f"the kernel needs namespaces for PID, UTS, IPC and network; {CONTAINER}",
    )
    yield "make a network bridge", lambda: _add_link("bridge"), f"`modprobe bridge` on the host; {CONTAINER}"
    yield "make a virtual network cable", lambda: _add_link("veth"), f"`modprobe veth` on the host; {CONTAINER}"
    yield (
        "run PostgreSQL as an ordinary user in a user namespace",
        lambda: launcher.run(*launcher.unprivileged(["true"])),
        f"/etc/passwd must have an account beside root's, and user.max_user_namespaces be above 0; {CONTAINER}",
    )


def _try_overlay(scratch: Path) -> None:
    """Hide a file and replace a directory of / as the parent image of every node does."""
    for name in ("layer", "upper", "work", "root"):
        (scratch / name).mkdir()
    os.mknod(scratch / "layer/etc", stat.S_IFCHR, os.makedev(0, 0))
    (scratch / "layer/usr").mkdir()
    os.setxattr(scratch / "layer/usr", "trusted.overlay.opaque", b"y")
    layers = f"lowerdir={scratch}/layer:/,upperdir={scratch}/upper,workdir={scratch}/work"
    options = f"{layers},metacopy=off,redirect_dir=off"
    launcher.run("mount", "-t", "overlay", "-o", options, "overlay", f"{scratch}/root")
    seen = (scratch / "root/etc").exists(), [*(scratch / "root/usr").iterdir()]
    if seen != (False, []):
        raise OSError("an overlay does not hide what is below it")


def _add_link(kind: str) -> None:
    """Add a network device, as `ip link add type KIND` does, without `ip`: rtnetlink(7)."""
    name = _attribute(IFLA_INFO_KIND, kind.encode() + b"\0")
    body = struct.pack("BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(IFLA_LINKINFO, name)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0) + body)
        answer = kernel.recv(4096)
    kind_of_answer, error = struct.unpack_from("H", answer, 4)[0], struct.unpack_from("i", answer, 16)[0]
    if kind_of_answer == NLMSG_ERROR and error:
        raise OSError(-error, os.strerror(-error))


def _attribute(number: int, content: bytes) -> bytes:
    return struct.pack("HH", 4 + len(content), number) + content + b"\0" * (-len(content) % 4)


def _reason(error: Exception) -> str:
    """What the kernel or the program answered, in one line."""
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip().partition("\n")[0] or f"{error.cmd[0]} ended with {error.returncode}"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def main(arguments: list[str]) -> int:
    """Exit code 2 and one sentence where this machine cannot run the target that is given."""
    try:
        require(arguments[0])
    except NotAbleError as error:
        print(error, file=sys.stderr)
        return EXIT_MISUSE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
