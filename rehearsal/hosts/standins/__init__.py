"""Commands of a node that a rehearsal cannot or must not run for real.

They run inside the hosts of the rehearsal, by the interpreter of the virtual environment but without its site-packages
at start, and import one another relatively: inside a host this package is called `standins`. A script of a node runs
dozens of them, so what is slow to import is imported where it is used.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def run(module: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Run a stand-in as the program that it is, and end without taking the interpreter apart."""
    try:
        code = main(sys.argv)
    except Exception as error:
        from . import crashes

        crashes.leave(module, error)
        raise
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)
