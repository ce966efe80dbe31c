"""Audit logs, metrics and Workbench's API: keys of rserver.conf.

Sources: Posit Workbench administration guide, "Auditing configuration", "Prometheus metrics" and "Workbench API".
"""

from __future__ import annotations

from benchwright.models import METRICS_PORT, Wanted

PRIVATE_ADDRESS = "@PRIVATE_ADDRESS@"  # in whose place a node puts its own (infra/node/files.sh)


def options(wanted: Wanted, shared_storage: str) -> dict[str, str]:
    """Return the keys.

    Each node has a folder of its own for audit logs: every server appends to one file, r-sessions.csv, and NFS does not
    keep what two clients append at the same time (open(2), O_APPEND).
    """
    keys: dict[str, str | None] = {}
    if audit := wanted.audit:
        months = str(audit.months) if audit.months else None
        keys |= {
            "audit-data-path": f"{shared_storage}/audit/{PRIVATE_ADDRESS}",
            "audit-r-sessions": "1",
            "audit-r-sessions-limit-months": months,
            "audit-r-console": audit.r_console,
            "audit-r-console-user-limit-months": months if audit.r_console else None,
        }
    if wanted.metrics:
        keys |= {"metrics-enabled": "1", "metrics-port": str(METRICS_PORT)}
    if wanted.acceptance:
        keys["workbench-api-enabled"] = "1"  # for tokens of an account, which can do no more than the account
    return {key: value for key, value in keys.items() if value is not None}
