"""Runs the stand-ins of all hosts in forks of one process, which has imported them.

An interpreter takes 10 ms of a processor to start, and what a stand-in imports as much again or more; a node runs forty
of them for its first configuration. So what a host executes only connects to a socket, waits for an exit code and ends
with it. Meanwhile a fork is that command: in its namespaces, as its user, with its arguments, environment, umask,
working directory and standard streams, all of which it takes from the waiting process (proc(5), pidfd_getfd(2)). Who
kills that process kills the fork and its process group.

A fork needs CAP_SYS_PTRACE, which a container has only if it was started with it, and perl. Without them an
interpreter of its own runs each stand-in.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

STUB = """#!/usr/bin/perl
socket($link, 1, 1, 0) and connect($link, pack("Sa*", 1, "{socket}"))
  and syswrite($link, "{module}") and sysread($link, $code, 4) or die "$0 has no answer of the fork server";
exit $code;
"""
"""Both numbers of socket(2) are 1, AF_UNIX and SOCK_STREAM: to import their names takes longer than all the rest."""

NOT_FORKED = {"rserver", "rsession", "rstudio_launcher", "cloudwatch_agent", "python_build"}
"""Services and sessions, which others find and signal as processes; and what stands for another interpreter."""

IMPORTED = (
    *("fcntl", "grp", "hashlib", "json", "pathlib", "pwd", "re", "shlex", "shutil", "subprocess", "urllib.request"),
    *("psycopg2", "standins.workbench.cluster", "standins.workbench.configuration"),
)
"""What stand-ins import when they need it."""

CAP_SYS_PTRACE = 19
PIDFD_GETFD = 438  # include/uapi/asm-generic/unistd.h: of all architectures
NAMESPACES = os.CLONE_NEWNS | os.CLONE_NEWUTS | os.CLONE_NEWIPC | os.CLONE_NEWNET
SOCKET = "socket"
READY = b"\n"


def possible() -> bool:
    """Whether this machine can have forks in the place of processes of a host."""
    capabilities = Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0]
    return bool(int(capabilities, 16) >> CAP_SYS_PTRACE & 1 and shutil.which("perl", path="/usr/bin"))


def start(folder: Path, places: Mapping[Path, Path]) -> subprocess.Popen[bytes]:
    """Start the server, which listens in `folder` and ends with its standard input.

    `places` is where hosts have the folders of packages, that of the stand-ins first. Raises OSError.
    """
    server = subprocess.Popen(
        [os.path.realpath(sys.executable), "-IS", __file__, *(str(place) for pair in places.items() for place in pair)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    assert server.stdout
    if server.stdout.read(len(READY)) != READY:
        raise OSError("the fork server of the stand-ins does not start")
    return server


def main(*places: str) -> None:
    """Import, listen, and fork for each call, until standard input ends."""
    seen = dict(zip(places[::2], places[1::2], strict=True))
    own = list(sys.path)
    sys.path += seen
    stand_ins = {file.stem for file in Path(places[0], "standins").glob("[a-z]*.py")} - NOT_FORKED
    for module in (*IMPORTED, *(f"standins.{name}" for name in sorted(stand_ins))):
        importlib.import_module(module)
    # What a stand-in imports all the same, it imports where its host has it.
    sys.path = [*own, *dict.fromkeys(seen.values())]
    sys.path_importer_cache.clear()
    for package in [module for module in sys.modules.values() if hasattr(module, "__path__")]:
        for folder, place in seen.items():
            vars(package).update(__path__=[path.replace(f"{folder}/", f"{place}/") for path in package.__path__])
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(SOCKET)
    Path(SOCKET).chmod(0o777)  # ordinary users of hosts run stand-ins, too
    listening.listen(128)
    os.write(1, READY)
    _serve(listening)


def _serve(listening: socket.socket) -> None:
    watched = select.epoll()
    watched.register(0, select.EPOLLIN)
    watched.register(listening, select.EPOLLIN)
    links: dict[int, tuple[socket.socket, int]] = {}  # by the descriptor of a fork
    forks: dict[int, int] = {}  # process ids, by the descriptor of a link
    while True:
        # A new link last: its descriptor may be that of an event which is still to be read.
        for descriptor, _ in sorted(watched.poll(), key=lambda event: event[0] == listening.fileno()):
            if descriptor == 0:
                return
            if descriptor == listening.fileno():
                link, _ = listening.accept()
                try:
                    process = _fork(link)
                except OSError:  # the command has been killed, or its host has ended
                    link.close()
                    continue
                fork = os.pidfd_open(process)
                links[fork], forks[link.fileno()] = (link, process), process
                watched.register(fork, select.EPOLLIN)
                watched.register(link, select.EPOLLRDHUP | select.EPOLLONESHOT)
            elif descriptor in links:
                link, process = links.pop(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                del forks[link.fileno()]
                for ended in (descriptor, link.fileno()):  # other forks may still have it open, and its events
                    watched.unregister(ended)
                os.close(descriptor)
                with link, contextlib.suppress(OSError):  # the command has been killed
                    link.send(str(code if code >= 0 else 128 - code).encode())
            elif descriptor in forks:
                _kill(forks[descriptor])


def _kill(process: int) -> None:
    for kill in (os.killpg, os.kill):  # a fork that has just begun has no group of its own
        with contextlib.suppress(ProcessLookupError):
            kill(process, signal.SIGKILL)


def _fork(link: socket.socket) -> int:
    """Fork among the processes of the host that asks. Raises OSError where the command, or the host, has ended."""
    peer, _, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    command = os.pidfd_open(peer)
    try:
        os.setns(command, os.CLONE_NEWPID)  # of children
        if process := os.fork():
            return process
        _be(link, Path(f"/proc/{peer}"), command)
    finally:
        os.close(command)


def _be(link: socket.socket, process: Path, command: int) -> NoReturn:
    """In a fork: be the command whose folder in /proc, and whose descriptor, these are."""
    code = 1
    try:
        os.setsid()
        module = link.recv(64).decode()
        _take_over(process, command)
        sys.modules["standins"].run(module, sys.modules[f"standins.{module}"].main)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _take_over(process: Path, command: int) -> None:
    _perl, *arguments = (process / "cmdline").read_bytes().split(b"\0")[:-1]
    variables = (process / "environ").read_bytes().split(b"\0")
    lines = (process / "status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    root, directory = (os.open(process / name, os.O_PATH) for name in ("root", "cwd"))
    libc = ctypes.CDLL(None)
    streams = [libc.syscall(PIDFD_GETFD, command, number, 0) for number in range(3)]
    os.setns(command, NAMESPACES)
    os.fchdir(root)
    os.chroot(".")
    os.fchdir(directory)
    for number, stream in enumerate(streams):
        os.dup2(stream if stream >= 0 else os.open(os.devnull, os.O_RDWR), number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    Path("/proc/self/comm").write_bytes(arguments[0].rpartition(b"/")[2])
    os.umask(int(status["Umask"][0], 8))
    os.setgroups([int(group) for group in status["Groups"]])
    os.setresgid(*map(int, status["Gid"][:3]))
    os.setresuid(*map(int, status["Uid"][:3]))
    os.environb.clear()
    os.environb.update({name: value for name, _, value in (line.partition(b"=") for line in variables if line)})
    sys.argv = [os.fsdecode(argument) for argument in arguments]
    vars(sys.modules["standins.surroundings"]).update(own_process=int(status["NSpid"][-1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
