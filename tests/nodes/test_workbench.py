"""The stand-in of Workbench refuses what the real one refuses; the node script mends most of it before it shows."""

import pytest

from tests.nodes.cluster import Cluster, lift_fault, order_fault, report

RESTART = "systemctl stop rstudio-server; {tamper}; systemctl start rstudio-server; systemctl is-active rstudio-server"
LOG = "cat /var/log/rstudio/rstudio-server/rserver.log"


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        ("chmod 0644 /etc/rstudio/database.conf", "it must be 0600 and belong to root:root"),
        ("printf %064d 7 >/etc/rstudio/secure-cookie-key", "Could not decrypt the PostgreSQL password"),
        ("echo no-such=1 >>/etc/rstudio/rserver.conf", "unrecognised option 'no-such'"),
        ("chmod 0755 /efs/shared-storage", "it must be 1777"),
        ("umount /efs/shared-storage; sed -i /shared-storage/d /etc/fstab", "it is not mounted"),
        ("sed -i s/^balancer=.*/balancer=round-robin/ /etc/rstudio/load-balancer", "invalid balancer 'round-robin'"),
    ],
)
def test_a_server_that_would_not_start_does_not_start(cluster: Cluster, tamper: str, reason: str) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    done = node.run(RESTART.format(tamper=tamper), timeout=60)
    assert done.stdout.splitlines()[-1] != "active"
    told = node.run(f"{LOG}; rstudio-server check-config 2>&1", timeout=60).stdout + done.stderr
    assert reason in told


def test_without_the_homes_no_service_starts(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    node.run("systemctl stop rstudio-server rstudio-launcher; umount /efs/home", timeout=30)
    order_fault(node, "mounts")
    for service in ("rstudio-launcher", "rstudio-server"):
        done = node.run(f"systemctl start {service}; systemctl is-active {service}", timeout=30)
        refused = f"A dependency job for {service}.service failed. See 'journalctl -xe' for details.\n"
        assert (done.stdout, done.stderr) == ("inactive\n", refused)
    lift_fault(node, "mounts")
    started = node.run("systemctl start rstudio-server && mountpoint /efs/home", timeout=30)
    assert started.stdout == "/efs/home is a mountpoint\n"


def test_an_installation_is_not_verified_while_the_server_runs(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    done = node.run("rstudio-server verify-installation", timeout=60)
    assert done.returncode == 1
    assert "Server is running and must be stopped" in done.stdout + done.stderr


def test_another_protocol_than_the_cluster_s_is_refused(cluster: Cluster) -> None:
    cluster.publish()
    first, node = cluster.add_node(), cluster.add_node()
    cluster.apply(first)  # while a node is Online, what defines the cluster stays
    cluster.apply(node)
    cluster.postgres.execute("update cluster set protocol = 'Https'", database="rstudio")
    node.run("systemctl restart rstudio-server", timeout=30)
    assert "Invalid protocol" in node.run(LOG, timeout=60).stdout


def test_a_lease_of_a_license_server_is_a_licence(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    assert cluster.apply(node)["license"] == "missing"
    order_fault(node, "lease")
    assert report(cluster.run(node, "report"))["license"] == "Activated"
