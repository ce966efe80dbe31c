"""The stand-in of Workbench refuses what the real one refuses; the node script fixes most of it before it shows.

Most tests go on with the same node: what they break they heal, until the last ones.
"""

import re

from benchwright.models import License
from rehearsal.hosts.host import Host
from rehearsal.hosts.mirror import PYTHON_PACKAGES
from rehearsal.hosts.packages import POSITRON_VERSION, QUARTO_VERSION, VSCODE_VERSION
from tests.nodes.cluster import ANNA, Cluster, lift_fault, order_fault, report
from tests.nodes.conftest import PYTHON_VERSIONS
from tests.waiting import until

RESTART = "systemctl stop rstudio-server; {tamper}; systemctl start rstudio-server; systemctl is-active rstudio-server"
JUPYTERLAB = re.findall(r"^jupyterlab==(\S+)", PYTHON_PACKAGES.read_text(), re.MULTILINE)[
    -1
]  # of Python 3.10 and newer
SERVER_LOG = "/var/log/rstudio/rstudio-server/rserver.log"
POINT = "/efs/shared-storage"
HEAL = f"""cp -a /root/fstab /etc; cp -a /root/rstudio/. /etc/rstudio
    mountpoint -q {POINT} || mount {POINT}; chmod 1777 {POINT}"""
REFUSED = {
    "chmod 0644 /etc/rstudio/database.conf": "it must be 0600 and belong to root:root",
    "printf %064d 7 >/etc/rstudio/secure-cookie-key": "Could not decrypt the PostgreSQL password",
    "echo no-such=1 >>/etc/rstudio/rserver.conf": "unrecognised option 'no-such'",
    "chmod 0755 /efs/shared-storage": "it must be 1777",
    "umount /efs/shared-storage; sed -i /shared-storage/d /etc/fstab": "it is not mounted",
    "sed -i s/^balancer=.*/balancer=round-robin/ /etc/rstudio/load-balancer": "invalid balancer 'round-robin'",
}


def test_an_installation_is_not_verified_while_the_server_runs(node: Host) -> None:
    done = node.run("rstudio-server verify-installation", timeout=60)
    assert done.returncode == 1
    assert "Server is running and must be stopped" in done.stdout + done.stderr


def test_a_server_that_would_not_start_does_not_start(node: Host) -> None:
    node.run("cp -a /etc/rstudio /etc/fstab /root", timeout=60)
    found = {}
    for tamper, reason in REFUSED.items():
        done = node.run(RESTART.format(tamper=f">{SERVER_LOG}; {tamper}"), timeout=60)
        said = node.run(f"cat {SERVER_LOG}; rstudio-server check-config 2>&1", timeout=60).stdout + done.stderr
        assert done.stdout.splitlines()[-1] != "active", tamper
        found[tamper] = reason if reason in said else said
        healed = node.run(RESTART.format(tamper=HEAL), timeout=60)
        assert healed.stdout.splitlines()[-1:] == ["active"], (tamper, healed.stderr)
    assert found == REFUSED


def test_who_mounts_at_the_same_time_mounts_once(node: Host) -> None:
    node.run("systemctl stop efs-home.mount", timeout=60)
    ask = "for _ in 1 2 3 4; do systemctl start /efs/home & done; wait; grep -c ' /efs/home ' /proc/mounts"
    assert node.run(ask, timeout=60).stdout == "1\n"


def test_without_the_homes_no_service_starts(node: Host) -> None:
    node.run("systemctl stop rstudio-server rstudio-launcher; umount /efs/home", timeout=30)
    order_fault(node, "mounts")
    for service in ("rstudio-launcher", "rstudio-server"):
        done = node.run(f"systemctl start {service}; systemctl is-active {service}", timeout=30)
        refused = f"A dependency job for {service}.service failed. See 'journalctl -xe' for details.\n"
        assert (done.stdout, done.stderr) == ("inactive\n", refused)
    lift_fault(node, "mounts")
    started = node.run("systemctl start rstudio-server && mountpoint /efs/home", timeout=30)
    assert started.stdout == "/efs/home is a mountpoint\n"


def test_workbench_starts_when_its_mounts_come_after_a_reboot(node: Host) -> None:
    node.run("systemctl stop rstudio-server rstudio-launcher", timeout=60)  # sessions and homes are closed
    order_fault(node, "mounts")
    node.reboot()
    states = "systemctl is-active efs-home.mount benchwright-mounts rstudio-launcher rstudio-server"
    waits = ["failed", "failed", "inactive", "inactive"]  # but while the mounts are tried once more
    until(lambda: node.run(states, timeout=60).stdout.split() == waits, "Workbench to wait for its mounts")
    lift_fault(node, "mounts")
    wait = f"for _ in $(seq 100); do {states} | grep -qv '^active' || break; /bin/sleep 0.5; done; {states}"
    assert node.run(wait, timeout=120).stdout.split() == ["active"] * 4
    assert node.run("grep -c ' /efs/' /proc/mounts", timeout=60).stdout == "2\n"


