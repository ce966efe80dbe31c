"""Listeners and their rules, and the certificates that they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.elbv2.ssl_policies import SSL_POLICIES

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError

from .model import Balancing, forwards_to

DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
LONGEST_RESPONSE = 1024
PRIORITIES = range(1, 50_001)


@dataclass(frozen=True)
class Listeners:
    """The operations on listeners and rules."""

    balancing: Balancing

    def create_listener(self, call: Call) -> Mapping[str, Any]:
        balancer = self.balancing.balancer(call["LoadBalancerArn"])
        self._refuse_taken(balancer, call["Port"])
        self._check(balancer, call, call["Protocol"])
        certificates = call.get("Certificates") or [{}]
        made = self.balancing.backend.create_listener(
            load_balancer_arn=balancer.arn,
            protocol=call["Protocol"],
            port=call["Port"],
            ssl_policy=call.get("SslPolicy") or (DEFAULT_POLICY if call["Protocol"] == "HTTPS" else None),
            certificate=certificates[0].get("CertificateArn"),
            actions=[dict(action) for action in call["DefaultActions"]],
            tags=list(call.get("Tags") or []),
        )
        self.balancing.settle()
        return {"Listeners": [_shown(made)]}

    def modify_listener(self, call: Call) -> Mapping[str, Any]:
        listener = self.balancing.listener(call["ListenerArn"])
        balancer = self.balancing.balancer(listener.load_balancer_arn)
        if call.get("Port"):
            self._refuse_taken(balancer, call["Port"], listener)
        kept = [{"CertificateArn": arn} for arn in listener.certificates[:1]]
        self._check(balancer, call, call.get("Protocol") or listener.protocol, kept)
        changed = self.balancing.backend.modify_listener(
            listener.arn,
            call.get("Port"),
            call.get("Protocol"),
            call.get("SslPolicy"),
            list(call.get("Certificates") or []),
            [dict(action) for action in call.get("DefaultActions") or []],
        )
        self.balancing.settle()
        return {"Listeners": [_shown(changed)]}

    def delete_listener(self, call: Call) -> Mapping[str, Any]:
        self.balancing.backend.delete_listener(call["ListenerArn"])
        self.balancing.settle()
        return {}

    def describe_listeners(self, _: Call) -> Proceed:
        return PROCEED

    def describe_listener_certificates(self, _: Call) -> Proceed:
        return PROCEED

    def describe_listener_attributes(self, _: Call) -> Proceed:
        return PROCEED

    def create_rule(self, call: Call) -> Proceed:
        listener = self.balancing.listener(call["ListenerArn"])
        if call["Priority"] not in PRIORITIES:
            raise ServiceError("ValidationError", f"The priority {call['Priority']} must be between 1 and 50000")
        self._actions(self.balancing.balancer(listener.load_balancer_arn), call["Actions"])
        self._conditions(call["Conditions"])
        return PROCEED

    def modify_rule(self, call: Call) -> Proceed:
        (rule,) = self.balancing.backend.describe_rules(listener_arn=None, rule_arns=[call["RuleArn"]])
        listener = self.balancing.listener(rule.listener_arn)
        self._actions(self.balancing.balancer(listener.load_balancer_arn), call.get("Actions") or [])
        self._conditions(call.get("Conditions") or [])
        return PROCEED

    def delete_rule(self, call: Call) -> Proceed:
        self.balancing.backend.describe_rules(listener_arn=None, rule_arns=[call["RuleArn"]])
        return PROCEED

    def describe_rules(self, _: Call) -> Proceed:
        return PROCEED

    def set_rule_priorities(self, _: Call) -> Proceed:
        return PROCEED

    def describe_ssl_policies(self, _: Call) -> Proceed:
        return PROCEED

    def _refuse_taken(self, balancer: Any, port: int, own: Any = None) -> None:
        if any(int(each.port) == int(port) for each in balancer.listeners.values() if each is not own):
            raise ServiceError("DuplicateListener", "A listener already exists on this port for this load balancer")

    def _check(self, balancer: Any, call: Call, protocol: str, kept: Sequence[Mapping[str, str]] = ()) -> None:
        """Refuse what a listener cannot be. `kept`: its certificates where the call names none."""
        given, policy = call.get("Certificates") or [], call.get("SslPolicy")
        if protocol == "HTTPS":
            if policy and policy not in SSL_POLICIES:
                raise ServiceError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
            certificates = given or kept
            if len(certificates) != 1:
                raise ServiceError(
                    "ValidationError" if not certificates else "TooManyCertificates",
                    "A certificate must be specified for HTTPS listeners"
                    if not certificates
                    else "Up to one certificate can be specified",
                )
            self._certificate(certificates[0]["CertificateArn"])
        elif given or policy:
            what = "certificate" if given else "SSL policy"
            raise ServiceError("ValidationError", f"A {what} cannot be specified for {protocol} listeners")
        self._actions(balancer, call.get("DefaultActions") or [])

    def _certificate(self, arn: str) -> None:
        """Refuse a certificate that is not there, or not issued. The text is from DataBiosphere/azul#8321."""
        status = self.balancing.aws.certificates.status(arn)
        if status is None:
            raise ServiceError("CertificateNotFound", f"Certificate '{arn}' not found")
        if status != "ISSUED":
            raise ServiceError(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a "
                "supported key size.",
            )

    def _actions(self, balancer: Any, actions: list[Mapping[str, Any]]) -> None:
        for action in actions:
            if action["Type"] not in ("forward", "redirect", "fixed-response"):
                raise ServiceError("ValidationError", f"The rehearsal knows no action of type {action['Type']}.")
            fixed = action.get("FixedResponseConfig") or {}
            if len(fixed.get("MessageBody") or "") > LONGEST_RESPONSE:
                raise ServiceError("ValidationError", f"The message body is longer than {LONGEST_RESPONSE} characters")
            for arn in forwards_to(action):
                group = self.balancing.group(arn)
                if any(other != balancer.arn for other in group.load_balancer_arns):
                    raise ServiceError(
                        "TargetGroupAssociationLimit",
                        "The following target groups cannot be associated with more than one load balancer: " + arn,
                    )
                if group.vpc_id != balancer.vpc_id:
                    raise ServiceError(
                        "InvalidConfigurationRequest",
                        f"The target group '{arn}' is in a different VPC from the load balancer '{balancer.arn}'",
                    )

    def _conditions(self, conditions: list[Mapping[str, Any]]) -> None:
        """A rule has at most five values in all its conditions (quotas of Application Load Balancers), and a condition
        three (rule-condition-types, "Condition basics"): more than three were seen to work, which no page promises.
        """
        counts = [
            sum(
                len(config.get("Values") or [])
                for config in (condition, *(its for its in condition.values() if isinstance(its, Mapping)))
            )
            for condition in conditions
        ]
        if sum(counts) > 5:
            raise ServiceError("TooManyConditionValues", "A rule can only have '5' condition values")
        if max(counts, default=0) > 3:
            raise ServiceError("TooManyConditionValues", "The rehearsal allows at most 3 values in a condition.")
        for condition in conditions:
            if condition.get("Field") not in ("path-pattern", "host-header"):
                raise ServiceError(
                    "ValidationError", f"The rehearsal knows no condition on {condition.get('Field')} of a rule."
                )


def _shown(listener: Any) -> dict[str, Any]:
    return {
        "ListenerArn": listener.arn,
        "LoadBalancerArn": listener.load_balancer_arn,
        "Port": int(listener.port),
        "Protocol": listener.protocol,
        "SslPolicy": listener.ssl_policy,
        "Certificates": [{"CertificateArn": arn} for arn in listener.certificates],
        "DefaultActions": [action.data for action in listener.default_actions],
    }
