"""`chronyc [-c] tracking`: a clock that is near the Amazon Time Sync Service, while chronyd runs."""

import time

from . import systemd
from .surroundings import complain


def main(arguments: list[str]) -> int:
    """The fields of the report, in the order of chrony 4.5."""
    if not systemd.exists("chrony") or systemd.load("chrony").state != "active":
        return complain("506 Cannot talk to daemon")
    if "tracking" not in arguments:
        return complain("Unrecognized command")
    fields = ["A9FEA97B", "169.254.169.123", "4", f"{time.time():.9f}", "0.000012000", "0.000004000", "0.000021000"]
    fields += ["-4.123", "0.001", "0.042", "0.000412000", "0.000101000", "16.2", "Normal"]
    print(",".join(fields) if "-c" in arguments else f"Reference ID    : {fields[0]}\nStratum         : {fields[2]}")
    return 0
