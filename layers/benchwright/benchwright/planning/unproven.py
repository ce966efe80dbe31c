"""Recorded values that no verified execution has used yet, and the inputs that take them back (docs/decisions/0009).

An input is recorded before it is used. So a wrong value is in the record when its deployment fails, and each later
input that does not mention it would use it again. Until an execution with a value has verified the cluster, each
failure names the value, who gave it, and the input that takes it back.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchwright.models import DEFAULT_CLUSTER, merge_patch
from benchwright.planning.problems import Problem
from benchwright.record import Known, Record

type Path = tuple[str, ...]

WHOLE = ("access", "acceptance", "metrics")  # each has a key without which it is none
TOGETHER = ("auth",)  # keys of one method are refused with those of another, so they are taken back together
REBUILD: Path = ("image", "rebuild")
# Characters: of a value, and of all lines. An execution's cause has 32,768, which the error's own message shares.
LONGEST_VALUE, LONGEST_TEXT = 80, 12_000


class Unproven(NamedTuple):
    """A recorded value that no verified execution has used.

    value: None where the input returned the key to its default. execution: the ARN of who gave the value, empty where
    the record does not say. take_back: the input that returns the key to what the last verified execution used.
    """

    path: Path
    value: Any
    execution: str
    take_back: dict[str, Any]

    @property
    def name(self) -> str:
        """The dotted path, as in docs/input.md."""
        return ".".join(self.path)


def changed(recorded: Mapping[str, Any], proven: Mapping[str, Any]) -> dict[Path, tuple[Any, Any]]:
    """Return the recorded and the proven value of each key that differs, by path; None where there is none.

    A user or an address that is added or removed as a whole is one value, and so is all of `auth`.
    """
    differences: dict[Path, tuple[Any, Any]] = {}
    for key in sorted({*recorded, *proven}):
        now, before = recorded.get(key), proven.get(key)
        pairs: dict[Path, tuple[Any, Any]] = {(): (now, before)}
        # A licence can be a text in one and an object in the other.
        objects = [each for each in (now, before) if each is not None]
        is_whole = key in TOGETHER or (key in WHOLE and len(objects) == 1)
        if not is_whole and all(isinstance(each, dict) for each in objects):
            pairs = _changed_within(now or {}, before or {})
        differences |= {(key, *path): pair for path, pair in pairs.items() if pair[0] != pair[1]}
    return differences


def _changed_within(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[Path, tuple[Any, Any]]:
    """Compare the objects below a key of the input, such as `nodes` or `users`."""
    pairs: dict[Path, tuple[Any, Any]] = {}
    for key in sorted({*now, *before}):
        one, other = now.get(key), before.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            pairs |= {(key, leaf): (one.get(leaf), other.get(leaf)) for leaf in sorted({*one, *other})}
        else:
            pairs[(key,)] = (one, other)
    return pairs


def origins(known: Known, patch: Mapping[str, Any], execution: str) -> dict[str, list[str]]:
    """Return the paths of a record's unproven values by the execution that gave each, after this one gave `patch`."""
    earlier = {name: arn for arn, names in known.origins.items() for name in names}
    found: dict[str, list[str]] = {}
    for path in changed(merge_patch(known.input, patch), known.proven):
        name = ".".join(path)
        found.setdefault(execution if mentions(patch, path) else earlier.get(name, ""), []).append(name)
    return found


def mentions(patch: Any, path: Path) -> bool:
    """Return whether a patch gives the value at a path, a part of it, or what holds it."""
    for key in path:
        if not isinstance(patch, dict):
            return True
        if key not in patch:
            return False
        patch = patch[key]
    return True


def find(record: Record) -> list[Unproven]:
    """Return the unproven values of a cluster."""
    known = record.known
    given_by = {name: arn for arn, names in known.origins.items() for name in names}
    differences = changed(known.input, known.proven)
    values = [
        Unproven(path, value, given_by.get(".".join(path), ""), _nested(path, _back(value, before)))
        for path, (value, before) in differences.items()
    ]
    own_image = ("image", "ami") in differences or known.input.get("image", {}).get("ami")
    if known.proven_generation not in (0, known.generation) and record.verified_images and not own_image:
        # No input returns to an earlier generation; the AMI of the last verified one does.
        back = _nested(("image", "ami"), record.verified_images[0])
        values.append(Unproven(REBUILD, True, known.rebuilt_by, back))
    return values


