"""What to do while the stack of the nodes waits for nodes that cannot be launched.

CloudFormation waits an hour for them, and gives no reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from benchwright.nodes import refusals
from benchwright.nodes.auto_scaling import Group
from benchwright.nodes.launches import Activity, failed_launches, raise_if_lasting
from benchwright.stacks.decision import DELETION, Action, Stack

# How an operation that is in progress is given up: CloudFormation allows it in these states alone.
GIVEN_UP: Mapping[str, Action] = {"CREATE_IN_PROGRESS": "delete stack", "UPDATE_IN_PROGRESS": "cancel update"}


def next_action_while_waiting(
    stack: Stack, is_desired: bool, begun: str, group: str, since: datetime | None
) -> tuple[Action, Sequence[Activity]]:
    """Decide whether to wait for the stack, and list the launches that fail meanwhile.

    is_desired: whether the stack has the parameters that this execution wants. begun: as in decision.next_action.
    group: the name of the group of the nodes. since: failed launches before it do not count. If another execution began
    the change with other parameters, this execution may bring the remedy: what this one wants was not tried yet. A
    first creation is then deleted, which CloudFormation allows while it is in progress: the nodes hold no data. An
    update is cancelled, which returns the stack to what it was before. Raises NodesNotReady where what this execution
    wants cannot be launched.
    """
    is_ours = begun not in ("", DELETION) and stack.status.endswith("_IN_PROGRESS")
    if is_ours or is_desired:
        failed = failed_launches(group, since)
        raise_if_lasting(group, failed)
        return "wait", failed
    failed = failed_launches(group, stack.changed_at)
    if failed and not begun:
        return GIVEN_UP.get(stack.status, "wait"), failed
    return "wait", failed


def another_try(group: Group, since: datetime | None, failed: Sequence[Activity], *, log_group: str) -> str:
    """Have another node come in the place of one that cannot apply its configuration; return what is waited for, or an
    empty text. since, failed: as above. Raises NodesNotReady where the other one cannot, either.
    """
    if (found := refusals.refusal(log_group, group.nodes)) is None:
        return ""
    return refusals.another_try(group, found, since, [each for each in failed if since and each.started >= since])
