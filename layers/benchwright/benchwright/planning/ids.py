"""Ids of users and groups: each is given once, for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from benchwright.models import Wanted
from benchwright.planning.problems import Problem, refusal
from benchwright.planning.sign_in import is_provisioned
from benchwright.record import Known
from benchwright.values import FIRST_ALLOCATED_ID, FIRST_PROVISIONED_ID, LAST_ALLOCATED_ID, LAST_PROVISIONED_ID

type Pair = tuple[int, int]


def allocate_ids(wanted: Wanted, known: Known) -> tuple[dict[str, Pair], dict[str, int]]:
    """Give every user one uid and gid, and every group one gid, for ever.

    An id that a verified execution has used is never used again, not even after its user or group was removed: files
    keep their owner's number. One that was only recorded gives way to an id that an input gives. Raises InvalidInput
    when a given id contradicts another.
    """
    problems: list[Problem] = []
    gids = _ids_of_groups(wanted, known, problems)
    ids = _ids_of_users(wanted, known, gids, problems)
    if wanted.auth.provisions:
        problems += _ids_of_the_past(wanted.auth.provisioning, wanted, ids, gids)
    if problems:
        raise refusal(problems)
    return ids, gids


def _ids_of_groups(wanted: Wanted, known: Known, problems: list[Problem]) -> dict[str, int]:
    gids = {name: gid for name, gid in known.groups.items() if name in known.proven_groups}
    unproven = {name: gid for name, gid in known.groups.items() if name not in gids}
    owners = {known.accounts[name][1]: name for name in known.proven_accounts if name in known.accounts}
    given_to_users = {each for user in wanted.users.values() for each in (user.uid, user.gid) if each is not None}
    for name, group in sorted(wanted.groups.items()):
        path, gid = f"groups.{name}.gid", group.gid
        if name in known.proven_accounts:
            wrong = f"the user {name} of an earlier input has a group of this name"
            problems.append((f"groups.{name}", name, wrong, "another name"))
        if name in gids:
            if gid not in (None, gids[name]):
                wrong = f"the group has gid {gids[name]} since an earlier execution"
                problems.append((path, gid, wrong, "this, or leave it out"))
            continue
        before = None if _gives(known.input, "groups", name, "gid") else unproven.get(name)
        if gid is None:
            gid = None if before in {*gids.values(), *owners, *given_to_users} else before
        elif owner := next((f"the group {other}" for other in gids if gids[other] == gid), owners.get(gid)):
            problems.append((path, gid, f"the gid belongs to {owner}", "another gid, or leave it out"))
        if gid is not None:
            gids[name] = gid
    taken = {each for pair in known.accounts.values() for each in pair} | given_to_users
    taken |= {*gids.values(), *unproven.values()}
    free = _free(taken)
    for name in sorted(set(wanted.groups) - set(gids)):
        if (following := next(free, None)) is None:
            problems.append((f"groups.{name}", name, "no free gid is left", "an explicit gid"))
            break
        gids[name] = following
    for name, gid in unproven.items():  # of groups that were removed: remembered unless another has it now
        if name not in gids and gid not in gids.values():
            gids[name] = gid
    return gids


def _ids_of_users(wanted: Wanted, known: Known, groups: Mapping[str, int], problems: list[Problem]) -> dict[str, Pair]:
    of_groups = {gid: name for name, gid in groups.items()}
    ids = {name: pair for name, pair in known.accounts.items() if name in known.proven_accounts}
    unproven_ids = {name: pair for name, pair in known.accounts.items() if name not in ids}
    allocated = {
        name: pair
        for name, pair in unproven_ids.items()
        if not (_gives(known.input, "users", name, "uid") or _gives(known.input, "users", name, "gid"))
        and pair[1] not in of_groups
    }
    undecided = [name for name, user in wanted.users.items() if user.uid is None and user.gid is None]
    ids |= {name: allocated[name] for name in undecided if name in allocated}
    owners = {kind: {pair[place]: name for name, pair in ids.items()} for place, kind in enumerate(("uid", "gid"))}
    owners["gid"] |= {gid: f"the group {name}" for gid, name in of_groups.items()}
    for name, user in sorted(wanted.users.items()):
        if name in known.proven_groups:
            wrong = f"an earlier input had a group {name}, and a user has a group of the same name"
            problems.append((f"users.{name}", name, wrong, "another name"))
        if name in ids:
            uid, gid = ids[name]
            problems += [
                (
                    f"users.{name}.{kind}",
                    given,
                    f"the user has uid {uid} and gid {gid} since an earlier execution",
                    "these, or leave them out",
                )
                for kind, given, number in (("uid", user.uid, uid), ("gid", user.gid, gid))
                if given not in (None, number)
            ]
            continue
        before = allocated.get(name, (None, None)) if user.uid is None else (None, None)
        own = {"uid": user.uid if user.uid is not None else before[0]}
        own["gid"] = next((each for each in (user.gid, before[1], own["uid"]) if each is not None), None)
        for kind, number in own.items():
            if number is not None and (owner := owners[kind].get(number)):
                remedy = f"another {kind}, or leave it out"
                problems.append((f"users.{name}.{kind}", number, f"the {kind} belongs to {owner}", remedy))
                break
        if own["uid"] is not None and own["gid"] is not None:
            ids[name] = (own["uid"], own["gid"])
            owners["uid"].setdefault(own["uid"], name)
            owners["gid"].setdefault(own["gid"], name)
    taken = {number for pair in (*ids.values(), *unproven_ids.values()) for number in pair} | {*groups.values()}
    taken |= {user.gid for user in wanted.users.values() if user.gid is not None}
    free = _free(taken)
    for name, user in sorted(wanted.users.items()):
        if name in ids:
            continue
        if (following := next(free, None)) is None:
            problems.append((f"users.{name}", name, "no free uid is left", "an explicit uid"))
            break
        ids[name] = (following, user.gid if user.gid is not None else following)
    uids, gids = {uid for uid, _ in ids.values()}, {gid for _, gid in ids.values()} | set(of_groups)
    for name, (uid, gid) in unproven_ids.items():  # of users who were removed: remembered unless another has them now
        if name not in ids and uid not in uids and gid not in gids:
            ids[name] = (uid, gid)
            uids.add(uid)
            gids.add(gid)
    return ids


def _ids_of_the_past(
    provisioning: str, wanted: Wanted, ids: Mapping[str, Pair], gids: Mapping[str, int]
) -> Iterator[Problem]:
    """Find ids of users and groups that were removed and that Workbench would give to others, with their files."""
    numbers: dict[str, tuple[int, ...]] = {
        f"the user {name}": pair for name, pair in ids.items() if name not in wanted.users
    }
    numbers |= {f"the group {name}": (gid,) for name, gid in gids.items() if name not in wanted.groups}
    for owner, pair in sorted(numbers.items()):
        if taken := [number for number in pair if is_provisioned(number)]:
            wrong = (
                f"{owner} of an earlier input has the id {taken[0]}, and Workbench gives those from "
                f"{FIRST_PROVISIONED_ID} to {LAST_PROVISIONED_ID} to others, who would get the files"
            )
            yield "auth.provisioning", provisioning, wrong, '"none", with accounts in `users`'


def _gives(recorded: Mapping[str, Any], kind: str, name: str, key: str) -> bool:
    """Return whether a recorded input gives this id."""
    part = recorded.get(kind, {}).get(name)
    return isinstance(part, dict) and part.get(key) is not None


def _free(taken: Collection[int]) -> Iterator[int]:
    """Return the ids that may be allocated, each once."""
    return (number for number in range(FIRST_ALLOCATED_ID, LAST_ALLOCATED_ID + 1) if number not in taken)
