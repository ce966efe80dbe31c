"""`make audit`: asks public databases for known vulnerabilities of everything that is pinned.

pip-audit asks OSV about every requirements file, npm its registry about tests/package-lock.json. Silence of a database
is never taken for a clean bill: what was not asked about, or not answered, ends with a sentence and exit code 2.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.supply_chain.requirements import FILES, ROOT, pins

PIP_AUDIT = ROOT / ".venv-audit" / "bin" / "pip-audit"
NPM = ROOT / ".tools" / "bin" / "npm"
LOCK = ROOT / "tests" / "package-lock.json"
SECONDS = 300
"""For one file. Both programs have a limit of their own for each question, too."""

OSV = "https://api.osv.dev/v1/query"
CLEAN, VULNERABLE, NOT_AUDITED = range(3)


class NotAuditedError(Exception):
    """A database did not answer, or not about everything; the message says of what and why."""


def main() -> int:
    found: list[str] = []
    audits: list[tuple[Path, Callable[[Path], list[str]]]] = [(path, audit_python) for path in FILES]
    try:
        for path, audit in (*audits, (LOCK, audit_npm)):
            name = path.relative_to(ROOT)
            print(f"Asking about {name}", flush=True)
            found += [f"{name}: {finding}" for finding in audit(path)]
    except NotAuditedError as error:
        reason = str(error).replace(f"{ROOT}/", "")
        print(f"Not audited, so nothing is said about vulnerabilities: {reason}", file=sys.stderr)
        code = NOT_AUDITED
    else:
        code = VULNERABLE if found else CLEAN
    print(*found, sep="\n", end="\n" if found else "")
    if code == CLEAN:
        print("No known vulnerabilities.")
    return code


def audit_python(path: Path, osv: str = OSV) -> list[str]:
    """The known vulnerabilities of what a requirements file pins; raises NotAuditedError."""
    command: list[str | Path] = [
        PIP_AUDIT,
        "--requirement",
        path,
        "--require-hashes",
        "--disable-pip",
        "--strict",
        "--format",
        "json",
    ]
    options = ["--vulnerability-service", "osv", "--osv-url", osv, "--progress-spinner", "off", "--timeout", "15"]
    answer = _answer([*command, *options], path)
    reported = {each["name"]: each for each in answer.get("dependencies", [])}
    if unasked := sorted(
        {pin.name for pin in pins(path) if pin.applies} - {name for name in reported if "vulns" in reported[name]}
    ):
        raise NotAuditedError(f"{path}: no answer about {', '.join(unasked)}")
    return [
        f"{name} {each['version']} has {one['id']}{_fixed_in(one['fix_versions'])}"
        for name, each in sorted(reported.items())
        for one in each["vulns"]
    ]


def audit_npm(path: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """The known vulnerabilities of what a package-lock.json pins; raises NotAuditedError."""
    command: list[str | Path] = [
        NPM,
        "audit",
        "--json",
        "--package-lock-only",
        "--fetch-timeout",
        "15000",
        "--fetch-retries",
        "1",
    ]
    answer = _answer(command, path, cwd=path.parent, env=environment)
    locked = len(json.loads(path.read_text(encoding="utf-8"))["packages"]) - 1
    counted = answer.get("metadata", {}).get("dependencies", {}).get("total")
    if counted != locked:
        reason = answer.get("message") or f"an answer about {counted} of {locked} packages"
        raise NotAuditedError(f"{path}: {reason}")
    return [
        f"{name} {each['range']} has {url}, {each['severity']}"
        for name, each in sorted(answer["vulnerabilities"].items())
        for url in _advisories(each["via"])
    ]


def _answer(command: Sequence[str | Path], path: Path, **options: Any) -> dict[str, Any]:
    """The JSON that a program prints, whatever its exit code says: both end with 1 for findings and for failures."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL, **options
        )
        answer: dict[str, Any] = json.loads(run.stdout)
    except subprocess.TimeoutExpired as error:
        raise NotAuditedError(f"{path}: no answer within {SECONDS} s") from error
    except ValueError as error:
        last = (run.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise NotAuditedError(f"{path}: the database gave no answer ({last[:300]})") from error
    return answer


def _fixed_in(versions: Sequence[str]) -> str:
    return f", fixed in {', '.join(versions)}" if versions else ", not fixed yet"


def _advisories(via: Sequence[Any]) -> Iterator[str]:
    """Addresses of advisories; a name alone is a package that is reported itself."""
    return (each["url"] for each in via if isinstance(each, dict))


if __name__ == "__main__":
    sys.exit(main())
