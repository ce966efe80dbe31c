"""`snap list`: the SSM agent comes with Ubuntu's image."""

from .surroundings import complain

TABLE = """Name              Version       Rev    Tracking         Publisher   Notes
amazon-ssm-agent  3.3.3050.0    11797  latest/stable/…  aws✓        classic
"""


def main(arguments: list[str]) -> int:
    """Knows one snap."""
    if arguments[1:] not in (["list"], ["list", "amazon-ssm-agent"]):
        return complain("error: no matching snaps installed")
    print(TABLE, end="")
    return 0
