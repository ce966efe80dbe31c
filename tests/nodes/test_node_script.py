"""The script of the SSM document makes instances nodes of one cluster, changes nothing the second time, and says what
is wrong.

Most tests go on with the same two nodes. Each publishes a configuration of its own with accounts of its own, and leaves
nodes to which the next configuration can be applied.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from psycopg2 import sql

from benchwright.models import Account, NodeGroup
from benchwright.secrets import Secret
from rehearsal.aws.clock import Clock
from rehearsal.hosts.host import Completed, Host
from rehearsal.judges import secrets
from tests.nodes import templates
from tests.nodes.cluster import (
    KEY,
    NAMES,
    PASSWORD,
    ROOT_ACCESS,
    Cluster,
    end_scripts_that_move_to,
    lift_fault,
    order_fault,
    report,
)
from tests.nodes.conftest import WORKBENCH

STATE_OF_THE_NODE = """#!/bin/bash
find /etc/rstudio /var/lib/benchwright /var/lib/rstudio-server -type f ! -name boot-checked 2>/dev/null |
  sort | xargs sha256sum
getent passwd; systemctl is-active rstudio-server rstudio-launcher
"""
ONLINE = [("10.0.1.10", "Online"), ("10.0.1.11", "Online")]
NEW = Account(name="new", uid=5099, gid=5099)
"""Someone whom no node ever gets."""
EXPIRES = 7
"""Of a line of /etc/shadow, the day since 1970 from which no one logs in to the account, by key as little as by
password; empty for never.
"""


def shadow(node: Host, name: str) -> list[str]:
    return node.run(f"getent shadow {name}", timeout=60).stdout.strip().split(":")


@dataclass
class Nodes:
    """The two nodes of this file, and the run that gave the first one its first configuration."""

    first: Host
    second: Host
    configuration: str
    run: Completed
    waiting: set[tuple[str, str]]


@pytest.fixture(scope="module")
def nodes(cluster_of_file: Cluster) -> Nodes:
    configuration = cluster_of_file.publish(license=cluster_of_file.license("a licence"))
    first, second = cluster_of_file.add_node(), cluster_of_file.add_node()
    cluster_of_file.world.aws.waiting.add(("i-0000000000000000a", "configured"))
    run = cluster_of_file.run(first, "apply")
    waiting = set(cluster_of_file.world.aws.waiting)
    cluster_of_file.apply(second)
    return Nodes(first, second, configuration, run, waiting)


@pytest.fixture
def node(nodes: Nodes) -> Host:
    return nodes.first


def test_two_nodes_form_a_cluster_and_a_second_run_changes_nothing(cluster: Cluster, nodes: Nodes) -> None:
    first, second = nodes.first, nodes.second
    reported = report(nodes.run)
    assert {
        key: reported[key] for key in ("instance", "ipv4", "workbench", "configuration", "restarted", "health", "error")
    } == {
        "instance": "i-0000000000000000a",
        "ipv4": "10.0.1.10",
        "workbench": WORKBENCH,
        "configuration": nodes.configuration,
        "restarted": True,
        "health": "ok",
        "error": None,
    }
    assert (reported["license"], reported["rstudio_server"]) == ("Activated", "900:900")
    assert (reported["metadata"], reported["helper"]) == ("refused", "refused")
    assert reported["services"] == {"rstudio-server": "active", "rstudio-launcher": "active"}
    assert reported["mounts"] == ["/efs/home", "/efs/shared-storage"]
    assert cluster.statuses() == ONLINE

    again = cluster.apply(first)
    assert (again["changed"], again["restarted"]) == ([], False)
    assert cluster.world.aws.calls.count("CompleteLifecycleAction configured") == 2  # one of each node
    mode = first.run("stat -c '%a %U:%G' /etc/rstudio/database.conf /etc/rstudio/secure-cookie-key", timeout=60).stdout
    assert mode == "600 root:root\n600 root:root\n"
    written = first.run("cat /etc/rstudio/database.conf /var/log/benchwright/configure.log", timeout=60).stdout
    assert PASSWORD not in written

    printed = cluster.run(second, "cluster").stdout
    listing, _, status = printed.partition("=== load-balancer status ===")
    assert listing.count("Online") == 2
    assert "10.0.1.10:8787 – 10.0.1.10  Load: " in status
    assert "10.0.1.11:8787 – 10.0.1.11  Load: " in status


def test_the_steps_are_reported_as_they_begin(nodes: Nodes) -> None:
    assert [line for line in nodes.run.stderr.splitlines() if line.startswith("--- ")] == [
        "--- wait for other runs on this node",
        "--- look for room on the disk",
        "--- check how the image booted",
        "--- compare the clock",
        "--- guard the instance metadata and the mount helper",
        "--- ask for the credentials of this node",
        "--- mount the shared file systems",
        "--- fetch the configuration",
        "--- compare the version of Workbench",
        "--- prepare the files of this node",
        "--- check the configuration",
        "--- make the users",
        "--- make the groups",
        "--- stop Workbench",
        "--- place the files",
        "--- verify the installation",
        "--- start Workbench",
        "--- wait until Workbench answers",
        "--- notify the Auto Scaling group that this node is configured",
    ]


def test_an_instance_that_waits_in_the_launch_hook_goes_on_when_it_is_configured(nodes: Nodes) -> None:
    assert nodes.waiting == set()


def test_a_node_that_is_stopped_in_order_leaves_no_row_and_one_that_dies_becomes_stale(
    cluster: Cluster, nodes: Nodes
) -> None:
    third = cluster.add_node()
    cluster.apply(third)
    assert cluster.statuses() == [*ONLINE, ("10.0.1.12", "Online")]
    third.run("systemctl stop rstudio-server rstudio-launcher", timeout=30)
    assert cluster.statuses() == ONLINE
    cluster.apply(third)
    third.stop()
    cluster.postgres.execute(
        "update node set last_seen = now() - interval '1 minute' where ipv4 = '10.0.1.12'", database="rstudio"
    )
    listing = cluster.run(nodes.first, "cluster").stdout
    row = next(line.split() for line in listing.splitlines() if "10.0.1.12" in line and "Offline" in line)
    assert cluster.run(nodes.first, "cluster", stale_nodes=row[0]).returncode == 0
    assert cluster.statuses() == ONLINE


def test_users_have_one_uid_a_home_of_their_own_and_a_password_and_are_locked_when_removed(
    cluster: Cluster, nodes: Nodes
) -> None:
    arn = cluster.world.aws.secret("benchwright/users/anna", "a password of anna")
    anna = Account(name="anna", uid=5001, gid=5001, secret_arn=arn, secret_version="v1")
    cluster.publish(accounts=[anna, Account(name="bob", uid=5002, gid=5002)])
    pair = [nodes.first, nodes.second]
    reported = [cluster.apply(node)["users"] for node in pair]
    assert reported[0] == reported[1]
    assert reported[0]["count"] == 2
    for node in pair:
        assert (
            node.run("id anna; stat -c '%a %U' /efs/home/anna", timeout=60).stdout
            == "uid=5001(anna) gid=5001(anna) groups=5001(anna)\n700 anna\n"
        )
        assert "anna:$" in node.run("getent shadow anna", timeout=60).stdout
    nodes.first.run("echo kept >/efs/home/anna/work", timeout=60)
    password = shadow(nodes.first, "anna")[1]

    cluster.publish(accounts=[Account(name="bob", uid=5002, gid=5002)], locked=[anna])
    for node in pair:
        assert cluster.apply(node)["users"]["count"] == 1
        assert (shadow(node, "anna")[1][0], shadow(node, "anna")[EXPIRES]) == ("!", "1")
        assert shadow(node, "bob")[EXPIRES] == ""
    assert nodes.second.run("cat /efs/home/anna/work", timeout=60).stdout == "kept\n"

    cluster.publish(accounts=[anna, Account(name="bob", uid=5002, gid=5002)])
    assert cluster.apply(nodes.first)["users"] == reported[0]
    assert (shadow(nodes.first, "anna")[1], shadow(nodes.first, "anna")[EXPIRES]) == (password, "")


def test_names_and_ids_as_directories_give_them_and_no_subordinate_ids(cluster: Cluster, node: Host) -> None:
    """Who has a range of subordinate ids can act as each id of it, and the input may give one of them to another."""
    people = {"jane.doe": 60_000, "7of9": 120_000, "x" * 32: 2_147_483_646}
    accounts = [Account(name=name, uid=uid, gid=uid) for name, uid in people.items()]
    cluster.publish(accounts=accounts)
    earlier = "useradd --badname --uid 60000 --user-group --home-dir /efs/home/jane.doe --shell /bin/bash jane.doe"
    node.run(f"touch /etc/subuid /etc/subgid; {earlier}; echo ubuntu:900000:9 >>/etc/subuid", timeout=60)
    assert node.run("cat /etc/subuid", timeout=60).stdout == "jane.doe:100000:65536\nubuntu:900000:9\n"
    assert cluster.apply(node)["users"]["count"] == 3
    assert differences(cluster, node) == []
    for name, uid in people.items():
        done = node.run(f"id -u {name}; id -g {name}; stat -c '%a %u %g' /efs/home/{name}", timeout=60)
        assert done.stdout == f"{uid}\n{uid}\n700 {uid} {uid}\n"
    assert node.run("cat /etc/subuid /etc/subgid", timeout=60).stdout == "ubuntu:900000:9\n"

    cluster.publish(accounts=accounts[:1], locked=accounts[1:])
    cluster.apply(node)
    assert [shadow(node, name)[EXPIRES] for name in people] == ["", "1", "1"]
    node.run("usermod --append --groups sudo jane.doe", timeout=60)
    assert differences(cluster, node) == ["user:jane.doe: groups=sudo, not groups="]
    cluster.apply(node)
    assert node.run("id -nG jane.doe", timeout=60).stdout == "jane.doe\n"


def test_groups_are_the_same_on_every_node_and_change_without_touching_homes(cluster: Cluster, nodes: Nodes) -> None:
    eva, bob = Account(name="eva", uid=5011, gid=5011), Account(name="bob.b", uid=5012, gid=5012)
    analysts, writers = (NodeGroup(name=name, gid=gid, members=[]) for name, gid in (("analysts", 6001), ("7th", 6002)))

    def of(group: NodeGroup, *members: str) -> NodeGroup:
        return group.model_copy(update={"members": list(members)})

    def memberships(node: Host) -> str:
        groups = "id -nG eva; id -nG bob.b | tr ' ' '\\n' | sort | paste -sd ' '; getent group analysts 7th"
        return node.run(groups, timeout=60).stdout

    cluster.publish(accounts=[eva, bob], groups=[of(analysts, "eva", "bob.b"), of(writers, "bob.b")])
    pair = [nodes.first, nodes.second]
    reported = [cluster.apply(node)["groups"] for node in pair]
    assert reported[0] == reported[1]
    found = "eva analysts\n7th analysts bob.b\nanalysts:x:6001:eva,bob.b\n7th:x:6002:bob.b\n"
    assert [memberships(node) for node in pair] == [found, found]
    assert [differences(cluster, node) for node in pair] == [[], []]
    owned = (
        "cd /efs/home/eva && echo kept >shared && chgrp analysts shared && chmod 2750 . && stat -c '%a %U %g' . shared"
    )
    before = pair[0].run(owned, timeout=60).stdout

    # A person is removed, another changes groups, and a group is removed: files keep its number.
    cluster.publish(accounts=[eva], locked=[bob], groups=[of(writers, "eva")], emptied=[analysts])
    for node in pair:
        assert cluster.apply(node)["groups"] != reported[0]
        assert memberships(node) == "eva 7th\nbob.b\nanalysts:x:6001:\n7th:x:6002:eva\n"
        assert differences(cluster, node) == []
        assert node.run("stat -c '%a %U %g' /efs/home/eva /efs/home/eva/shared", timeout=60).stdout == before
    third = cluster.add_node()
    cluster.apply(third)
    assert third.run("id -nG eva; getent group analysts || echo none", timeout=60).stdout == "eva 7th\nnone\n"

    by_hand = "usermod --append --groups sudo,analysts eva; gpasswd --delete eva 7th"
    pair[0].run(by_hand, timeout=60)
    assert sorted(differences(cluster, pair[0])) == [
        "group:7th: members=, not members=eva",
        "group:analysts: members=eva, not members=",
        "user:eva: groups=sudo, not groups=",
    ]
    assert report(cluster.run(pair[0], "report"))["groups"] != report(cluster.run(third, "report"))["groups"]
    cluster.apply(pair[0])
    assert (memberships(pair[0]), differences(cluster, pair[0])) == (memberships(pair[1]), [])

    # Whoever returns has the groups of the configuration, and a group its number.
    cluster.publish(accounts=[eva, bob], groups=[of(analysts, "eva", "bob.b"), of(writers, "bob.b")])
    for node in (pair[0], third):
        assert cluster.apply(node)["groups"] == reported[0]
        assert memberships(node) == found


def differences(cluster: Cluster, node: Host) -> list[str]:
    reported: list[str] = report(cluster.run(node, "report"))["differences"]
    return reported


def test_what_someone_changed_on_a_node_is_named_and_restored(cluster: Cluster, node: Host) -> None:
    lea, mia = Account(name="lea", uid=5021, gid=5021), Account(name="mia", uid=5022, gid=5022)
    cluster.publish(accounts=[lea, mia])
    cluster.apply(node)
    cluster.publish(accounts=[lea], locked=[mia])
    cluster.apply(node)
    node.run("usermod --shell /bin/sh lea", timeout=60)  # as a person does by chsh
    assert differences(cluster, node) == []
    by_hand = """
        echo x >>/etc/rstudio/rserver.conf
        chmod 644 /etc/rstudio/database.conf
        chown lea:lea /etc/rstudio/launcher.conf
        rm /etc/rstudio/file-locks
        usermod --append --groups sudo --shell /usr/sbin/nologin lea
        usermod --expiredate '' mia
        groupadd guests && usermod --gid guests lea
    """
    done = node.run(f"set -e{by_hand}", timeout=60)
    assert done.returncode == 0, done.stderr
    guests = node.run("getent group guests | cut -d: -f3", timeout=60).stdout.strip()
    assert sorted(differences(cluster, node)) == [
        "/etc/rstudio/database.conf: mode=0644, not mode=0600",
        "/etc/rstudio/file-locks: missing",
        "/etc/rstudio/launcher.conf: owner=lea:lea, not owner=root:root",
        "/etc/rstudio/rserver.conf: content",
        f"user:lea: gid={guests}, not gid=5021",
        "user:lea: groups=sudo, not groups=",
        "user:lea: shell=/usr/sbin/nologin, not shell=login",
        "user:mia: expires=, not expires=1",
    ]
    reported = cluster.apply(node)
    changed = ["database.conf", "file-locks", "launcher.conf", "rserver.conf"]
    assert (sorted(reported["changed"]), reported["restarted"]) == ([f"etc/rstudio/{name}" for name in changed], True)
    assert differences(cluster, node) == []
    assert node.run("id -nG lea; getent passwd lea | cut -d: -f7", timeout=60).stdout == "lea\n/bin/bash\n"
    assert shadow(node, "mia")[EXPIRES] == "1"
    node.run("userdel lea", timeout=60)
    assert differences(cluster, node) == ["user:lea: missing"]
    cluster.apply(node)
    assert differences(cluster, node) == []


OLDER = "2025.09.1+401.pro7"
VERSION = "/usr/lib/rstudio-server/VERSION"


@pytest.mark.parametrize(
    ("version", "unknown"),
    [
        (OLDER, "no-such-option"),
        (
            WORKBENCH,
            "[FAIL] Config file /etc/rstudio/rserver.conf: unrecognized option(s): - no-such-option - nor-this-one",
        ),
    ],
)
def test_a_value_that_workbench_refuses_changes_nothing_on_a_node(
    cluster: Cluster, node: Host, version: str, unknown: str
) -> None:
    node.run(f"echo {version} >{VERSION}", timeout=60)
    cluster.publish(version=version)
    cluster.apply(node)
    before = node.run(f"{STATE_OF_THE_NODE}; cat /run/rstudio-server.pid", timeout=60).stdout
    for complaint, config in (
        (unknown, {"no-such-option": "1", "nor-this-one": "1"}),
        ("the argument ('soon') for option 'auth-timeout-minutes' is invalid", {"auth-timeout-minutes": "soon"}),
    ):
        cluster.publish(version=version, config=config, accounts=[NEW])
        error = cluster.fail_to_apply(node)
        refused = f"Workbench {version} refuses the configuration, so nothing was changed on this node: "
        assert error.startswith(refused), complaint
        assert complaint in error
        assert error.endswith(". Correct config in the input and deploy again."), complaint
        left = node.run(f"{STATE_OF_THE_NODE}; cat /run/rstudio-server.pid", timeout=60).stdout
        assert left == before, complaint
    node.run(f"echo {WORKBENCH} >{VERSION}", timeout=60)


@contextlib.contextmanager
def the_wrong_password(cluster: Cluster) -> Iterator[str]:
    """A configuration whose database secret has a password that PostgreSQL refuses: its hash."""
    kept = cluster.database
    cluster.world.aws.secrets[kept.arn, "v2"] = json.dumps({"username": "rstudio", "password": "wrong"})
    cluster.database = Secret(kept.arn, "v2")
    try:
        yield cluster.publish()
    finally:
        cluster.database = kept


def test_what_does_not_start_gives_way_to_what_worked(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    cluster.apply(node)
    before = node.run(STATE_OF_THE_NODE, timeout=60).stdout
    with the_wrong_password(cluster) as wrong:
        error = cluster.fail_to_apply(node)
    assert "PostgreSQL refuses the login" in error
    assert 'password authentication failed for user "rstudio"' in error
    assert error.endswith(" The previous files are back, and Workbench runs with them.")
    assert node.run(STATE_OF_THE_NODE, timeout=60).stdout == before
    assert cluster.statuses() == ONLINE
    reported = report(cluster.run(node, "report"))
    assert (reported["health"], reported["differences"], reported["configuration"] == wrong) == ("ok", [], False)

    # Where what worked does not start either, both are reported.
    cluster.postgres.execute("alter role rstudio password 'another'")
    with the_wrong_password(cluster):
        error = cluster.fail_to_apply(node)
    cluster.postgres.execute(sql.SQL("alter role rstudio password {}").format(sql.Literal(PASSWORD)))
    assert "PostgreSQL refuses the login" in error
    both = " The previous files are back, but Workbench does not start with them: The Workbench server does not start"
    assert both in error


def test_a_key_that_is_not_the_cluster_s_is_refused(cluster: Cluster, nodes: Nodes) -> None:
    cluster.publish()
    cluster.world.aws.secrets[cluster.key.arn, "v1"] = "f" * 64
    error = cluster.fail_to_apply(cluster.add_node())
    cluster.world.aws.secrets[cluster.key.arn, "v1"] = KEY
    assert "the cluster is registered with another secure-cookie-key" in error
    # The server of the first node may be on its way back from the test before, and its row, too.
    assert cluster.statuses()[-2:] == [ONLINE[1], ("10.0.1.12", "Invalid secure cookie key")]


def test_another_uid_after_a_failed_run_needs_what_the_node_says(cluster: Cluster, node: Host) -> None:
    """A person does what each cause says: replaces the node that has the account, and gives the home to the new uid."""
    cluster.publish(accounts=[Account(name="uma", uid=5031, gid=5031)])
    cluster.apply(node)
    node.run("echo kept >/efs/home/uma/work", timeout=60)
    cluster.publish(accounts=[Account(name="uma", uid=5033, gid=5033)])
    error = cluster.fail_to_apply(node)
    assert error == (
        "User uma has uid 5031 on this node, but uid 5033 in the configuration. If this account comes with the image, "
        "remove it there; otherwise replace each node that has it. Then deploy again. Until a deployment with uma is "
        "verified, the input can also give uma uid 5031."
    )
    replacement = cluster.add_node()
    error = cluster.fail_to_apply(replacement)
    remedy = "chown -R 5033:5033 /efs/home/uma"
    assert error == (
        f"The home /efs/home/uma belongs to uid 5031, but user uma has uid 5033. If it is uma's, run {remedy} on "
        "this node, otherwise move it away. Then deploy again. Until a deployment with uma is verified, the input can "
        "also give uma uid 5031."
    )
    assert replacement.run(remedy, timeout=60).returncode == 0
    cluster.apply(replacement)
    found = replacement.run("stat -c '%u:%g %n' /efs/home/uma /efs/home/uma/work", timeout=60).stdout
    assert found == "5033:5033 /efs/home/uma\n5033:5033 /efs/home/uma/work\n"


def test_without_root_access_to_the_file_system_a_home_cannot_be_made(cluster: Cluster, nodes: Nodes) -> None:
    cluster.actions = frozenset({"ClientMount", "ClientWrite"})
    cluster.publish(accounts=[Account(name="ida", uid=5041, gid=5041)])
    error = cluster.fail_to_apply(cluster.add_node())
    cluster.actions = ROOT_ACCESS
    assert error == (
        "The home of ida cannot be made: mkdir: cannot create directory /efs/home/.benchwright.ida.ip-10-0-1-12: "
        "Permission denied. Give the node role elasticfilesystem:ClientRootAccess to the file system, and deploy again."
    )
    assert not (cluster.directory / "home" / "ida").exists()


def test_without_permission_to_mount_nothing_is_configured(cluster: Cluster) -> None:
    cluster.publish(accounts=[Account(name="anna", uid=5001, gid=5001)])
    node = cluster.add_node()
    before = node.run(STATE_OF_THE_NODE, timeout=60).stdout
    node.run("umount /efs/home; sed -i 's/\"ClientMount\", //' /opt/rehearsal/host/instance.json", timeout=60)
    clock = Clock(math.inf)
    with clock.busy():
        script = templates.document_script(NAMES)
        done = node.run(
            script,
            environment={"SSM_Mode": "apply", "SSM_StaleNodes": "", "SSM_Configuration": ""},
            timeout=900,
            clock=clock,
        )
    assert done.returncode == 1
    assert report(done)["error"] == (
        "/efs/home cannot be mounted: fs-0123456789abcdef0:/ at /efs/home: mount.nfs4: access denied by server while "
        "mounting 127.0.0.1:/. Check /etc/fstab, the mount targets, their security group and the file system's policy."
    )
    assert node.run(STATE_OF_THE_NODE, timeout=60).stdout == before
    assert node.run("ls -A /efs/home; getent passwd anna", timeout=60).stdout == ""


def test_another_version_of_workbench_than_the_cluster_s_is_refused_before_anything_changes(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish(accounts=[NEW])
    node.run(f"echo {OLDER} >{VERSION}", timeout=60)
    before = node.run(STATE_OF_THE_NODE, timeout=60).stdout
    assert "/etc/rstudio/rserver.conf" in before
    assert cluster.fail_to_apply(node) == (
        f"This node has Workbench {OLDER}, but the cluster is to run {WORKBENCH}. If someone installed it "
        f"here, replace the node. If it came with an image of yours, set workbench.version to {OLDER} or use "
        f"an image with {WORKBENCH}."
    )
    assert node.run(STATE_OF_THE_NODE, timeout=60).stdout == before
    node.run(f"echo {WORKBENCH} >{VERSION}", timeout=60)


def test_what_was_not_verified_is_not_taken_for_verified_by_the_next_run(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    cluster.apply(node)
    order_fault(node, "verify-installation")
    cluster.publish(config={"auth-timeout-minutes": "45"})
    first = cluster.fail_to_apply(node)
    assert first.startswith(
        "rstudio-server verify-installation failed. The last line was: ERROR system error 2 (No such file or directory)"
    )
    assert first.endswith(" The previous files are back, and Workbench runs with them.")
    assert cluster.statuses() == ONLINE
    assert cluster.fail_to_apply(node) == first
    lift_fault(node, "verify-installation")
    reported = cluster.apply(node)
    assert (reported["changed"], reported["restarted"], reported["health"]) == (
        ["etc/rstudio/rserver.conf"],
        True,
        "ok",
    )
    assert cluster.statuses() == ONLINE


def test_of_two_runs_at_the_same_time_one_waits_for_the_other(cluster: Cluster, node: Host) -> None:
    cluster.publish(config={"auth-timeout-minutes": "44"})
    node.run("truncate --size 0 /var/log/benchwright/configure.log", timeout=60)
    with ThreadPoolExecutor(2) as pool:
        reported = list(pool.map(lambda _: cluster.apply(node), range(2)))
    first, second = sorted(reported, key=lambda one: not one["changed"])
    assert "etc/rstudio/rserver.conf" in first["changed"]
    assert (second["changed"], second["restarted"], second["health"]) == ([], False, "ok")
    steps = node.run("grep -E '^(--- |done$)' /var/log/benchwright/configure.log", timeout=60).stdout.splitlines()
    begun, begun_again = (number for number, step in enumerate(steps) if step == "--- look for room on the disk")
    assert begun < steps.index("done") < begun_again
    assert "--- wait for other runs on this node" not in steps[begun : steps.index("done")]


def test_no_secret_stands_in_a_log_of_the_node_or_in_what_the_script_prints(cluster: Cluster, node: Host) -> None:
    licence = "-- licence of the tests --\nits first line of forty characters or so\n"
    words = {"password of pam": "a password of pam's, 'quoted'", "licence": licence, "key": KEY, "database": PASSWORD}
    arn = cluster.world.aws.secret("benchwright/users/pam", words["password of pam"])
    pam = Account(name="pam", uid=5051, gid=5051, secret_arn=arn, secret_version="v1")
    cluster.publish(accounts=[pam], license=cluster.license(licence))
    done = [cluster.run(node, "apply"), cluster.run(node, "report"), cluster.run(node, "cluster")]
    assert [run.returncode for run in done] == [0, 0, 0]
    order_fault(node, "verify-installation")
    cluster.publish(accounts=[pam], config={"auth-timeout-minutes": "45"})
    done.append(cluster.run(node, "apply"))  # a run that fails hands out the end of its log
    assert done[-1].returncode == 1
    lift_fault(node, "verify-installation")
    places = [(f"output of run {number}", (run.stdout + run.stderr).encode()) for number, run in enumerate(done)]
    logs = node.run("find /var/log /run/benchwright -type f", timeout=60).stdout.split()
    assert {"/var/log/benchwright/configure.log", "/var/log/rstudio/rstudio-server/rserver.log"} <= set(logs)
    places += [(log, node.run(f"cat {log}", timeout=60).stdout.encode()) for log in logs]
    found = secrets.search([secrets.Secret(name, word.strip()) for name, word in words.items()], places)
    assert found.where == []


def test_an_instance_of_an_image_made_of_a_node_goes_on_when_it_is_configured_itself(
    cluster: Cluster, node: Host
) -> None:
    cluster.publish()
    copy = cluster.add_node()
    state = node.run("tar -C / -c var/lib/benchwright | base64 -w 0", timeout=60).stdout
    copy.run(f"echo {state} | base64 -d | tar -C / -x", timeout=60)
    cluster.world.aws.waiting.add(("i-0000000000000000c", "configured"))
    cluster.apply(copy)
    assert cluster.world.aws.waiting == set()


def test_a_full_disk_is_reported_whatever_is_asked_and_keeps_the_node_as_it_is(cluster: Cluster, node: Host) -> None:
    files = "find /etc/rstudio /var/lib/benchwright -type f | sort | xargs sha256sum"
    before = node.run(files, timeout=60).stdout
    cluster.publish(config={"auth-timeout-minutes": "46"})
    node.fill_disk()
    reported = "The disk of this node is full: 0 MB of the root volume are free, and 100 MB are needed. "
    assert cluster.fail_to_apply(node).startswith(reported)
    assert str(report(cluster.run(node, "report"))["error"]).startswith(reported)
    assert (node.run(files, timeout=60).stdout, cluster.statuses()) == (before, ONLINE)
    node.empty_disk()
    assert "etc/rstudio/rserver.conf" in cluster.apply(node)["changed"]


def test_a_clock_that_is_off_is_set(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    order_fault(node, "clock", "-300")
    assert report(cluster.run(node, "report"))["clock_offset"] == -300
    assert abs(cluster.apply(node)["clock_offset"]) < 1


def test_a_node_takes_the_configuration_that_it_is_asked_for_else_its_own_and_a_new_one_the_current(
    cluster: Cluster, node: Host
) -> None:
    asked = cluster.publish(config={"auth-timeout-minutes": "45"})
    current = cluster.publish()
    done = cluster.run(node, "apply", configuration=asked)
    assert (done.returncode, report(done)["configuration"]) == (0, asked)
    assert "auth-timeout-minutes=45" in node.run("cat /etc/rstudio/rserver.conf", timeout=60).stdout.splitlines()
    # As when the document changes, and the association runs again.
    itself = report(cluster.run(node, "apply", configuration=""))
    assert (itself["configuration"], itself["changed"], itself["restarted"]) == (asked, [], False)
    # As a new one, whose image was made of a node.
    node.run("echo -n i-of-another-instance >/var/lib/benchwright/launched", timeout=60)
    assert report(cluster.run(node, "apply", configuration=""))["configuration"] == current
    gone = report(cluster.run(node, "apply", configuration="0" * 64))["error"]
    assert str(gone).startswith("The node cannot read s3://")
    assert cluster.apply(node)["changed"] == []


def test_a_run_that_is_killed_leaves_nothing_that_the_next_one_does_not_take_away(
    cluster: Cluster, nodes: Nodes
) -> None:
    cluster.publish(accounts=[Account(name="kit", uid=5061, gid=5061)])
    node = cluster.add_node()
    leftovers = "find /etc /efs/home -name '.benchwright.*'"
    for target in ("/efs/home/kit", "/etc/rstudio/database.conf"):
        end_scripts_that_move_to(node, target)
        assert cluster.run(node, "apply").returncode != 0
        (left,) = node.run(leftovers, timeout=60).stdout.split()
        assert left.startswith(f"{target.rpartition('/')[0]}/.benchwright.")
    end_scripts_that_move_to(node, "nowhere")
    cluster.apply(node)
    assert node.run(f"{leftovers}; ls -d /efs/home/kit", timeout=60).stdout == "/efs/home/kit\n"


def test_a_guard_that_lost_its_device_is_reported_and_set_again_by_the_next_run(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    cluster.apply(node)
    node.connect(connected=False)
    node.connect(connected=True)
    reported = report(cluster.run(node, "report"))
    assert (reported["metadata"], reported["helper"]) == ("reachable", "refused")
    helper = "to 127.0.0.0/8 uidrange 1-4294967294 ipproto tcp dport 20049-21049"
    removed = f"ip rule del pref 99 {helper} lookup 169 && ip rule del pref 100 {helper} prohibit"
    assert node.run(removed, timeout=60).returncode == 0
    assert report(cluster.run(node, "report"))["helper"] == "reachable"
    healed = cluster.apply(node)
    assert (healed["metadata"], healed["helper"], healed["changed"]) == ("refused", "refused", [])
