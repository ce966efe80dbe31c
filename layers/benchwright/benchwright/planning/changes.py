"""What an execution changes of a cluster, for the people who read that it succeeded."""

from __future__ import annotations

import json
from typing import Any

from benchwright.models import Plan
from benchwright.planning import unproven
from benchwright.planning.plan import flat
from benchwright.record import Known, Record

MOST_LINES = 40
LONGEST_VALUE = 80  # characters
NEW = "a new cluster"


def changes(record: Record, plan: Plan, known: Known) -> list[str]:
    """Return a line for each value that differs from what the cluster was last verified with, by its dotted path.

    record: as it was before this execution; plan and known: what this execution makes true and records. Values of keys
    that no input gave count, too: a parameter of the stack may have changed. Of a secret, its version is compared.
    """
    if not record.verified:
        return [NEW]
    now = _values(plan)
    before = _values(record.plan) if record.plan else {}
    lines = {
        path: _line(path, now.get(path), before.get(path))
        for path in {*now, *before}
        if now.get(path) != before.get(path)
    }
    # What earlier executions recorded that failed: their plan is not what the cluster was verified with.
    for steps, (value, proven) in unproven.changed(known.input, known.proven).items():
        path = ".".join(steps)
        if not any(each == path or each.startswith(f"{path}.") for each in lines):
            lines[path] = _line(path, value, proven)
    ordered = [lines[path] for path in sorted(lines)]
    rest = len(ordered) - MOST_LINES
    return ordered if rest <= 0 else [*ordered[:MOST_LINES], f"and {rest} more: see the plan of the execution's output"]


def _values(plan: Plan) -> dict[str, Any]:
    """Return what a plan says, by dotted paths as in an input; of secrets their versions."""
    versions = {f"the password of {each.name}": each.secret_version for each in plan.accounts}
    if plan.license:
        versions["the secret of the licence"] = plan.license.secret_version
    versions["the secret of sign-in"] = plan.sign_in.secret_version
    versions["the SCIM token"] = plan.sign_in.token_version
    versions |= {f"the secret of {name}": secret.version for name, secret in plan.file_secrets.items()}
    values = {
        **flat(plan.wanted.model_dump(mode="json")),
        "the build of the image": plan.image.generation,
        "the version of Aurora": plan.engine_version,
        **{name: _Version(version) for name, version in versions.items()},
    }
    return {path: value for path, value in values.items() if value not in (None, "", {})}


class _Version(str):
    """The version of a secret: it is compared, and not shown."""


def _line(path: str, value: Any, before: Any) -> str:
    if isinstance(value, _Version) and isinstance(before, _Version):
        return f"{path}: a new version"
    return f"{path}: {_shown(value)} (was {_shown(before)})"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, _Version):
        return "given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
