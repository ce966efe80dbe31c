"""Namespaces of our own: whatever dies, the kernel takes every process, mount and device of a rehearsal away."""

import contextlib
import ctypes
import errno
import fcntl
import os
import pwd
import signal
import socket
import socketserver
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
# include/uapi/linux/mount.h
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1 << 12, 1 << 13, 1 << 14, 1 << 18

INTERRUPTED: Final = 128 + signal.SIGINT
"""Exit code of work that ended with a KeyboardInterrupt."""

SCRATCH_CANDIDATES: Final = ("/media", "/srv")
"""Neither /mnt nor /opt: processes of functions have mounts of their own there."""


def listening(address: str, port: int = 0) -> socket.socket:
    """A listening socket, at a free port unless one is given. It outlives the move into other namespaces."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


def stop_serving(server: socketserver.TCPServer) -> None:
    """End a server that serves for ever. `shutdown()` alone waits for its next look, up to half a second; the end of
    its socket wakes it.
    """
    with contextlib.suppress(OSError):  # it was closed before
        server.socket.shutdown(socket.SHUT_RDWR)
    server.shutdown()
    server.server_close()


def isolated(work: Callable[[Path], int], *, session: bool = False) -> int:
    """Run `work(scratch)` in namespaces of its own and return its exit code.

    `scratch` is a directory in memory that only those inside see. This process ends up in the new mount and network
    namespaces too: call it last. An init of ours is PID 1: it collects orphans and, dying with this process, ends all.
    SIGINT, SIGTERM and SIGHUP are a KeyboardInterrupt in `work`. With a `session` of its own it gets SIGINT from here
    only, and what it started gets none: so it can end that in order.
    """
    _unshare()
    sys.stdout.flush()
    sys.stderr.flush()
    init = os.fork()
    if init == 0:
        _init(work, session)

    def end(number: int, _frame: FrameType | None) -> None:
        os.kill(init, signal.SIGTERM if number == signal.SIGINT else number)

    # Without a session the terminal sends it to the worker as well, who ends in order.
    signal.signal(signal.SIGINT, end if session else signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    code = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    return code if code >= 0 else 128 - code


def own_network_and_mounts() -> None:
    """Move this process into network and mount namespaces of its own, with a loopback that works."""
    os.unshare(os.CLONE_NEWNS | os.CLONE_NEWNET)
    try:
        run("mount", "--make-rprivate", "/")
    except subprocess.CalledProcessError:
        _make_a_mount_of_the_root()
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def _make_a_mount_of_the_root() -> None:
    """Give this process of a chroot, in its own mount namespace, the same root as a mount that it can make private.

    A chroot's root is a directory of a mount outside it, whose propagation cannot be changed from within (EINVAL,
    mount(2)), and no process in a chroot may make a user namespace (EPERM, unshare(2)), as PostgreSQL needs. So the
    process goes to the root of the namespace, mounts the directory on itself, and moves that there.
    """
    root, where = os.open("/", os.O_PATH | os.O_DIRECTORY), Path.cwd()
    try:
        os.setns(os.pidfd_open(os.getpid()), os.CLONE_NEWNS)  # which also leads to its root
        place = str(Path(f"/proc/self/fd/{root}").readlink())
        _mount("/", flags=MS_REC | MS_PRIVATE)
        _mount(place, place, MS_REC | MS_BIND)
        os.chdir(place)
        _mount("/", ".", MS_MOVE)
        os.chroot(".")
        os.chdir(where)
    finally:
        os.close(root)


def _mount(target: str, source: str | None = None, flags: int = 0) -> None:
    """mount(2), where there may be no program of this name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source and os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def unprivileged(command: Sequence[str]) -> list[str]:
    """The command as an ordinary user runs it, and root in a user namespace: PostgreSQL refuses root.

    The user must have a name, which initdb asks for, so it is the first one of this machine that is not root. Raises
    LookupError.
    """
    if os.geteuid() != 0:
        return list(command)
    account = next((account for account in pwd.getpwall() if account.pw_uid != 0), None)
    if account is None:
        raise LookupError("no account but root's is in /etc/passwd")
    return ["unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}", *command]


def _unshare() -> None:
    own_network_and_mounts()
    os.unshare(os.CLONE_NEWIPC)
    os.unshare(os.CLONE_NEWPID)  # last: the next child, whoever it is, is PID 1 of the new namespace


def _init(work: Callable[[Path], int], session: bool) -> NoReturn:
    """PID 1: mounts, starts the worker, passes signals on, collects orphans, and ends with the worker's exit code."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    code = 1
    try:
        run("mount", "-t", "proc", "proc", "/proc")  # that of the new PID namespace
        scratch = mount_scratch()
        worker = os.fork()
        if worker == 0:
            if session:
                os.setsid()
            _work(work, scratch)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: os.kill(worker, number))
        while True:
            pid, status = os.wait()
            if pid == worker:
                code = os.waitstatus_to_exitcode(status)
                break
    except (OSError, subprocess.SubprocessError) as error:
        print(f"The rehearsal's namespaces could not be made: {error}", file=sys.stderr)
    finally:
        os._exit(code if code >= 0 else 128 - code)


def _work(work: Callable[[Path], int], scratch: Path) -> NoReturn:
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    code = 1
    try:
        code = work(scratch)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # not sys.exit: threads of the local AWS may still be at work, and the namespace ends them


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def mount_scratch() -> Path:
    """A directory in memory, over one of the machine's that nothing of ours lies in. Raises OSError."""
    ours = [Path.cwd(), Path(sys.executable).resolve(), Path(sys.prefix).resolve(), Path.home().resolve()]
    for candidate in map(Path, SCRATCH_CANDIDATES):
        if candidate.is_dir() and not candidate.is_symlink() and not any(p.is_relative_to(candidate) for p in ours):
            run("mount", "-t", "tmpfs", "-o", "mode=755", "rehearsal", str(candidate))
            return candidate
    raise OSError(errno.ENOENT, f"none of {', '.join(SCRATCH_CANDIDATES)} can be covered by a scratch directory")


def run(*command: str) -> None:
    """Raises OSError or SubprocessError; a CalledProcessError has what the program printed, as text."""
    subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=10)
