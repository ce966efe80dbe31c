"""What a licence of Workbench allows, by its tier."""

from __future__ import annotations

from benchwright.models import License

# "Use of more than two nodes per cluster requires an Advanced license." Source: Posit Workbench administration guide,
# "Load balancing". A tier of another name is let be: Workbench itself knows what it allows.
MOST_NODES = {"basic": 2, "enhanced": 2}


def refusal(tier: str | None, nodes: int) -> tuple[str, str] | None:
    """Return what is wrong with so many nodes and what to give instead; None where the tier allows them."""
    most = MOST_NODES.get((tier or "").strip().lower())
    if most is None or nodes <= most:
        return None
    return f"the licence is of the tier {tier}, which allows {most} nodes", f"{most}, or a licence of the tier Advanced"


def identity(license_: License | None) -> str:
    """Return what distinguishes a licence from another: what was read of one says nothing of the next."""
    return f"{license_.secret_arn} {license_.secret_version} {license_.server}".strip() if license_ else ""
