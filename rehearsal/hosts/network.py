"""The private network of the rehearsal: one bridge, one virtual cable to each node, and names that nodes can resolve.

It lives in the network namespace of the process that creates it, so it vanishes with it. Addresses of nodes are the
ones that EC2 gave them, anywhere in 10.0.0.0/8; everything that is not a node (the local AWS, PostgreSQL) has an
address on the bridge. Netlink is spoken through pyroute2, since a fresh machine may lack `ip`.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute

BRIDGE = "br0"
# Given once: otherwise it is the lowest of its cables', and a node that comes or goes cuts the others off for a while.
BRIDGE_HARDWARE_ADDRESS = "02:00:0a:ff:ff:01"
GATEWAY = "10.255.255.1"
METADATA_ADDRESS = "169.254.169.254"


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Let the calling thread, and it alone, act in the network namespace of process `pid`."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.setns(other, os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(own, os.CLONE_NEWNET)
    finally:
        os.close(own)
        os.close(other)


class Network:
    """The bridge and what hangs on it."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._cables = itertools.count(1)
        self._services = itertools.count(2)
        self._added: set[str] = set()

    def start(self) -> None:
        """Raise the loopback and the bridge; a bridge that is there already is used as it is."""
        with IPRoute() as netlink:
            loopback = _index(netlink, "lo")
            netlink.link("set", index=loopback, state="up")
            if not netlink.link_lookup(ifname=BRIDGE):
                netlink.link("add", ifname=BRIDGE, kind="bridge", address=BRIDGE_HARDWARE_ADDRESS)
            bridge = _index(netlink, BRIDGE)
            for address, prefix in ((GATEWAY, 8), (METADATA_ADDRESS, 32)):
                if not list(netlink.get_addr(index=bridge, address=address)):
                    netlink.addr("add", index=bridge, address=address, prefixlen=prefix)
            netlink.link("set", index=bridge, state="up")

    def connect(self, pid: int, address: str) -> None:
        """Give the network namespace of process `pid` an `eth0` with this address, and a route through the bridge."""
        with IPRoute() as netlink:
            cable = f"node{next(self._cables)}"
            netlink.link("add", ifname=cable, kind="veth", peer={"ifname": "eth0", "net_ns_pid": pid})
            netlink.link("set", index=_index(netlink, cable), master=_index(netlink, BRIDGE), state="up")
        with network_of(pid), IPRoute() as netlink:
            netlink.link("set", index=_index(netlink, "lo"), state="up")
            eth0 = _index(netlink, "eth0")
            netlink.addr("add", index=eth0, address=address, prefixlen=8)
        self.plug(pid, connected=True)

    def plug(self, pid: int, *, connected: bool) -> None:
        """Raise the `eth0` of process `pid`, or take it down: then what it sends gets nowhere."""
        with network_of(pid), IPRoute() as netlink:
            netlink.link("set", index=_index(netlink, "eth0"), state="up" if connected else "down")
            if connected:
                netlink.route("add", dst="default", gateway=GATEWAY)

    def service_address(self, name: str) -> str:
        """An address of its own on the bridge for the service `name` (a database endpoint, say), which nodes then
        resolve.
        """
        if name not in self.names:
            number = next(self._services)
            address = f"10.255.{255 - number // 250}.{number % 250 + 1}"
            with IPRoute() as netlink:
                netlink.addr("add", index=_index(netlink, BRIDGE), address=address, prefixlen=32)
            self.names[name] = address
        return self.names[name]

    def add_address(self, address: str) -> None:
        """Let the bridge have an address of a network too: what listens there is no node."""
        if address not in self._added:
            with IPRoute() as netlink:
                netlink.addr("add", index=_index(netlink, BRIDGE), address=address, prefixlen=32)
            self._added.add(address)

    def remove_address(self, address: str) -> None:
        """Take an added address away again: a node may get it."""
        if address in self._added:
            with IPRoute() as netlink:
                netlink.addr("del", index=_index(netlink, BRIDGE), address=address, prefixlen=32)
            self._added.remove(address)


def _index(netlink: IPRoute, name: str) -> int:
    return int(netlink.link_lookup(ifname=name)[0])