def repeated(record: Record, given: Mapping[str, Any]) -> list[Problem]:
    """Refuse `only_if_deployed`, which schedules give, where the execution would use unproven values that its own input
    does not give: no one looks when they fail again.
    """
    names = [value.name for value in find(record) if value.path != REBUILD and not mentions(given, value.path)]
    if not names:
        return []
    wrong = f"no verified execution has used {', '.join(names)} yet, which the record has"
    these = "this" if len(names) == 1 else "these"
    give = f"it after a deployment with {{}}, or after one that takes {these} back"
    return [("only_if_deployed", True, wrong, give)]


def take_back_all(values: Sequence[Unproven]) -> dict[str, Any]:
    """Return the input that takes all of the values back."""
    whole: dict[str, Any] = {}
    for value in values:
        whole = _joined(whole, value.take_back)
    return whole


def describe(record: Record, cluster: str, execution: str, message: str) -> list[str]:
    """Write the lines of an explanation, those first whose value the failure's message names; none without values.

    Sign-in comes before the address and the groups that it needs: they can only be taken back after it.

    execution: the one that failed.
    """
    values = find(record)
    about = {} if cluster == DEFAULT_CLUSTER else {"cluster": cluster}
    looked_up = list(_looked_up(record.known, about, message))
    if not values and not looked_up:
        return []
    suspects = sorted(values, key=lambda value: _order(value, message))
    whole = [*looked_up, *(_line(value, about, execution) for value in suspects)]
    lines = list(_within(LONGEST_TEXT, whole))
    if len(lines) < len(whole):
        lines.append(f"- and {len(whole) - len(lines)} more: see `input` in the cluster's item of the table")
    everything = json.dumps({**about, **take_back_all(values)})
    if len(values) > 1 and len(everything) <= LONGEST_TEXT // 4:
        lines.append(f"- To take all of them back: {everything}")
    return ["Unproven values, which are recorded and which no verified execution has used yet:", *lines]


def _order(value: Unproven, message: str) -> tuple[bool, bool, Path]:
    return not _is_named(value.value, message), value.path[0] not in TOGETHER, value.path


def _line(value: Unproven, about: Mapping[str, str], execution: str) -> str:
    if value.execution == execution:
        source = "from the input of this execution"
    else:
        source = f"from the input of an earlier execution{f', {value.execution}' if value.execution else ''}"
    shown = json.dumps(value.value)
    if len(shown) > LONGEST_VALUE:
        shown = f"{shown[: LONGEST_VALUE - 3]}..."
    return f"- {value.name}: {shown}, {source}. To take it back: {json.dumps({**about, **value.take_back})}"


def _looked_up(known: Known, about: Mapping[str, str], message: str) -> Iterator[str]:
    """Describe what was looked up for a cluster that was never verified, as far as the failure's message names it.

    Each first deployment has such values, so a failure that does not name them says nothing of them.
    """
    if known.proven_generation:
        return
    version, other = known.engine_version, known.other_engine_version
    given = known.input.get("database", {}).get("engine_version")
    if other and not given and re.search(rf"(?<![\d.]){re.escape(version)}(?!\.?\d)", message):
        instead = json.dumps({**about, "database": {"engine_version": other}})
        yield (
            f'- database.engine_version: "{version}", which no input gave: the newest of that day, or the '
            f"application's DatabaseEngineVersion. To take another: {instead}"
        )
    if known.parent_image and known.parent_image in message:
        again = json.dumps({**about, "image": {"rebuild": True}})
        yield f'- the parent image: "{known.parent_image}", the newest of that day. To look it up again: {again}'


def _within(longest: int, lines: Sequence[str]) -> Iterator[str]:
    used = 0
    for line in lines:
        used += len(line)
        if used > longest:
            return
        yield line


def _is_named(value: Any, message: str) -> bool:
    if isinstance(value, dict):
        return any(_is_named(each, message) for each in value.values())
    return value is not None and (value if isinstance(value, str) else json.dumps(value)) in message


def _back(value: Any, before: Any) -> Any:
    """Return what turns a value into the one before: of an object in the place of another, its keys that differ."""
    if not (isinstance(value, dict) and isinstance(before, dict)):
        return before
    keys = [key for key in sorted({*value, *before}) if value.get(key) != before.get(key)]
    return {key: _back(value.get(key), before.get(key)) for key in keys}


def _nested(path: Path, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _joined(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Join two patches; unlike `merge_patch`, their nulls stay."""
    joined = dict(one)
    for key, value in other.items():
        inner = joined.get(key)
        joined[key] = _joined(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return joined
