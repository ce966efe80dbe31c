"""Files of /etc/rstudio that an input gives: placed, read while sessions go on, compared, taken back."""

from collections.abc import Iterator
from shlex import quote
from typing import Any

import pytest

from benchwright.models import FileSecret, Repos
from rehearsal.hosts.host import Host
from tests.nodes.cluster import ANNA, END_SESSIONS, Cluster, lift_fault, order_fault, report
from tests.nodes.test_sessions import main_process

RSESSION, PROFILES = "rsession.conf", "launcher.local.profiles.conf"


def read(node: Host, name: str) -> str:
    return node.run(f"cd /etc/rstudio && stat -c '%04a %U:%G' {name} && cat {name}", timeout=60).stdout


def services(node: Host) -> list[str]:
    return [main_process(node, service) for service in ("rstudio-server", "rstudio-launcher")]


def apply(cluster: Cluster, node: Host, files: dict[str, Any], **wanted: Any) -> tuple[list[str], bool]:
    cluster.publish(accounts=[ANNA], files=files, **wanted)
    reported = cluster.apply(node)
    return [path.removeprefix("etc/rstudio/") for path in reported["changed"]], reported["restarted"]


@pytest.fixture(autouse=True)
def no_session(node: Host) -> Iterator[None]:
    """Each test begins with the configuration that it needs, and no session."""
    yield
    node.run(END_SESSIONS, timeout=60)


def test_what_needs_no_restart_ends_no_session_and_is_taken_back(cluster: Cluster, node: Host) -> None:
    cluster.publish(accounts=[ANNA])
    cluster.apply(node)
    session, running = cluster.start_session(node, "anna"), services(node)
    given = {
        RSESSION: {"keys": {"session-timeout-minutes": "60", "copilot-enabled": "0"}},
        PROFILES: {"sections": {"anna": {"max-cpus": "4"}, "@analysts": {"max-cpus": "2"}, "*": {"max-cpus": "1"}}},
        "repos.conf": {"text": "CRAN=https://packages.example.com/cran"},
        "logging.conf": {"sections": {"*": {"log-level": "info"}}},
    }
    of_image = read(node, RSESSION)
    assert apply(cluster, node, given) == ([PROFILES, "logging.conf", "repos.conf", RSESSION], False)
    assert read(node, RSESSION) == "0644 root:root\ncopilot-enabled=0\nsession-timeout-minutes=60\n"
    assert read(node, PROFILES) == (
        "0644 root:root\n[*]\nmax-cpus=1\n\n[@analysts]\nmax-cpus=2\n\n[anna]\nmax-cpus=4\n"
    )
    assert read(node, "repos.conf") == "0644 root:root\nCRAN=https://packages.example.com/cran\n"
    assert "The profiles were read again" in node.run("tail -n 1 /var/log/rstudio/launcher/*.log", timeout=60).stdout
    assert (
        "The configuration was read again" in node.run("cat /var/log/rstudio/rstudio-server/*.log", timeout=60).stdout
    )

    node.run("echo '# by hand' >>/etc/rstudio/repos.conf; chmod 600 /etc/rstudio/rsession.conf", timeout=60)
    node.run(f"rm /etc/rstudio/{PROFILES}", timeout=60)
    assert report(cluster.run(node, "report"))["differences"] == [
        f"/etc/rstudio/{PROFILES}: missing",
        "/etc/rstudio/repos.conf: content",
        "/etc/rstudio/rsession.conf: mode=0600, not mode=0644",
    ]
    assert apply(cluster, node, given) == ([PROFILES, "repos.conf", RSESSION], False)
    assert report(cluster.run(node, "report"))["differences"] == []

    assert apply(cluster, node, {}) == (["repos.conf", PROFILES, "logging.conf", RSESSION], False)
    assert read(node, RSESSION) == of_image
    assert node.run(f"ls /etc/rstudio | grep -cE '^({PROFILES}|logging.conf)$'", timeout=60).stdout == "0\n"
    assert read(node, "repos.conf") == f"0644 root:root\nCRAN={Repos().cran}\n"
    assert report(cluster.run(node, "report"))["differences"] == []
    assert services(node) == running
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == f"{session}  anna  rsession\n"


