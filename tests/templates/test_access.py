"""What people get through the load balancer, and what no one does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rehearsal.aws.services.elbv2 import routing
from tests.templates.templates import ACCESS, resources


@pytest.mark.parametrize(
    "path",
    [
        "/health-check",
        "/health-check/",
        "/%68ealth-check",
        "//health-check",
        "/a/../health-check",
        "/load-balancer",
        "/load-balancer/status",
        "/load-balancer%2fstatus",
        "/%6Coad-balancer%2Fstatus",
        "/metrics",
    ],
)
def test_a_load_balancer_refuses_what_workbench_shows_without_sign_in(path: str) -> None:
    assert answered_for(path) == "403"


@pytest.mark.parametrize(
    "path", ["/", "/auth-sign-in", "/openid/callback", "/saml/acs", "/s/1/files/a%2Fb//c", "/home"]
)
def test_a_load_balancer_forwards_what_people_ask_for(path: str) -> None:
    assert answered_for(path) == "forward"


def test_a_load_balancer_waits_for_r_drops_invalid_headers_and_drains_before_the_hook_of_a_node() -> None:
    """A request stays open while R computes, and a node that leaves has 900 seconds after it is drained."""
    (balancer,) = resources(ACCESS, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    (group,) = resources(ACCESS, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    attributes = {
        each["Key"]: each["Value"]
        for each in (
            *balancer["Properties"]["LoadBalancerAttributes"],
            *group["Properties"]["TargetGroupAttributes"],
        )
        if isinstance(each["Value"], str)
    }
    assert attributes == {
        "idle_timeout.timeout_seconds": "3600",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "access_logs.s3.enabled": "true",
        "deregistration_delay.timeout_seconds": "60",
        "stickiness.enabled": "true",
        "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": "86400",
    }


def test_each_of_five_ranges_reaches_https_and_the_redirect_to_it() -> None:
    (listener,) = (
        each["Properties"]
        for each in resources(ACCESS, "AWS::ElasticLoadBalancingV2::Listener").values()
        if each["Properties"]["Protocol"] == "HTTPS"
    )
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    rules = ACCESS["Resources"]["LoadBalancerSecurityGroup"]["Properties"]["SecurityGroupIngress"]
    opened = {}
    for each in rules:
        condition, rule, _ = each.get("Fn::If", ("", each, ""))
        if "CidrIp" in rule:
            opened[condition, rule["FromPort"]] = (rule["ToPort"], rule["CidrIp"]["Fn::Select"][0])
    conditions = ["", *(f"HasCidr{number}" for number in range(2, 6))]
    assert opened == {(name, port): (port, place) for place, name in enumerate(conditions) for port in (443, 80)}
    for place, name in enumerate(conditions[1:], 1):
        assert ACCESS["Conditions"][name]["Fn::Not"][0]["Fn::Equals"][0]["Fn::Select"][0] == place


def answered_for(path: str) -> str:
    """The status of a fixed answer of the HTTPS listener, or the type of its action."""
    properties = [
        each["Properties"] for each in resources(ACCESS, "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    ]
    rules = {
        str(each["Priority"]): SimpleNamespace(
            is_default=False,
            priority=each["Priority"],
            conditions=each["Conditions"],
            actions=[SimpleNamespace(data=action) for action in each["Actions"]],
        )
        for each in properties
    }
    assert len(rules) == len(properties)
    default = [
        SimpleNamespace(data=each) for each in ACCESS["Resources"]["HttpsListener"]["Properties"]["DefaultActions"]
    ]
    request = routing.Request("https", "workbench.example.com", 443, path, "")
    action = routing.decide(SimpleNamespace(rules=rules, default_actions=default), request)
    return str(action.get("FixedResponseConfig", {}).get("StatusCode", action["Type"]))
