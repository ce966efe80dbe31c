"""What an input gave and no longer gives leaves nothing on a node."""

from __future__ import annotations

from typing import Any

from benchwright.models import Account, NodeGroup
from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster

ANN = Account(name="ann", uid=5001, gid=5001)
ANALYSTS = NodeGroup(name="analysts", gid=5100, members=["ann"])
GIVEN: dict[str, Any] = {
    "limits": {
        "default": {"cpus": 1, "max_cpus": 2},
        "groups": {"analysts": {"max_memory_mb": 4096}},
        "users": {"ann": {"memory_mb": 1024}},
        "reserved_memory_mb": 1024,
    },
    "audit": {"r_console": "input", "months": 3},
    "metrics": {"allowed_cidr": "10.0.1.0/24"},
    "acceptance": {"account": "ann"},
    "files": {"profiles": {"sections": {"*": {"max-memory-mb": "2048"}}}, "of-a-team": {"text": "x"}},
}
FILES = "find /etc/rstudio /etc/systemd /etc/pip.conf -type f -printf '%m %u:%g ' -exec sha256sum {} + | sort -k3"


def files(node: Host) -> list[str]:
    return node.run(FILES, timeout=60).stdout.splitlines()


def test_a_node_is_as_if_it_had_never_been_given(cluster: Cluster) -> None:
    people: Any = {"accounts": [ANN], "groups": [ANALYSTS], "license": cluster.license("a licence\nTier: Enhanced\n")}
    node = cluster.add_node()
    cluster.publish(**people)
    cluster.apply(node)
    before = files(node)
    cluster.publish(**people, **GIVEN)
    report = cluster.apply(node)
    assert (report["limits"], report["metrics"], report["audit"]) == ("on", "ok", "rstudio-server 700")
    assert files(node) != before
    cluster.publish(**people)
    report = cluster.apply(node)
    assert (report["limits"], report.get("metrics"), report.get("audit")) == (None, None, None)
    assert files(node) == before
