"""`snap`: `list` knows one snap, the SSM agent, which comes with Ubuntu's image; `refresh --hold` and `--unhold`."""

import re

from .surroundings import complain

TABLE = """Name              Version       Rev    Tracking         Publisher   Notes
amazon-ssm-agent  3.3.3050.0    11797  latest/stable/…  aws✓        classic
"""


def main(arguments: list[str]) -> int:
    """Nothing is refreshed here, so a hold changes nothing but what is said."""
    match arguments[1:]:
        case ["list"] | ["list", "amazon-ssm-agent"]:
            print(TABLE, end="")
        case ["refresh", "--unhold"]:
            print("Removed auto-refresh hold of all snaps")
        case ["refresh", hold] if re.fullmatch(r"--hold(=\d+[hm]|=forever)?", hold):
            print("Auto-refresh of all snaps held")
        case ["list", *_]:
            return complain("error: no matching snaps installed")
        case _:
            return complain(f"error: this stand-in does not know: {' '.join(arguments[1:])}")
    return 0
