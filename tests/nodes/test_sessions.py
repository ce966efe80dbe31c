"""People's sessions outlive what is configured, and are suspended before their node goes, in the last test."""

from rehearsal.hosts.host import Host
from tests.nodes.cluster import ANNA, START_SESSION, Cluster
from tests.waiting import until

SUSPENDED = "/efs/home/anna/.local/share/rstudio/sessions/active/session-{}/suspended-session-data"


def main_process(node: Host, service: str) -> str:
    return node.run(f"systemctl show -p MainPID --value {service}", timeout=60).stdout.strip()


def test_a_change_of_the_configuration_restarts_the_server_and_ends_no_session(cluster: Cluster, node: Host) -> None:
    session = cluster.start_session(node, "anna")
    launcher, server = main_process(node, "rstudio-launcher"), main_process(node, "rstudio-server")
    cluster.publish(accounts=[ANNA], config={"auth-timeout-minutes": "45"})
    reported = cluster.apply(node)
    assert (reported["changed"], reported["restarted"], reported["health"]) == (
        ["etc/rstudio/rserver.conf"],
        True,
        "ok",
    )
    assert main_process(node, "rstudio-launcher") == launcher
    assert main_process(node, "rstudio-server") not in {server, "0"}
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == f"{session}  anna  rsession\n"
    node.run(f"kill -9 {session}", timeout=60)


BROWSER = """#!/bin/bash
# An open browser: whenever the server answers and its user has no session, it has one again.
cat >/run/browser <<'END'
#!/bin/bash
until ! sleep 0.2; do
  grep -qsx rsession /proc/[0-9]*/comm && continue
  curl -fs --max-time 2 -o /dev/null http://localhost:8787/health-check && /run/resume
done
END
cat >/run/resume <<'END'
{resume}
END
chmod 755 /run/browser /run/resume
setsid /run/browser >/dev/null 2>&1 </dev/null &
"""


def open_browser(node: Host, user: str) -> int:
    """A browser that resumes the user's session as long as the server serves; gives the session of its beginning."""
    script = BROWSER.format(resume=START_SESSION.format(user=user))
    assert node.run(script, timeout=60).returncode == 0
    found = node.run("until rstudio-server active-sessions | grep -o '^[0-9]*'; do sleep 0.1; done", timeout=60)
    return int(found.stdout.split()[0])


def test_sessions_are_suspended_before_a_change_of_the_launcher_stops_it(cluster: Cluster, node: Host) -> None:
    session, launcher = open_browser(node, "anna"), main_process(node, "rstudio-launcher")
    node.run("echo thread-pool-size=8 >>/etc/rstudio/launcher.conf", timeout=60)
    assert cluster.apply(node)["changed"] == ["etc/rstudio/launcher.conf"]
    assert main_process(node, "rstudio-launcher") not in {launcher, "0"}
    assert node.run(f"stat -c %U {SUSPENDED.format(session)}", timeout=60).stdout == "anna\n"
    assert "sessions still run" not in node.run("cat /var/log/benchwright/configure.log", timeout=60).stdout


def terminate(cluster: Cluster) -> None:
    """The group takes the first node away, and its watcher ends the services, within the time of the hook."""
    cluster.world.aws.waiting.add(("i-0000000000000000a", "stop-services"))
    cluster.world.hosts.metadata.instances["10.0.1.10"].state = "Terminated"  # type: ignore[attr-defined]
    until(lambda: not cluster.world.aws.waiting, "the end of the hook")


def test_a_terminated_instance_suspends_its_sessions_stops_workbench_and_completes_its_hook(
    cluster: Cluster, node: Host
) -> None:
    """No open browser resumes a session meanwhile."""
    sessions = [open_browser(node, "anna"), cluster.start_session(node, "anna")]
    terminate(cluster)
    assert cluster.statuses() == []
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == ""
    for session in sessions:
        assert node.run(f"stat -c %U {SUSPENDED.format(session)}", timeout=60).stdout == "anna\n"
