"""`modinfo -F FIELD MODULE`, of the newest kernel that is installed, which a host counts as the one that it runs, or of
another with `-k KERNEL`.

A module of the stand-ins' packages is a text of `field=value` lines.
"""

import re
from pathlib import Path

from .surroundings import complain

MODULES = Path("/usr/lib/modules")


def main(arguments: list[str]) -> int:
    """Nothing of a module but its fields is needed."""
    options = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    *_, module = arguments
    kernels = sorted(MODULES.iterdir(), key=lambda kernel: [int(each) for each in re.findall(r"\d+", kernel.name)])
    kernel = options.get("-k") or (kernels[-1].name if kernels else "")
    found = sorted((MODULES / kernel).rglob(f"{module}.ko")) if kernel else []
    if not found:
        return complain(f"modinfo: ERROR: Module {module} not found.")
    fields = dict(line.split("=", 1) for line in found[0].read_text().splitlines())
    print(fields[options["-F"]])
    return 0