def test_another_protocol_than_the_cluster_s_is_refused(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    another = cluster.add_node()
    cluster.apply(another)  # while a node is Online, what defines the cluster stays
    ((protocol,),) = cluster.postgres.execute("select protocol from cluster", database="rstudio")
    cluster.postgres.execute("update cluster set protocol = 'Https'", database="rstudio")
    another.run("systemctl restart rstudio-server", timeout=30)
    cluster.postgres.execute("update cluster set protocol = %s", protocol, database="rstudio")
    assert "Invalid protocol" in another.run(f"cat {SERVER_LOG}", timeout=60).stdout


LEASE = License(server="licenses.example.com:8989")


def test_a_licence_server_that_has_no_seat_left_or_does_not_answer_is_named(cluster: Cluster) -> None:
    cluster.world.hosts.licenses.seats = 0
    node = cluster.add_node()
    try:
        for server, why in (("licenses.example.com:8989", "Conflict"), ("licenses.example.com:8988", "refused")):
            cluster.publish(license=License(server=server))
            error = cluster.fail_to_apply(node)
            assert error.startswith(f"Workbench cannot use the licence server {server}: ERROR Could not obtain a lease")
            assert why in error
    finally:
        cluster.world.hosts.licenses.seats = 50


def test_a_licence_key_is_refused(cluster: Cluster) -> None:
    cluster.publish(license=cluster.license("ABCD-EF01-2345-6789-ABCD-EF01-2345\n"))
    assert "holds a licence key, which each machine uses up" in cluster.fail_to_apply(cluster.add_node())


def test_no_session_ends_and_no_service_stops_because_a_library_changes(cluster: Cluster, node: Host) -> None:
    session = cluster.start_session(node, "anna")
    done = node.run("apt-get update && apt-get install -y --reinstall psmisc", timeout=60)
    assert (done.returncode, "systemctl restart rstudio" in done.stdout) == (0, False)
    assert node.run(f"cat /proc/{session}/comm", timeout=60).stdout == "rsession\n"
    node.run("rm /etc/needrestart/conf.d/benchwright.conf; apt-get install -y --reinstall psmisc", timeout=60)
    assert node.run(f"test -e /proc/{session}", timeout=60).returncode == 1


def test_an_installation_is_verified_by_a_session_of_someone_where_there_is_a_licence(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish(accounts=[ANNA])
    launched = "grep -E '^Launched .* session job' /var/log/benchwright/configure.log"
    cluster.apply(node)
    assert node.run(launched, timeout=60).stdout == ""  # which no licence allows
    cluster.publish(accounts=[ANNA], license=cluster.license("a licence"))
    reported = cluster.apply(node)
    ides = {
        "jupyterlab": JUPYTERLAB,
        "kernels": PYTHON_VERSIONS.split(),
        "vscode": VSCODE_VERSION,
        "positron": POSITRON_VERSION,
        "quarto": QUARTO_VERSION,
        "tinytex": "2026.10",
    }
    assert (reported["ides"], reported["gpus"]) == (ides, {"count": 0, "driver": None})
    sessions = ["R session", "JupyterLab session", "VS Code session"]
    assert node.run(launched, timeout=60).stdout == "".join(
        f"Launched {each} job for cluster Local\n" for each in sessions
    )
    node.run("rm -r /opt/python/jupyter/lib/python*/site-packages/jupyterlab-*", timeout=60)
    cluster.publish(accounts=[ANNA], license=cluster.license("a licence"), config={"admin-enabled": "1"})
    assert "JupyterLab does not start on this node" in cluster.fail_to_apply(node)
    node.run("rm -r /usr/lib/rstudio-server/bin/positron-server /usr/local/bin/pdflatex", timeout=60)
    lacking = {"jupyterlab": None, "positron": None, "tinytex": None}
    assert report(cluster.run(node, "report"))["ides"] == ides | lacking


def test_a_node_leases_a_licence_and_gives_it_back_when_it_leaves(cluster: Cluster, node: Host) -> None:
    leases = cluster.world.hosts.licenses.leases
    cluster.publish(license=LEASE)
    reported = cluster.apply(node)
    assert (reported["license"], reported["license_terms"]) == (
        "Activated",
        {"tier": "Advanced", "seats": 25, "days_left": 200},
    )
    assert len(leases) == 1
    assert cluster.apply(node)["changed"] == []
    cluster.publish(license=cluster.license("a licence"))
    assert "var/lib/benchwright/license-server" in cluster.apply(node)["changed"]
    assert (report(cluster.run(node, "report"))["license"], leases) == ("Activated", set())
    cluster.publish(license=LEASE)
    cluster.apply(node)
    assert len(leases) == 1
    metadata = cluster.world.hosts.metadata.instances[node.address]
    cluster.world.aws.waiting.add((metadata.instance_id, "stop-services"))
    metadata.state = "Terminated"  # type: ignore[attr-defined]
    until(lambda: not cluster.world.aws.waiting, "the node to let its group go on")
    assert leases == set()
    assert node.run("ls /var/lib/rstudio-server/license-server", timeout=60).returncode != 0
