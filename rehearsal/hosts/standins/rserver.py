"""`rserver`, the daemon of Posit Workbench: checks its configuration, joins the cluster, then answers on its port.

It leaves its starter only when it is a member (or knows why not), so that `systemctl start` reports the truth. The
states and refusals are those of facts that were recorded from real systems; what the daemon does for sessions is not
here.
"""

import getopt
import os
import sys
from pathlib import Path

from .workbench import configuration, log
from .workbench.state import ConfigurationError, Refused


def main(arguments: list[str]) -> int:
    """`rserver` becomes a daemon; `--check-config` only looks at the file that `--config-file` names."""
    options = ["test-config", *(["check-config"] if configuration.checks_all() else [])]
    try:
        given = dict(getopt.getopt(arguments[1:], "", ["help", "config-file=", *options])[0])
    except getopt.GetoptError as error:
        print(f"unrecognised option '--{error.opt}' on command line", file=sys.stderr)
        return 1
    if "--help" in given:
        print("".join(f"  --{name} \n" for name in ["help", *options, "config-file arg"]), end="")
        return 0
    if {"--check-config", "--test-config"} & given.keys():
        path = Path(given.get("--config-file", configuration.RSERVER_CONF))
        return configuration.check(path, deprecated="--test-config" in given)
    from .workbench import http_server  # which costs more than all that options are answered with
    from .workbench.server import Server

    try:
        server = Server(configuration.read())
        server.join()
        listening = http_server.listen(server)
    except (ConfigurationError, Refused, OSError) as error:
        log.write("ERROR", str(error))
        print(f"ERROR {error}", file=sys.stderr)
        return 1
    if os.fork():
        return 0
    os.setsid()
    server.serve(listening)
    return 0
