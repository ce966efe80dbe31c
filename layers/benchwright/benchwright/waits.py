"""How long the state machine waits before it looks again (docs/decisions/0001-polling.md)."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Waits(NamedTuple):
    """Seconds between two looks of a step: `first`, each later one `more` than the one before, at most `longest`.

    steady: for so many seconds in all each wait is the first one.
    """

    first: int
    more: int
    longest: int
    steady: int = 0

    def after(self, previous: int, waited: int = 0) -> int:
        """Return the wait after a look.

        previous: the wait before it; 0 for the first, or after something was begun. waited: all waits before it.
        """
        if not previous or waited < self.steady:
            return self.first
        return min(previous + self.more, self.longest)


# How long Run Command takes to give a command that changes nothing to a node, and to show that it has ended.
COMMAND_SECONDS: Final = 6
# By the state that waits. A change set takes six seconds or more, as the rehearsal has it from public logs. The longest
# ones are what may be lost at the end of what takes long; together they keep the history of an execution short enough
# (tests/workflow/test_graph.py).
WAITS: Final[Mapping[str, Waits]] = {
    "Deploy foundation": Waits(7, 5, 40),
    "Request certificate": Waits(5, 5, 30),
    "Deploy access": Waits(7, 2, 20),
    "Deploy nodes": Waits(7, 1, 24),
    "Configure nodes": Waits(5, 1, 15, steady=180),  # nodes boot and are configured in three minutes, as a rule
    "Remove access": Waits(5, 2, 20),
    "Retire certificate": Waits(10, 5, 30),
    "Verify cluster": Waits(5, 3, 40),
    "Protect stacks": Waits(7, 5, 20),
    "Remove nodes": Waits(5, 5, 30),
    "Remove images": Waits(5, 5, 20),
    "Take snapshot": Waits(5, 5, 30),
    "Delete data": Waits(5, 5, 30),
    "Delete configuration": Waits(5, 5, 30),
    "Preview stacks": Waits(7, 2, 11),
}
# While a foundation is created, which takes as long as its database. Until there is an image nothing waits for it.
CREATION_BESIDE_BUILD: Final = Waits(7, 20, 75)
CREATION: Final = Waits(7, 1, 8)
# A build of an image takes more than 15 minutes as a rule; from then on a hundredth of what this step has waited so far
# is waited, so that slow builds need few looks. The distribution to one Region takes only some seconds, to several
# Regions minutes.
BUILD_SECONDS: Final = 900
WHILE_BUILDING: Final = 90
WHILE_DISTRIBUTING: Final = Waits(5, 1, 30)
LAST_STATES: Final = frozenset({"DISTRIBUTING", "INTEGRATING"})


def wait_for_build(state: str, waited: int, before: str = "", previous: int = 0) -> int:
    """Return how many seconds to wait before the next look at a build.

    waited: the seconds of all waits before it. before, previous: the build's state at the look before, and the wait
    between the two.
    """
    if state in LAST_STATES:
        return WHILE_DISTRIBUTING.after(previous if before in LAST_STATES else 0)
    return WHILE_BUILDING if waited < BUILD_SECONDS else waited // 100
