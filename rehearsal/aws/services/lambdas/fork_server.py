"""The program that functions are forks of: it has imported packages of their layers, and becomes one at each request.

Started as Lambda starts Python (`-S -s`, the layers in PYTHONPATH), so it imports nothing of the rehearsal. Arguments:
a socket, and JSON {mounts, modules, services, waits}: where the layers are, and what to read of them, as far as they
have it. Request: one message of JSON {environment, task, handler, search, mounts} with four descriptors: where to
answer, standard output, network and mount namespace. Answers: a line with the process id, and at its end a line with
its return code. Whoever hangs up kills it.
"""

import array
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
DESCRIPTORS = 4


def preload(mounts: list[list[Any]], modules: list[str], services: list[str], waits: bool) -> None:
    """Import what every function imports, and let botocore read the models, which all functions then share."""
    gc.disable()
    lay_out(mounts)
    importlib.invalidate_caches()
    for name in modules:
        with contextlib.suppress(ImportError):  # a function that needs it fails as it does on AWS
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        import botocore.endpoint
        import botocore.session

        if not waits:
            vars(botocore.endpoint)["time"] = types.SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})
        session = botocore.session.Session()
        loader = session.get_component("data_loader")
        for service in services:
            session.create_client(
                service,
                region_name=os.environ["AWS_REGION"],
                aws_access_key_id="none",
                aws_secret_access_key="none",
            )
        # Of the session that a function makes for itself only what reads the models is replaced.
        vars(botocore.session)["create_loader"] = lambda _search_path=None: loader
    gc.freeze()
    gc.enable()


def lay_out(mounts: list[list[Any]]) -> None:
    """Have mounts of its own: each is source, target, type, flags and options, as mount(2) takes them."""
    os.unshare(os.CLONE_NEWNS)
    libc = ctypes.CDLL(None, use_errno=True)
    for source, target, kind, flags, options in mounts:
        if not Path(target).exists():
            Path(target).mkdir()
        encoded = [os.fsencode(text) for text in (source, target, kind)]
        if libc.mount(*encoded, ctypes.c_ulong(flags), os.fsencode(options)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def serve(requests: socket.socket) -> None:
    """Answer until whoever started this has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[socket.socket, int] = {}
    while True:
        watched: list[Any] = [woken, requests, *running]
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 4096)
        for connection in [one for one in running if one in ready]:
            os.kill(running[connection], signal.SIGKILL)
            report(connection, running.pop(connection), 0)
        for connection in list(running):
            report(connection, running[connection], os.WNOHANG) and running.pop(connection)
        if requests in ready:
            request, descriptors = receive(requests)
            if not descriptors:
                return
            connection = socket.socket(fileno=descriptors[0])
            process = os.fork()
            if process == 0:
                become(request, descriptors[1:])
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            connection.sendall(b"%d\n" % process)
            running[connection] = process


def report(connection: socket.socket, process: int, flags: int) -> bool:
    """Return the return code of a process that has ended."""
    found, status = os.waitpid(process, flags)
    if not found:
        return False
    with contextlib.suppress(OSError):  # no one asks any more
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    connection.close()
    return True


def receive(requests: socket.socket) -> tuple[Any, list[int]]:
    text, ancillary, _, _ = requests.recvmsg(1 << 20, socket.CMSG_SPACE(DESCRIPTORS * 4))
    descriptors = array.array("i")
    for _level, _kind, data in ancillary:
        descriptors.frombytes(data)
    return json.loads(text or b"null"), list(descriptors)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the function until the end: in the network of whoever asked, with its environment, mounts, code and output."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        output, network, mounts = descriptors
        os.setns(network, os.CLONE_NEWNET)
        os.setns(mounts, os.CLONE_NEWNS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 1024)
        os.environ.clear()
        os.environ.update(request["environment"])
        lay_out(request["mounts"])
        os.chdir(request["task"])
        sys.path[:] = [
            request["task"],
            *request["search"],
            *(path for path in sys.path if path.startswith(sys.base_prefix)),
        ]
        from awslambdaric import bootstrap
        from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

        bootstrap.run(request["handler"], LambdaRuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"], False))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    preload(**json.loads(sys.argv[2]))
    serve(socket.socket(fileno=int(sys.argv[1])))
