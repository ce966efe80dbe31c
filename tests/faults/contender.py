"""Some of the many that want the lock of a cluster: the product's own code, instructed line by line.

Each argument is the descriptor of a socket, over which a process of its own has its conversation; they import the code
and make its clients once. Each line is `take|release CLUSTER EXECUTION`; the answer is one line: the name of the error,
or what was returned.
"""

import os
import socket
import sys

from benchwright import record
from benchwright.aws import client
from benchwright.errors import BenchwrightError


def contend(descriptor: int) -> None:
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rw") as conversation:
        print("ready", file=conversation, flush=True)
        for line in conversation:
            action, cluster, execution = line.split()
            try:
                answer = (record.take_lock if action == "take" else record.release_lock)(cluster, execution)
            except BenchwrightError as error:
                answer = type(error).__name__
            print(repr(answer), file=conversation, flush=True)


def main() -> None:
    client("dynamodb"), client("stepfunctions")
    processes = []
    for descriptor in sys.argv[1:]:
        process = os.fork()
        if not process:
            contend(int(descriptor))
            return
        processes.append(process)
    ended = [os.waitpid(process, 0)[1] for process in processes]
    sys.exit(any(ended))


if __name__ == "__main__":
    main()
