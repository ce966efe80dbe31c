"""Programs that take an account through a life on the quick rehearsal, one after the other: the application is
installed once, and each of them has a fork of it.

Prints a line of JSON for each: its name, its exit code, what it printed, and what stood on its standard error.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rehearsal import application, launcher
from tests.deployment import examples
from tests.faults import account, destructions, dry_runs, many_nodes
from tests.faults.account import Account

type Program = Callable[[Account], int]

PROGRAMS: Final[Mapping[str, Program]] = {
    "dry_runs": dry_runs.compare,
    "destructions": destructions.check,
    "many_nodes": many_nodes.replace,
    "examples": examples.deploy_all,
}


def main() -> int:
    application.build()
    return launcher.isolated(live)


def live(scratch: Path) -> int:
    installed = account.install(scratch, full=False)
    for name, program in PROGRAMS.items():
        with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
            process = os.fork()
            if process == 0:
                _become(program, installed, printed.fileno(), errors.fileno())
            _, status = os.waitpid(process, 0)
            printed.seek(0)
            errors.seek(0)
            ended = {"program": name, "code": os.waitstatus_to_exitcode(status)}
            print(json.dumps({**ended, "printed": printed.read(), "errors": errors.read()}), flush=True)
    return 0


def _become(program: Program, installed: Account, output: int, errors: int) -> None:
    """In the fork: the program, and the end of the fork."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(errors, 2)
        installed.wake()
        code = program(installed)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
