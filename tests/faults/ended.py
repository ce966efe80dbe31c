"""How something that a fault befell has ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How an execution ended."""

    status: str
    error: str = ""
    cause: str = ""
    put_off: bool = False
    """Whether it says that something remains for the next deployment: an old image that could not be retired."""
