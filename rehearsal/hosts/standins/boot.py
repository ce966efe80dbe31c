"""What a machine does at boot after the kernel: sets what sysctl.d says, makes its swap space, mounts what fstab says,
and starts the enabled units in their order.
"""

import sys

from . import swapon, sysctl, systemd
from .systemd import UnitError


def main(arguments: list[str]) -> int:
    """With `--again` what runs is stopped first.

    A mount that is not `nofail`, and a unit that does not start, are printed; only the first prevents the boot.
    """
    if "--again" in arguments:
        for name in reversed(systemd.in_order(systemd.recorded())):
            systemd.stop(name)
    sysctl.apply()
    swapon.make()
    for _source, point, _kind, options, *_rest in systemd.fstab():
        if "noauto" in options.split(","):
            continue
        try:
            systemd.start(point)
        except UnitError as error:
            print(error, file=sys.stderr)
            if "nofail" not in options.split(","):
                return 1
    for name in systemd.in_order(systemd.wanted_at_boot()):
        try:
            systemd.start(name)
        except UnitError as error:
            print(error, file=sys.stderr)
    return 0
