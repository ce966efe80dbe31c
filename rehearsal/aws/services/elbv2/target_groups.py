"""Target groups: what they may be, and their attributes; `targets` has what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError

from .attributes import TARGET_GROUP, defaults, refuse_wrong
from .model import Balancing


@dataclass(frozen=True)
class TargetGroups:
    """The operations on target groups."""

    balancing: Balancing

    def create_target_group(self, call: Call) -> Mapping[str, Any]:
        if call.get("TargetType", "instance") != "instance" or call.get("Protocol") != "HTTP":
            raise ServiceError("ValidationError", "The rehearsal knows target groups of HTTP and instances only.")
        self._refuse_path(call)
        names = {
            "vpc_id": "VpcId",
            "protocol": "Protocol",
            "protocol_version": "ProtocolVersion",
            "port": "Port",
            "healthcheck_protocol": "HealthCheckProtocol",
            "healthcheck_port": "HealthCheckPort",
            "healthcheck_path": "HealthCheckPath",
            "healthcheck_interval_seconds": "HealthCheckIntervalSeconds",
            "healthcheck_timeout_seconds": "HealthCheckTimeoutSeconds",
            "healthy_threshold_count": "HealthyThresholdCount",
            "unhealthy_threshold_count": "UnhealthyThresholdCount",
            "matcher": "Matcher",
            "ip_address_type": "IpAddressType",
        }
        made = self.balancing.backend.create_target_group(
            call["Name"],
            **{ours: call.get(theirs) for ours, theirs in names.items()},
            target_type="instance",
            tags=list(call.get("Tags") or []),
        )
        made.attributes = defaults(TARGET_GROUP)
        return {"TargetGroups": [made]}

    def modify_target_group(self, call: Call) -> Proceed:
        self._refuse_path(call)
        group = self.balancing.group(call["TargetGroupArn"])
        interval = call.get("HealthCheckIntervalSeconds") or group.health_check_interval_seconds
        timeout = call.get("HealthCheckTimeoutSeconds") or group.health_check_timeout_seconds
        if int(timeout) >= int(interval):
            raise ServiceError(
                "ValidationError",
                f"Health check timeout '{timeout}' must be smaller than the interval '{interval}'",
            )
        return PROCEED

    def modify_target_group_attributes(self, call: Call) -> Mapping[str, Any]:
        group = self.balancing.group(call["TargetGroupArn"])
        refuse_wrong(TARGET_GROUP, call["Attributes"], "Target group")
        wanted = group.attributes | {each["Key"]: each.get("Value", "") for each in call["Attributes"]}
        if wanted["load_balancing.cross_zone.enabled"] == "false" and wanted["stickiness.enabled"] == "true":
            raise ServiceError(
                "InvalidConfigurationRequest",
                "Stickiness cannot be enabled while cross-zone load balancing is turned off",
            )
        group.attributes = wanted
        return {"Attributes": [{"Key": key, "Value": value} for key, value in wanted.items()]}

    def describe_target_group_attributes(self, _: Call) -> Proceed:
        return PROCEED

    def describe_target_groups(self, _: Call) -> Proceed:
        return PROCEED

    def delete_target_group(self, _: Call) -> Proceed:
        return PROCEED

    def _refuse_path(self, call: Call) -> None:
        path = call.get("HealthCheckPath")
        if path is not None and not path.startswith("/"):
            raise ServiceError("ValidationError", f"Health check path '{path}' must begin with a '/' character")
