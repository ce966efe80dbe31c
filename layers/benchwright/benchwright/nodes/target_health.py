"""The conversation with Elastic Load Balancing about the nodes behind a load balancer."""

from __future__ import annotations

from benchwright.aws import client

HEALTHY, UNUSED = "healthy", "unused"


def target_health(target_group: str) -> dict[str, str]:
    """Return the state of each registered target by its instance, with the reason where there is one.

    For instance "healthy", or "unhealthy (Target.Timeout)".
    """
    described = client("elbv2").describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
    targets = {}
    for found in described:
        health = found.get("TargetHealth", {})
        reason = f" ({health['Reason']})" if "Reason" in health else ""
        targets[found["Target"]["Id"]] = f"{health.get('State', 'unknown')}{reason}"
    return targets
