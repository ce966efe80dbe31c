"""`make check-input FILE=…`: what the first state says of an input, without an account, a rehearsal or root.

It reads the input with the code of that state, as for a cluster that was never deployed, with the defaults of
template.yaml.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchwright.errors import InvalidInput
from benchwright.planning import files
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.problems import Problem
from benchwright.planning.read_input import Reading, read_input, warn
from benchwright.record import Known
from benchwright.secrets import Secret
from tests.documentation.input_reference import defaults

EXIT_MISUSE = 2
NOT_CHECKED = (
    "Only an execution can check what needs the account: that the secrets, the AMI, the hosted zone and the "
    "certificate that the input names exist, that the instance type exists and is as large as `limits` need it, the "
    "network, quotas, and how the input goes with what earlier executions recorded."
)


class JsonObject(dict[str, Any]):
    """An object of the file. repeated: the keys that it has more than once, of which a reader of JSON takes the last.

    Step Functions reads the input of an execution itself, so only a file can be checked for them.
    """

    repeated: list[str]


def main(arguments: list[str]) -> int:
    """Print what is wrong with the input of a file; 0 where nothing is, 1 where the state would refuse it, 2 where it
    cannot be read.
    """
    parser = argparse.ArgumentParser(prog="make check-input FILE=events/production.json", description=__doc__)
    parser.add_argument("file", type=Path, help="an input of `deploy`, as JSON")
    parser.add_argument("--name", default="benchwright", help="name of the stack of the application (benchwright)")
    wanted = parser.parse_args(arguments)
    try:
        raw = parsed(wanted.file.read_text(encoding="utf-8"))
        refused, warnings = check(raw, wanted.name, given_twice(raw))
    except (OSError, UnicodeDecodeError) as error:
        return _unreadable(f"{wanted.file} cannot be read: {getattr(error, 'strerror', error)}.")
    except (ValueError, RecursionError) as error:
        return _unreadable(f"{wanted.file} is not JSON: {error}.")
    if refused:
        print(str(refused).replace("; nothing was changed.", ":", 1))  # what an execution says of itself
    for warning in warnings:
        print(f"Warning: {warning}")
    if not refused:
        print(f"The first state would accept {wanted.file}. {NOT_CHECKED}")
    return 1 if refused else 0


def _unreadable(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return EXIT_MISUSE


def check(
    raw: Any, application: str = "benchwright", more: Iterable[Problem] = ()
) -> tuple[InvalidInput | None, list[str]]:
    """Return the refusal of an input, if it would be refused also for `more`, and the warnings about it."""
    try:
        reading = read_input(raw, {}, defaults(), application)
    except InvalidInput as error:  # it is no object
        return error, []
    return _refusal(reading, more), _warnings(reading, raw, application)


def parsed(text: str) -> Any:
    """Read JSON as Step Functions does, which knows no NaN; raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"it has {constant}")

    return json.loads(text, object_pairs_hook=_object, parse_constant=refuse)


def given_twice(value: Any, path: str = "") -> Iterator[Problem]:
    """Find the keys that an object of the file has more than once."""
    if isinstance(value, list):
        for item in value:
            yield from given_twice(item, path)
    if isinstance(value, JsonObject):
        for key in value.repeated:
            yield f"{path}{key}", value[key], "the file gives this key more than once in one object", "it once"
        for key, item in value.items():
            yield from given_twice(item, f"{path}{key}.")


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made, names = JsonObject(pairs), [name for name, _ in pairs]
    made.repeated = sorted({name for name in names if names.count(name) > 1}) if len(made) < len(names) else []
    return made


def _refusal(reading: Reading, more: Iterable[Problem]) -> InvalidInput | None:
    try:
        request, wanted = reading.whole(more)
        secrets = {name: Secret(f"arn:{name}", "1") for name in reading.named.secrets.values()}
        looked = LookupResult(secrets, "ami-parent")
        make_plan(request, wanted, Known(), looked, defaults=defaults(), execution="check-input")
    except InvalidInput as error:
        return error
    return None


def _warnings(reading: Reading, raw: dict[str, Any], application: str) -> list[str]:
    """Return the warnings about an input, also if some of it cannot be read: then about the rest."""
    left, taken = raw, False
    while reading.wanted is None:
        wrong = [path for path, *_ in reading.problems]
        taken = taken or any(path.startswith(("users", "groups")) for path in wrong)
        before, left = left, _without(left, wrong)
        if left == before:
            return []
        reading = read_input(left, {}, defaults(), application)
    # Of users and groups that were left out, what names them would be said to name no one.
    return files.warn(reading.wanted) if taken else warn(reading.wanted)


def _without(value: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """Return an object without what stands at some dotted paths; names have dots, too."""
    left = {}
    for key, item in value.items():
        below = [path.removeprefix(f"{key}.") for path in paths if path.startswith(f"{key}.")]
        if key in paths or (below and not isinstance(item, dict)):
            continue
        left[key] = _without(item, below) if below else item
    return left


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
