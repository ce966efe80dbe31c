"""People's sessions outlive what is configured, and are suspended before their node goes."""

from benchwright.models import Account
from tests.nodes.cluster import Cluster
from tests.rehearsal.hosts.host import Host
from tests.waiting import until

ANNA = Account(name="anna", uid=5001, gid=5001)
SUSPENDED = "/efs/home/anna/.local/share/rstudio/sessions/active/session-{}/suspended-session-data"


def main_process(node: Host, service: str) -> str:
    return node.run(f"systemctl show -p MainPID --value {service}", timeout=60).stdout.strip()


def test_a_change_of_the_configuration_restarts_the_server_and_ends_no_session(cluster: Cluster) -> None:
    cluster.publish(accounts=[ANNA])
    node = cluster.add_node()
    cluster.apply(node)
    session = cluster.start_session(node, "anna")
    launcher, server = main_process(node, "rstudio-launcher"), main_process(node, "rstudio-server")
    cluster.publish(accounts=[ANNA], config={"auth-timeout-minutes": "45"})
    told = cluster.apply(node)
    assert (told["changed"], told["restarted"], told["health"]) == (["etc/rstudio/rserver.conf"], True, "ok")
    assert main_process(node, "rstudio-launcher") == launcher
    assert main_process(node, "rstudio-server") not in {server, "0"}
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == f"{session}  anna  rsession\n"


def test_a_terminated_instance_suspends_its_sessions_stops_workbench_and_completes_its_hook(cluster: Cluster) -> None:
    cluster.publish(accounts=[ANNA])
    node = cluster.add_node()
    cluster.apply(node)
    sessions = [cluster.start_session(node, "anna") for _ in range(2)]
    cluster.world.aws.waiting.add(("i-0000000000000000a", "stop-services"))
    cluster.world.hosts.metadata.instances["10.0.1.10"].state = "Terminated"  # type: ignore[attr-defined]
    until(lambda: not cluster.world.aws.waiting, "the end of the hook")
    assert cluster.statuses() == []
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == ""
    for session in sessions:
        assert node.run(f"stat -c %U {SUSPENDED.format(session)}", timeout=60).stdout == "anna\n"
