"""Audit logs, metrics and acceptance: what an input says of them that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchwright.planning import server_options
from benchwright.planning.problems import BACK, Problem, object_in, objects_in
from benchwright.planning.similar_names import meant

# Keys of rserver.conf that Benchwright writes for a part of the input, and only with it.
KEYS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("audit-data-path", "audit-r-sessions", "audit-r-sessions-limit-months", "audit-r-console"),
            "audit-r-console-user-limit-months",
        ),
        "audit",
    ),
    **dict.fromkeys(("metrics-enabled", "metrics-port", "metrics-address"), "metrics"),
    "workbench-api-enabled": "acceptance",
}
METRICS_SINCE = "2024.04"  # release notes of 2024.04.0: a preview; since 2025.09.0 generally available


def contradictions(merged: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what no single field shows, in an input that may be wrong in other ways too."""
    config = server_options.given(merged)
    for key, part in KEYS.items():
        if key in config and merged.get(part) is not None:
            wrong = f"with `{part}`, Benchwright writes this key itself"
            yield *config[key], wrong, f"{BACK}. Or give null for `{part}`"
    version = object_in(merged, "workbench").get("version")
    if merged.get("metrics") is not None and isinstance(version, str) and version[:7] < METRICS_SINCE:
        wrong = f"Workbench has them since {METRICS_SINCE}, and workbench.version is {version}"
        yield "metrics", merged["metrics"], wrong, "null, or a newer version"
    account, auth = object_in(merged, "acceptance").get("account"), object_in(merged, "auth")
    makes_accounts = auth.get("method") == "sssd" or auth.get("provisioning", "none") != "none"
    users = objects_in(merged, "users")
    if isinstance(account, str) and not makes_accounts and account not in users:
        yield (
            "acceptance.account",
            account,
            f"no such user is in the input{meant(account, users)}",
            "an account of `users`",
        )
