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
