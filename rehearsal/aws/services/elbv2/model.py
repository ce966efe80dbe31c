"""What the parts of Elastic Load Balancing share: moto's books, and the states that they have at this moment."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.elbv2.models import FakeLoadBalancer, elbv2_backends

from rehearsal.aws.calls import ServiceError
from rehearsal.aws.local_aws import LocalAws

# AWS seconds. Until one is active, ten public logs of Terraform, which looks every 10, have 135 to 187 (162: bshehram/
# myservice-devops-aws-tf, SAMPLE_TF_APPLY.md) and one of CDK 123, the median 148. Until the security group of a deleted
# one can go, one has 37 (the same, SAMPLE_TF_DESTROY.md) and one 153; "up to 1min" says kubernetes-sigs/
# aws-load-balancer-controller#208 of the interfaces.
PROVISIONING_SECONDS = 150
INTERFACES_GONE_SECONDS = 60


@dataclass(frozen=True)
class Door:
    """Where HTTPS of a load balancer is answered, and the names of the certificate that it shows."""

    place: tuple[str, int]
    names: tuple[str, ...]


@dataclass
class Balancing:
    """The load balancers of the account."""

    aws: LocalAws
    probe: Any
    """How a target is asked for its health: targets.Probe."""
    targets: Any = None
    """What is registered: targets.Targets."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    active_at: dict[str, float] = field(default_factory=dict)
    """The moment from which a load balancer is active, by its ARN."""
    interfaces: dict[str, list[str]] = field(default_factory=dict)
    """The network interfaces of each load balancer, by its ARN."""
    proxy: Any = None
    """What really listens, from the first listener on: proxy.Proxy."""
    published: dict[str, list[str]] = field(default_factory=dict)
    """The names of load balancers that resolve, with their addresses."""
    interfaces_gone_at: dict[str, float] = field(default_factory=dict)
    """The moment from which an interface of a deleted load balancer is gone, by its id."""

    _stopped: bool = False

    def __post_init__(self) -> None:
        FakeLoadBalancer.activate = lambda _: None  # moto: active as soon as someone looks

    @property
    def backend(self) -> Any:
        return self.aws.moto_backend(elbv2_backends)

    @property
    def ec2(self) -> Any:
        return self.aws.moto_backend(ec2_backends)

    def settle(self) -> None:
        """Show moto's objects as they are at this moment."""
        now = self.aws.clock.now()
        for identifier, at in list(self.interfaces_gone_at.items()):
            if now >= at:
                del self.interfaces_gone_at[identifier]
                interface = self.ec2.enis.get(identifier)
                if interface is not None:
                    if network := getattr(self.aws.hosts, "network", None):
                        network.remove_address(interface.private_ip_address)  # before someone else gets it
                    with self.aws.server.moto_lock:  # RunInstances takes addresses, too
                        self.ec2.get_subnet(interface.subnet.id).del_subnet_ip(interface.private_ip_address)
                    self.ec2.delete_network_interface(identifier)
        used: dict[str, list[str]] = {}
        for arn, balancer in list(self.backend.load_balancers.items()):
            balancer.state = "active" if now >= self.active_at.get(arn, 0) else "provisioning"
            for group in targets_of(balancer):
                used.setdefault(group, []).append(arn)
        for arn, group in list(self.backend.target_groups.items()):
            group.load_balancer_arns = used.get(arn, [])
        self._listen()
        self.publish()

    def _listen(self) -> None:
        """Let what is configured really listen, where there is a network."""
        network = getattr(self.aws.hosts, "network", None)
        wanted = {
            (address, int(listener.port)): (listener.arn, public)
            for arn, balancer in self.backend.load_balancers.items()
            if balancer.state == "active"
            for listener in balancer.listeners.values()
            for address, public in self.addresses(arn)
        }
        if network is None or self._stopped or not (wanted or self.proxy):
            return
        if self.proxy is None:
            from .proxy import Proxy

            self.proxy = Proxy(self)
        for address, _ in wanted:
            network.add_address(address)
        self.proxy.update(wanted)

    def addresses(self, arn: str) -> Iterator[tuple[str, bool]]:
        """The addresses of a load balancer, each with whether it is public."""
        for identifier in self.interfaces.get(arn, []):
            interface = self.ec2.enis[identifier]
            yield str(interface.private_ip_address), False
            if interface.public_ip:
                yield str(interface.public_ip), True

    def publish(self) -> None:
        """Let the names of load balancers resolve, and the records that are aliases of them: for one that faces the
        internet, to its public addresses.
        """
        names: dict[str, list[str]] = {}
        for arn, balancer in list(self.backend.load_balancers.items()):
            for address, public in self.addresses(arn):
                if balancer.state == "active" and public == (balancer.scheme == "internet-facing"):
                    names.setdefault(balancer.dns_name.lower(), []).append(address)
        for name, target in self.aws.zones.aliases() if self.aws.zones else ():
            if target in names:
                names[name] = names[target]
        if names != self.published and hasattr(self.aws.hosts, "publish"):
            for name in self.published:
                self.aws.names.pop(name, None)
            self.aws.names |= {name: addresses[0] for name, addresses in names.items()}
            self.aws.hosts.publish(names)
            self.published = names

    def door(self) -> Door | None:
        """The first listener that speaks HTTPS; None where there is none."""
        with self.lock:
            self.settle()
            for arn, balancer in self.backend.load_balancers.items():
                for listener in balancer.listeners.values():
                    if listener.protocol == "HTTPS" and balancer.state == "active":
                        address, _ = next(self.addresses(arn))
                        bundle = self.aws.certificates.backend._certificates[listener.certificates[0]]
                        return Door((address, int(listener.port)), tuple(bundle.sans))
        return None

    def groups_of(self, listener: str) -> frozenset[str]:
        """The security groups of a listener's load balancer."""
        return frozenset(self.balancer(self.listener(listener).load_balancer_arn).security_groups)

    def stop(self) -> None:
        """End what listens, and the health checks."""
        with self.lock:
            self._stopped = True  # who settles now must not begin to listen again
        self.targets.stop()
        if self.proxy:
            self.proxy.stop()

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """One operation at a time, each on what there is at its moment."""
        with self.lock:
            self.settle()
            yield

    def web_acls(self) -> list[Any]:
        """Every web ACL of the region."""
        from moto.wafv2.models import wafv2_backends

        return list(wafv2_backends[self.aws.account][self.aws.region].wacls.values())

    def balancer(self, arn: str) -> Any:
        found = self.backend.load_balancers.get(arn)
        if found is None:
            raise ServiceError("LoadBalancerNotFound", f"Load balancer '{arn}' not found")
        return found

    def group(self, arn: str) -> Any:
        found = self.backend.target_groups.get(arn)
        if found is None:
            raise ServiceError("TargetGroupNotFound", "One or more target groups not found")
        return found

    def listener(self, arn: str) -> Any:
        for balancer in self.backend.load_balancers.values():
            if arn in balancer.listeners:
                return balancer.listeners[arn]
        raise ServiceError("ListenerNotFound", f"One or more listeners not found: {arn}")


def targets_of(balancer: Any) -> list[str]:
    """The target groups to which the listeners and rules of a load balancer forward, each once."""
    rules = [rule for listener in balancer.listeners.values() for rule in list(listener.rules.values())]
    found = [arn for rule in rules for action in rule.actions for arn in forwards_to(action.data)]
    return list(dict.fromkeys(found))


def forwards_to(action: Mapping[str, Any]) -> list[str]:
    """The target groups of an action, which is of the API's form."""
    if action.get("TargetGroupArn"):
        return [str(action["TargetGroupArn"])]
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    return [str(group["TargetGroupArn"]) for group in groups]
