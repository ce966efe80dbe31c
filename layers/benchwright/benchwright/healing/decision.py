"""Which node is replaced because its Workbench does not answer: one at a time, and never all (docs/decisions/0021).

Each node asks its own Workbench every minute, and reports 1 for an answer and 0 for none; before it has been
configured, it reports nothing. What is not reported counts neither way.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from benchwright.nodes.auto_scaling import Group

SILENT = 15  # minutes without an answer after which a node is replaced
MOST_MISSING = 3  # of these minutes may have no report
BETWEEN = 5  # minutes from one decision to the next: template.yaml, HealNodes
NEEDED = ("Launch", "Terminate", "ReplaceUnhealthy", "HealthCheck")  # processes of Auto Scaling

# By instance what it reported in each minute, the latest last; None for a minute without a report.
type Answers = Mapping[str, Sequence[float | None]]


class Decision(NamedTuple):
    """What to do about a cluster. silent: its nodes that have not answered for so long. instance: the one to replace.

    report: of `none answers`, whether this is the first decision that finds it, so that people read it once.
    """

    action: Literal["nothing", "wait", "replace", "none answers"]
    silent: tuple[str, ...] = ()
    why: str = ""
    instance: str = ""
    report: bool = False


NOTHING = Decision("nothing")


def find_silent(answers: Answers) -> tuple[str, ...]:
    """Return the nodes that have not answered within the last minutes."""
    return tuple(instance for instance, reported in sorted(answers.items()) if _is_silent(reported[-SILENT:]))


def decide(group: Group, answers: Answers, *, holder: str, refreshes: bool) -> Decision:
    """Decide about a cluster in which nodes are silent.

    holder: the execution that runs on the cluster. refreshes: whether an instance refresh runs.
    """
    silent = find_silent(answers)
    if not silent:
        return NOTHING
    if holder:
        return Decision("wait", silent, f"the execution {holder} runs")
    if refreshes:
        return Decision("wait", silent, "an instance refresh runs")
    if suspended := [process for process in NEEDED if process in group.suspended]:
        return Decision("wait", silent, f"someone suspended {', '.join(suspended)} of the group {group.name}")
    if moving := [f"{each.instance} {each.state}" for each in group.nodes if each.state != "InService"]:
        return Decision("wait", silent, f"another node comes or leaves: {', '.join(moving)}")
    if replaced := [each.instance for each in group.nodes if not each.healthy]:
        return Decision("wait", silent, f"another node is about to be replaced: {', '.join(replaced)}")
    if len(group.nodes) != group.desired:
        return Decision("wait", silent, f"the group has {len(group.nodes)} of {group.desired} nodes")
    if not _any_answers(answers):
        earlier = {instance: reported[:-BETWEEN] for instance, reported in answers.items()}
        is_new = _any_answers(earlier) or not find_silent(earlier)
        return Decision("none answers", silent, "no node answers", report=is_new)
    return Decision("replace", silent, instance=silent[0])


def _is_silent(reported: Sequence[float | None]) -> bool:
    known = [value for value in reported if value is not None]
    return len(known) >= SILENT - MOST_MISSING and not any(known)


def _any_answers(answers: Answers) -> bool:
    """Whether a node answered lately: a cluster of which none does lacks something that a new node would lack, too."""
    return any(value for reported in answers.values() for value in reported[-BETWEEN:] if value is not None)
