"""What people read when a node is replaced, or none is although none answers."""

from collections.abc import Sequence
from typing import NamedTuple

from benchwright.healing.decision import SILENT, Decision


class Message(NamedTuple):
    """For the topic; a subject has less than 100 characters of ASCII."""

    subject: str
    text: str


def replaced(cluster: str, decision: Decision, answering: Sequence[str]) -> Message:
    """Say which node is replaced and what that means."""
    instance = decision.instance
    others = [each for each in decision.silent if each != instance]
    why = (
        f"Workbench on the node {instance} of the cluster {cluster} has not answered for {SILENT} minutes, while it "
        f"answers on {', '.join(answering)}. So Auto Scaling replaces the node: it leaves, and a new one comes and "
        "configures itself, which takes about a quarter of an hour."
    )
    lines = [
        why,
        "",
        "Sessions that still ran on the node end. Home directories, shared files and the database are not on it.",
        *([f"These do not answer either, and wait for their turn: {', '.join(others)}."] if others else []),
        "",
        f"Why it did not answer: the logs of the node, {instance}, in the log groups of the application.",
        "To have no node replaced by itself, deploy the application with the parameter HealScheduleState=DISABLED.",
    ]
    return Message(f"Benchwright: {cluster}: node {instance} is replaced", "\n".join(lines))


def none_answers(cluster: str, decision: Decision) -> Message:
    """Say that no node was replaced, although Workbench answers on none."""
    why = (
        f"Workbench does not answer on any node of the cluster {cluster}; for {SILENT} minutes not on "
        f"{', '.join(decision.silent)}. None of them is replaced: what all nodes lack, a new one would lack, too."
    )
    where = (
        "Look at what they share: the database (RDS console, the cluster's writer, Logs & events), the file system, "
        "the licence, the last deployment. A node that is alone is never replaced."
    )
    verify = f'Next: start `verify` with {{"cluster": "{cluster}"}}. It names what is wrong, with a remedy for each.'
    return Message(
        f"Benchwright: {cluster}: no node answers, and none is replaced", "\n".join([why, "", where, verify])
    )
