"""The input of the state machine `destroy`: what is to go, and every problem of it at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchwright.errors import InvalidInput
from benchwright.planning.problems import Problem, refusal, without_texts
from benchwright.planning.similar_names import meant
from benchwright.record import Record
from benchwright.stacks.decision import Stack
from benchwright.values import CLUSTER_NAME, CLUSTER_NAME_IN_WORDS, LONGEST_CLUSTER

KEYS = ("cluster", "delete_data", "final_snapshot")
NAME = "the name of the cluster to destroy"


@dataclass(frozen=True)
class Request:
    """What an execution destroys. final_snapshot: whether one of the database is kept where the data goes."""

    cluster: str
    deletes_data: bool
    final_snapshot: bool


def read(raw: Any) -> tuple[Request, list[Problem]]:
    """Take an input apart; the cluster's name is empty where it cannot be read."""
    if not isinstance(raw, dict):
        raise InvalidInput('The input must be a JSON object such as {"cluster": "workbench"}.')
    given = {key: value for key, value in raw.items() if key != "Comment"}  # the console fills in a Comment
    problems: list[Problem] = [
        (key, without_texts(value), f"an unknown key{meant(key, KEYS)}", f"one of {', '.join(KEYS)}")
        for key, value in given.items()
        if key not in KEYS
    ]
    cluster, delete_data, snapshot = given.get("cluster"), given.get("delete_data"), given.get("final_snapshot")
    if not (isinstance(cluster, str) and len(cluster) <= LONGEST_CLUSTER and re.fullmatch(CLUSTER_NAME, cluster)):
        wrong, give = ("not a cluster name", CLUSTER_NAME_IN_WORDS) if "cluster" in given else ("it is missing", NAME)
        problems.append(("cluster", cluster, wrong, give))
        cluster = ""
    if delete_data is not None and (delete_data != cluster or not cluster):
        wrong = "it does not repeat the name in cluster"
        give = f'"{cluster}" to delete database and files of that cluster, or leave it out to keep them'
        problems.append(("delete_data", delete_data, wrong, give if cluster else "the name of the cluster once more"))
    if "final_snapshot" in given and type(snapshot) is not bool:
        problems.append(("final_snapshot", snapshot, "it is neither true nor false", "true or false"))
    elif "final_snapshot" in given and delete_data is None:
        wrong = "without delete_data the database stays, and no snapshot of it is taken"
        problems.append(("final_snapshot", snapshot, wrong, "delete_data as well, or leave it out"))
    return Request(cluster, delete_data is not None, snapshot is not False), problems


def check(
    request: Request, problems: list[Problem], record: Record, stacks: Mapping[str, Stack | None], application: str
) -> None:
    """Raise InvalidInput for all that is wrong with an input, or with the cluster that it names.

    stacks: those that have the names of the cluster's, by name.
    """
    found = {name: stack for name, stack in stacks.items() if stack}
    for name, stack in found.items():
        if not _is_ours(stack, application, request.cluster):
            wrong = f"the stack {name} is not of this cluster of {application}"
            problems.append(("cluster", request.cluster, wrong, "the name of a cluster of this application"))
    if request.cluster and not found and record == Record():
        wrong = "there is no such cluster: it has neither a record nor a stack"
        problems.append(("cluster", request.cluster, wrong, "the name of a cluster that was deployed"))
    if problems:
        raise refusal(problems)


def _is_ours(stack: Stack, application: str, cluster: str) -> bool:
    """Return whether a stack, or each change set that could create it, is of this cluster."""
    known = stack.reviewed if stack.status == "REVIEW_IN_PROGRESS" else (stack.parameters,)
    return all((each.get("Application"), each.get("Cluster")) == (application, cluster) for each in known)
