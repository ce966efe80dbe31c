"""Sessions that a verification opens: Workbench spreads them, they are counted, and all of them end."""

import json
from typing import Any

import pytest

from benchwright.models import Account
from rehearsal.hosts.host import Host
from tests.nodes.cluster import PASSWORD, Cluster, report

ANN, PROBE = (Account(name=name, uid=uid, gid=uid) for name, uid in (("ann", 5001), ("probe", 5002)))


def publish(cluster: Cluster, tier: str = "Enhanced", **wanted: Any) -> None:
    license_ = cluster.license(f"a licence\nTier: {tier}\n")
    cluster.publish(accounts=[ANN, PROBE], license=license_, **{"acceptance": {"account": "probe"}, **wanted})


def running(*nodes: Host) -> list[str]:
    """Whose sessions run on each node."""
    found = [node.run("rstudio-server active-sessions", timeout=60).stdout.splitlines() for node in nodes]
    return [" ".join(sorted(line.split()[1] for line in lines)) for lines in found]


def tokens(cluster: Cluster) -> int:
    link = cluster.postgres.connect("rstudio", PASSWORD, "rstudio")
    with link, link.cursor() as cursor:
        cursor.execute("select count(*) from api_token")
        rows = cursor.fetchall()
    link.close()
    return int(rows[0][0])


@pytest.fixture(scope="module")
def nodes(cluster_of_file: Cluster) -> list[Host]:
    """All tests of this file go on with these, in this order."""
    made = [cluster_of_file.add_node() for _ in range(2)]
    publish(cluster_of_file)
    for node in made:
        cluster_of_file.apply(node)
    return made


def test_sessions_are_spread_over_the_nodes_and_end(cluster: Cluster, nodes: list[Host]) -> None:
    kept = cluster.start_session(nodes[0], "ann")
    done = cluster.run(nodes[1], "sessions", sessions="5 probe")
    assert done.returncode == 0, done.stdout
    addresses = [address for address, _ in cluster.statuses()]
    first, second = (json.loads(done.stdout)["sessions"][address] for address in addresses)
    assert json.loads(done.stdout)["opened"] == first + second == 5
    assert (first, second) == (2, 3)  # the first has one of ann, who keeps it
    assert running(*nodes) == ["ann", ""]
    assert tokens(cluster) == 0
    nodes[0].run(f"kill -9 {kept}", timeout=60)


def test_what_cannot_work_is_one_sentence_and_leaves_no_session(cluster: Cluster, nodes: list[Host]) -> None:
    def failed(sessions: str = "3 probe") -> str:
        done = cluster.run(nodes[0], "sessions", sessions=sessions)
        assert done.returncode == 1, done.stdout
        return str(report(done)["error"])

    assert failed("1 absent.person").startswith("This node has no account absent.person. Start a deployment with {}")
    kept = cluster.start_session(nodes[1], "probe")
    assert failed().startswith("probe already has sessions (1), which would be counted as new ones. End them")
    assert running(*nodes) == ["", "probe"]
    nodes[1].run(f"kill -9 {kept}", timeout=60)
    nodes[0].run("mv /efs/home/probe /efs/home/away", timeout=60)
    assert failed().startswith("Workbench answers launch_session with HTTP 400")
    nodes[0].run("mv /efs/home/away /efs/home/probe", timeout=60)
    assert running(*nodes) == ["", ""]
    assert tokens(cluster) == 0
    publish(cluster, acceptance=None)
    cluster.apply(nodes[0])
    assert failed().startswith("Workbench has no API on this node (workbench-api-enabled). Start a deployment with {}")


def test_a_licence_without_the_api_is_named(cluster: Cluster, nodes: list[Host]) -> None:
    node = nodes[0]
    publish(cluster, "Basic")
    cluster.apply(node)
    done = cluster.run(node, "sessions", sessions="1 probe")
    assert report(done)["error"] == (
        "Workbench makes no token for probe: ERROR The license does not include the Workbench API. The Workbench API "
        "needs a licence of the tier Enhanced or Advanced."
    )
