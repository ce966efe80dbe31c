"""An administrator's dashboard, audit logs and metrics on a node."""

from typing import Any

import pytest

from benchwright.models import Account, NodeGroup
from rehearsal.hosts.host import Host
from tests.browser import Browser
from tests.nodes.cluster import Cluster

ANN, BEN = (Account(name=name, uid=uid, gid=uid) for name, uid in (("ann", 5001), ("ben", 5002)))
PASSWORD = "correct horse 'battery' staple"
LICENSE = "a licence\nTier: {}\n"
RECORDS = "cat /efs/shared-storage/audit/{}/r-sessions/r-sessions.csv"


def publish(cluster: Cluster, tier: str = "Enhanced", **wanted: Any) -> None:
    cluster.publish(accounts=[ANN, BEN], license=cluster.license(LICENSE.format(tier)), **wanted)


def output(node: Host, script: str) -> str:
    done = node.run(script, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def signed_in(node: Host, name: str) -> Browser:
    output(node, f"chpasswd <<'END'\n{name}:{PASSWORD}\nEND")
    browser = Browser()
    browser.submit(node, "/auth-sign-in?appUri=%2F", "/auth-do-sign-in", username=name, password=PASSWORD)
    return browser


@pytest.fixture(scope="module")
def node(cluster_of_file: Cluster) -> Host:
    """All tests of this file go on with this node, in this order."""
    publish(cluster_of_file)
    made = cluster_of_file.add_node()
    cluster_of_file.apply(made)
    return made


def test_the_members_of_a_group_see_the_dashboard_where_people_have_passwords(cluster: Cluster, node: Host) -> None:
    admins = NodeGroup(name="admins", gid=5100, members=["ann"])
    cluster.publish(accounts=[ANN, BEN], groups=[admins], auth={"admin_group": "admins"})
    cluster.apply(node)
    assert [signed_in(node, name).ask(node, "/admin").status for name in ("ann", "ben")] == [200, 403]
    cluster.publish(accounts=[ANN, BEN], groups=[admins])
    cluster.apply(node)
    assert signed_in(node, "ann").ask(node, "/admin").status == 403


def test_no_one_else_can_have_made_the_folder_of_the_records(cluster: Cluster, node: Host) -> None:
    output(node, "setpriv --reuid=5002 --regid=5002 --clear-groups mkdir /efs/shared-storage/audit")
    publish(cluster, audit={})
    assert cluster.fail_to_apply(node).startswith(
        "/efs/shared-storage/audit cannot hold the audit logs: it is a directory of ben. Move it away on a node, and"
    )
    output(node, "rmdir /efs/shared-storage/audit")
    output(node, "setpriv --reuid=5002 --regid=5002 --clear-groups ln -s /tmp /efs/shared-storage/audit")
    assert "it is a symbolic link of ben" in cluster.fail_to_apply(node)
    output(node, "rm /efs/shared-storage/audit")


def test_metrics_answer_on_their_own_port_where_the_licence_has_them(cluster: Cluster, node: Host) -> None:
    publish(cluster)
    assert "metrics" not in cluster.apply(node)
    publish(cluster, metrics={"allowed_cidr": "10.0.1.0/24"})
    assert cluster.apply(node)["metrics"] == "ok"
    shown = output(node, "curl -fsS http://localhost:8989/metrics")
    assert "\npwb_active_user_sessions 0\n" in shown
    assert signed_in(node, "ann").ask(node, "/metrics").status == 404
    publish(cluster, "Basic", metrics={"allowed_cidr": "10.0.1.0/24"})
    assert cluster.apply(node)["metrics"].startswith("curl: (7)")


def test_what_people_do_is_recorded_on_the_shared_storage_for_each_node(cluster: Cluster, node: Host) -> None:
    first, second = node, cluster.add_node()
    publish(cluster, audit={"r_console": "all", "months": 13})
    reports = [cluster.apply(node) for node in (first, second)]
    assert [report["audit"] for report in reports] == ["rstudio-server 700"] * 2
    browser = signed_in(first, "ann")
    browser.submit(first, "/", "/start-session", any="thing")
    signed_in(second, "ben")
    addresses = [report["ipv4"] for report in reports]
    records = [
        [line.split(",") for line in output(second, RECORDS.format(address)).splitlines()[1:]] for address in addresses
    ]
    assert [[(user, event) for _, user, _, event, _ in lines] for lines in records] == [
        [("ann", "auth_login"), ("ann", "session_start")],
        [("ben", "auth_login")],
    ]
    refused = first.run(f"setpriv --reuid=5002 --regid=5002 --clear-groups {RECORDS.format(addresses[0])}", timeout=60)
    assert refused.returncode == 1 and "Permission denied" in refused.stderr
    output(first, f"chmod 755 /efs/shared-storage/audit/{addresses[0]}")
    assert cluster.apply(first)["audit"] == "rstudio-server 700"
    publish(cluster)
    assert "audit" not in cluster.apply(first)
    assert output(first, RECORDS.format(addresses[0]))  # what was recorded stays
