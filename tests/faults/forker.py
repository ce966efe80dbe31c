"""Execution environments of functions by fork: a process that has imported what the layers bring, and becomes one of
them at each request.

Started as Lambda starts Python (`-S -s`, the layers in PYTHONPATH), so it imports nothing of the tests. Request: one
message of JSON {environment, task, handler, search} with three descriptors: standard output, network namespace, mount
namespace. Answers: a line with the process id, and at its end a line with its return code. Whoever hangs up kills it.
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
from typing import Any

PR_SET_PDEATHSIG = 1
PRELOADED = (
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.tracing",
    "aws_lambda_powertools.utilities.parser",
    "psycopg2",
    "pydantic",
    "simplejson",
    "snapshot_restore_py",
)
"""Whatever the functions import, but for our own code, which reads its environment, and the runtime client, which reads
the address of the Runtime API."""
SERVICES = (
    "acm",
    "autoscaling",
    "cloudformation",
    "dynamodb",
    "ec2",
    "elbv2",
    "imagebuilder",
    "logs",
    "route53",
    "s3",
    "secretsmanager",
    "ssm",
    "stepfunctions",
)


def preload() -> None:
    """Import what every function imports, and let botocore read the models, which all environments then share."""
    import boto3
    import botocore.endpoint

    for name in PRELOADED:
        importlib.import_module(name)

    # A wait of zero: what botocore waits between its tries is real time, which no fault needs.
    vars(botocore.endpoint)["time"] = types.SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})
    boto3.setup_default_session(region_name=os.environ["AWS_REGION"])
    for service in SERVICES:
        create: Any = boto3.client
        create(service, aws_access_key_id="none", aws_secret_access_key="none")
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> None:
    """Answer until standard input ends, which is the end of whoever started this."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[socket.socket, int] = {}
    while True:
        watched: list[Any] = [0, woken, listener, *running]
        ready, _, _ = select.select(watched, [], [])
        if 0 in ready:
            return
        if woken in ready:
            os.read(woken, 4096)
        for connection in [one for one in running if one in ready]:
            os.kill(running[connection], signal.SIGKILL)
            report(connection, running.pop(connection), 0)
        for connection in list(running):
            report(connection, running[connection], os.WNOHANG) and running.pop(connection)
        if listener in ready:
            connection, _ = listener.accept()
            request, descriptors = receive(connection)
            process = os.fork()
            if process == 0:
                listener.close()
                become(request, descriptors)
            for descriptor in descriptors:
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


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    size = 1 << 20
    text, ancillary, _, _ = connection.recvmsg(size, socket.CMSG_SPACE(3 * 4))
    descriptors = array.array("i")
    for _level, _kind, data in ancillary:
        descriptors.frombytes(data)
    while not text.endswith(b"\n"):
        text += connection.recv(size)
    return json.loads(text), list(descriptors)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the function until the end: in the namespaces of whoever asked, with its environment, code and output."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output, network, mounts = descriptors
        os.setns(network, os.CLONE_NEWNET)
        os.setns(mounts, os.CLONE_NEWNS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 1024)
        os.environ.clear()
        os.environ.update(request["environment"])
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
    preload()
    serve(socket.socket(fileno=int(sys.argv[1])))
