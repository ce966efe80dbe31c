"""AWS WAF: a web ACL is put in front of a load balancer that exists, and a load balancer has one.

moto keeps the web ACLs. What their rules let through is not rehearsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws


def install(aws: LocalAws) -> None:
    """Check what moto does not."""
    aws.server.serve("wafv2", WebAcls(aws))


@dataclass(frozen=True)
class WebAcls:
    """The operations that put a web ACL in front of something."""

    aws: LocalAws

    def associate_web_acl(self, call: Call) -> Proceed:
        arn = call["ResourceArn"]
        self._balancer(arn)
        for web_acl in self.aws.balancing.web_acls():
            if arn in web_acl.associated_resources and web_acl.arn != call["WebACLArn"]:
                web_acl.associated_resources.remove(arn)
        return PROCEED

    def disassociate_web_acl(self, call: Call) -> Proceed | Mapping[str, Any]:
        self._balancer(call["ResourceArn"])
        return PROCEED

    def _balancer(self, arn: str) -> None:
        if arn not in self.aws.balancing.backend.load_balancers:
            raise ServiceError(
                "WAFNonexistentItemException",
                "AWS WAF couldn’t perform the operation because your resource doesn’t exist.",
            )
