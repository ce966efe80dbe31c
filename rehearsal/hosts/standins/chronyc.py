"""`chronyc [-c] tracking` and `chronyc makestep`: a clock that is near the Amazon Time Sync Service, while chronyd
runs, unless the rehearsal wants it otherwise.
"""

import os
import time

from . import systemd
from .surroundings import FAULTS, clock_offset, complain, fault


def main(arguments: list[str]) -> int:
    """The fields of the report, in the order of chrony 4.5."""
    if not systemd.exists("chrony") or systemd.load("chrony").state != "active":
        return complain("506 Cannot talk to daemon")
    if "makestep" in arguments:
        if fault("clock") and not fault("time-source"):
            os.unlink(f"{FAULTS}/clock")
        print("200 OK")
        return 0
    if "tracking" not in arguments:
        return complain("Unrecognized command")
    now, offset = time.time() + clock_offset(), clock_offset() or 0.000012
    fields = ["A9FEA97B", "169.254.169.123", "4", f"{now:.9f}", f"{offset:.9f}", "0.000004000", "0.000021000"]
    fields += ["-4.123", "0.001", "0.042", "0.000412000", "0.000101000", "16.2", "Normal"]
    if fault("time-source"):
        fields[:5], fields[-1] = ["7F7F0101", "", "0", "0.000000000", "0.000000000"], "Not synchronised"
    print(",".join(fields) if "-c" in arguments else f"Reference ID    : {fields[0]}\nStratum         : {fields[2]}")
    return 0
