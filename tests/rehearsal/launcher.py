"""Namespaces of our own: whatever dies, the kernel takes every process, mount and device of a rehearsal away."""

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1

INTERRUPTED: Final = 128 + signal.SIGINT
"""Exit code of work that ended with a KeyboardInterrupt."""

SCRATCH_CANDIDATES: Final = ("/media", "/srv")
"""Neither /mnt nor /opt: processes of functions have mounts of their own there."""


class NotAllowedError(Exception):
    """This process may not make namespaces; the message is one sentence with the remedy."""


def require_namespaces(target: str = "rehearse") -> None:
    """Try once, in a child, all that `isolated` needs; raises NotAllowedError, which names the target of make."""
    if os.geteuid() != 0:
        raise NotAllowedError(
            f"The rehearsal needs root, because its nodes are namespaces of Linux: start it as `sudo make {target}`."
        )
    child = os.fork()
    if child == 0:
        try:
            _unshare()
            _run("mount", "-t", "proc", "proc", "/proc")
        except (OSError, subprocess.SubprocessError):
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise NotAllowedError(
            "This machine lets root make no namespaces or mounts, which the rehearsal's nodes are: in a container,"
            " start it with `docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined …`."
        )


def listening(address: str, port: int = 0) -> socket.socket:
    """A listening socket, at a free port unless one is given. It outlives the move into other namespaces."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


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
    _run("mount", "--make-rprivate", "/")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


@contextlib.contextmanager
def visit_network_and_mounts() -> Iterator[None]:
    """`own_network_and_mounts` for the calling thread and what it starts; afterwards it is back where it was.

    A thread that shares its root and working directory with another may not enter a mount namespace (EINVAL,
    setns(2)), and the threads that it started share them: of a server that was shut down one may still run. So it
    first takes its own (CLONE_FS).
    """
    kinds = {"net": os.CLONE_NEWNET, "mnt": os.CLONE_NEWNS}
    before = {kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in kinds}
    where = Path.cwd()
    try:
        own_network_and_mounts()
        try:
            yield
        finally:
            os.unshare(os.CLONE_FS)
            for kind, descriptor in before.items():
                os.setns(descriptor, kinds[kind])
            os.chdir(where)
    finally:
        for descriptor in before.values():
            os.close(descriptor)


def _unshare() -> None:
    own_network_and_mounts()
    os.unshare(os.CLONE_NEWIPC)
    os.unshare(os.CLONE_NEWPID)  # last: the next child, whoever it is, is PID 1 of the new namespace


def _init(work: Callable[[Path], int], session: bool) -> NoReturn:
    """PID 1: mounts, starts the worker, passes signals on, collects orphans, and ends with the worker's exit code."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    code = 1
    try:
        scratch = _mount()
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


def _mount() -> Path:
    """/proc of the new PID namespace, and a scratch directory over one of the host's that nothing of ours lies in."""
    _run("mount", "-t", "proc", "proc", "/proc")
    ours = [Path.cwd(), Path(sys.executable).resolve(), Path(sys.prefix).resolve(), Path.home().resolve()]
    for candidate in map(Path, SCRATCH_CANDIDATES):
        if candidate.is_dir() and not candidate.is_symlink() and not any(p.is_relative_to(candidate) for p in ours):
            _run("mount", "-t", "tmpfs", "-o", "mode=755", "rehearsal", str(candidate))
            return candidate
    raise OSError(errno.ENOENT, f"none of {', '.join(SCRATCH_CANDIDATES)} can be covered by a scratch directory")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)
