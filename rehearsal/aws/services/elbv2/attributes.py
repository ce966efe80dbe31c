"""Attributes of load balancers and target groups: which there are, their defaults, and what AWS takes for each.

Source: botocore's model of elbv2, documentation of LoadBalancerAttribute and TargetGroupAttribute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rehearsal.aws.calls import ServiceError


@dataclass(frozen=True)
class Attribute:
    """Its default, and the values that it may have: some words, or the numbers of a range; else any text."""

    default: str
    words: tuple[str, ...] = ()
    numbers: tuple[int, int] | None = None

    def takes(self, value: str) -> bool:
        if self.numbers:
            return value.isdecimal() and self.numbers[0] <= int(value) <= self.numbers[1]
        return not self.words or value in self.words


def _switch(default: str = "false") -> Attribute:
    return Attribute(default, ("true", "false"))


LOAD_BALANCER = {
    "access_logs.s3.enabled": _switch(),
    "access_logs.s3.bucket": Attribute(""),
    "access_logs.s3.prefix": Attribute(""),
    "client_keep_alive.seconds": Attribute("3600", numbers=(60, 604_800)),
    "connection_logs.s3.enabled": _switch(),
    "connection_logs.s3.bucket": Attribute(""),
    "connection_logs.s3.prefix": Attribute(""),
    "deletion_protection.enabled": _switch(),
    "health_check_logs.s3.enabled": _switch(),
    "health_check_logs.s3.bucket": Attribute(""),
    "health_check_logs.s3.prefix": Attribute(""),
    "idle_timeout.timeout_seconds": Attribute("60", numbers=(1, 4000)),
    "load_balancing.cross_zone.enabled": Attribute("true", ("true",)),
    "routing.http.desync_mitigation_mode": Attribute("defensive", ("monitor", "defensive", "strictest")),
    "routing.http.drop_invalid_header_fields.enabled": _switch(),
    "routing.http.preserve_host_header.enabled": _switch(),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": _switch(),
    "routing.http.xff_client_port.enabled": _switch(),
    "routing.http.xff_header_processing.mode": Attribute("append", ("append", "preserve", "remove")),
    "routing.http2.enabled": _switch("true"),
    "waf.fail_open.enabled": _switch(),
    "zonal_shift.config.enabled": _switch(),
}
"""Of an Application Load Balancer."""

TARGET_GROUP = {
    "deregistration_delay.timeout_seconds": Attribute("300", numbers=(0, 3600)),
    "load_balancing.algorithm.type": Attribute(
        "round_robin", ("round_robin", "least_outstanding_requests", "weighted_random")
    ),
    "load_balancing.algorithm.anomaly_mitigation": Attribute("off", ("on", "off")),
    "load_balancing.cross_zone.enabled": Attribute(
        "use_load_balancer_configuration", ("true", "false", "use_load_balancer_configuration")
    ),
    "slow_start.duration_seconds": Attribute("0", numbers=(0, 900)),
    "stickiness.enabled": _switch(),
    "stickiness.type": Attribute("lb_cookie", ("lb_cookie", "app_cookie")),
    "stickiness.lb_cookie.duration_seconds": Attribute("86400", numbers=(1, 604_800)),
    "stickiness.app_cookie.cookie_name": Attribute(""),
    "stickiness.app_cookie.duration_seconds": Attribute("86400", numbers=(1, 604_800)),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute("1"),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute("1"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute("off"),
}
"""Of a target group of HTTP whose targets are instances."""


def defaults(known: Mapping[str, Attribute]) -> dict[str, str]:
    return {name: attribute.default for name, attribute in known.items()}


def refuse_wrong(known: Mapping[str, Attribute], given: Iterable[Mapping[str, str]], of_what: str) -> None:
    """Raise as AWS does for an attribute that there is not, twice the same, or a value that it cannot have."""
    names: set[str] = set()
    for attribute in given:
        name, value = attribute["Key"], attribute.get("Value", "")
        if name not in known:
            raise ServiceError("ValidationError", f"{of_what} attribute key '{name}' is not recognized")
        if name in names:
            raise ServiceError(
                "ValidationError", f"{of_what} attribute key '{name}' cannot be specified more than once"
            )
        names.add(name)
        if known[name].takes(value):
            continue
        if numbers := known[name].numbers:
            expected = f"must be between '{numbers[0]}-{numbers[1]}' inclusive"
        else:
            expected = f"must be one of [{', '.join(known[name].words)}]"
        raise ServiceError("ValidationError", f"'{name}' value '{value}' {expected}")