def test_what_workbench_does_not_know_is_refused_before_anything_changes_or_put_back(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish(accounts=[ANNA], files={PROFILES: {"sections": {"*": {"max-cpus": "1"}}}})
    cluster.apply(node)
    session, running, before = cluster.start_session(node, "anna"), services(node), read(node, PROFILES)
    for key, value, wrong in (
        ("session-no-such", "1", "unrecognised option 'session-no-such'"),
        ("session-timeout-minutes", "1 h", "the argument ('1 h') for option 'session-timeout-minutes' is invalid"),
    ):
        cluster.publish(accounts=[ANNA], files={RSESSION: {"keys": {key: value}}})
        assert cluster.fail_to_apply(node) == (
            "Sessions of Workbench 2026.07.1+147.pro6 refuse the configuration, so nothing was changed on this node: "
            f"Error reading /etc/rstudio/rsession.conf: {wrong}. Correct files (rsession.conf) in the input and deploy "
            "again."
        )
    cluster.publish(accounts=[ANNA], files={PROFILES: {"sections": {"*": {"max-cpu": "1"}}}})
    assert cluster.fail_to_apply(node) == (
        "The job launcher of Workbench 2026.07.1+147.pro6 refuses its profiles: ERROR Unknown param max-cpu specified "
        f"in file /etc/rstudio/{PROFILES}. Correct files (launcher.local.profiles.conf, launcher.local.resources.conf) "
        "in the input and deploy again. The previous files are back, and Workbench runs with them."
    )
    assert (read(node, PROFILES), services(node)) == (before, running)
    assert (
        node.run("tail -n 1 /var/log/rstudio/launcher/*.log", timeout=60).stdout
        == "INFO The profiles were read again\n"
    )
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == f"{session}  anna  rsession\n"


def test_a_file_that_needs_a_restart_spares_sessions_and_one_of_the_launcher_suspends_them(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish(accounts=[ANNA])
    cluster.apply(node)
    cluster.start_session(node, "anna")
    server, launcher = services(node)
    env = {"launcher-env": {"text": "JobType: any\nEnvironment: LANG=en_US.UTF-8\n"}}
    assert apply(cluster, node, env) == (["launcher-env"], True)
    assert services(node)[1] == launcher
    assert services(node)[0] != server
    assert node.run("rstudio-server active-sessions | wc -l", timeout=60).stdout == "1\n"
    conf = {"launcher.conf": {"sections": {"server": {"enable-debug-logging": "1", "thread-pool-size": "8"}}}}
    assert apply(cluster, node, env | conf) == (["launcher.conf"], True)
    assert services(node)[1] != launcher
    assert node.run("rstudio-server active-sessions | wc -l", timeout=60).stdout == "0\n"
    assert "thread-pool-size=8\nenable-debug-logging=1\n\n[cluster]\nname=Local\n" in read(node, "launcher.conf")


def test_the_first_limit_restarts_the_launcher_and_a_change_of_one_ends_no_session(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish(accounts=[ANNA])
    assert cluster.apply(node)["limits"] is None
    cluster.start_session(node, "anna")
    order_fault(node, "cgroups")
    limits: Any = {"default": {"cpus": 1, "max_cpus": 2}, "users": {"anna": {"max_memory_mb": 4096}}}
    assert apply(cluster, node, {}, limits=limits) == (["launcher.conf", PROFILES], True)
    assert node.run("rstudio-server active-sessions | wc -l", timeout=60).stdout == "0\n"
    assert "enable-cgroups=1\n" in read(node, "launcher.conf")
    said = "WARNING Could not create cgroup /sys/fs/cgroup/launcher: Read-only file system"
    assert report(cluster.run(node, "report"))["limits"] == "off"
    assert node.run(f"grep -xc {quote(said)} /var/log/benchwright/configure.log", timeout=60).stdout == "1\n"
    lift_fault(node, "cgroups")
    assert apply(cluster, node, {}) == (["launcher.conf", PROFILES], True)
    apply(cluster, node, {}, limits=limits)
    assert report(cluster.run(node, "report"))["limits"] == "on"

    session, running = cluster.start_session(node, "anna"), services(node)
    limits["users"]["anna"]["max_cpus"] = 4
    assert apply(cluster, node, {}, limits=limits) == ([PROFILES], False)
    assert read(node, PROFILES) == (
        "0644 root:root\n[*]\ndefault-cpus=1\nmax-cpus=2\n\n[anna]\nmax-cpus=4\nmax-mem-mb=4096\n"
    )
    shares = [
        f"/etc/systemd/system/{unit}.d/benchwright-memory.conf" for unit in ("system.slice", "rstudio-server.service")
    ]
    assert apply(cluster, node, {}, limits=limits | {"reserved_memory_mb": 2048}) == (
        [path[1:] for path in shares],
        False,
    )
    assert node.run(f"cat {' '.join(shares)}", timeout=60).stdout == (
        "[Slice]\nMemoryMin=2048M\n[Service]\nMemoryMin=2048M\n"
    )
    node.run(f"sed -i s/2048/1/ {shares[1]}; echo max-cpus=400 >>/etc/rstudio/{PROFILES}", timeout=60)
    assert report(cluster.run(node, "report"))["differences"] == [
        f"/etc/rstudio/{PROFILES}: content",
        f"{shares[1]}: content",
    ]
    assert services(node) == running
    assert node.run("rstudio-server active-sessions", timeout=60).stdout == f"{session}  anna  rsession\n"


def test_a_secret_becomes_a_file_of_its_own_and_is_nowhere_else(cluster: Cluster, node: Host) -> None:
    content = "[workspace]\nname = Übung\nclient-secret = hush # not a comment\n"
    arn = cluster.world.aws.secret("benchwright/files/databricks", content)
    given = {name: {"secret": "benchwright/files/databricks"} for name in ("databricks.conf", "audit-database.conf")}
    secrets = dict.fromkeys(given, FileSecret(arn=arn, version="v1"))
    cluster.publish(files=given, file_secrets=secrets)
    cluster.apply(node)
    assert read(node, "databricks.conf") == f"0600 rstudio-server:rstudio-server\n{content}"
    assert read(node, "audit-database.conf") == f"0600 root:root\n{content}"
    assert cluster.apply(node)["changed"] == []
    assert node.run("grep -rl hush /var/log /run /var/lib/benchwright", timeout=60).stdout == ""
    cluster.world.aws.secrets[arn, "v2"] = content.replace("hush", "other")
    cluster.publish(files=given, file_secrets=dict.fromkeys(given, FileSecret(arn=arn, version="v2")))
    assert cluster.apply(node)["changed"] == ["etc/rstudio/audit-database.conf", "etc/rstudio/databricks.conf"]
    cluster.publish()
    cluster.apply(node)
    assert node.run("ls /etc/rstudio | grep -c 'databricks\\|audit'", timeout=60).stdout == "0\n"


def test_what_no_one_else_knows_arrives_byte_for_byte_and_a_folder_is_no_file(cluster: Cluster, node: Host) -> None:
    texts = ["0123456789", "Ünïcode 密码 🔑\n", "a'b\"c$(id)`id`\\ @PRIVATE_ADDRESS@ %s\n\n\n"]
    cluster.publish(files={f"of-team-{number}": {"text": text} for number, text in enumerate(texts)})
    cluster.apply(node)
    for number, text in enumerate(texts):
        assert read(node, f"of-team-{number}") == f"0644 root:root\n{text if text.endswith('\n') else text + '\n'}"
    node.run("mkdir /etc/rstudio/of-a-team", timeout=60)
    cluster.publish(files={"of-a-team": {"text": "x"}})
    assert "/etc/rstudio/of-a-team is a folder on this node" in cluster.fail_to_apply(node)
