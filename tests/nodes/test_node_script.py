"""The script of the SSM document makes instances nodes of one cluster, changes nothing the second time, and says what
is wrong.
"""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchwright.models import Account, NodeGroup
from benchwright.secrets import Secret
from rehearsal.aws.clock import Clock
from rehearsal.hosts.host import Host
from rehearsal.judges import secrets
from tests.nodes import templates
from tests.nodes.cluster import (
    KEY,
    NAMES,
    PASSWORD,
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
EXPIRES = 7
"""Of a line of /etc/shadow, the day since 1970 from which no one logs in to the account, by key as little as by
password; empty for never.
"""


def shadow(node: Host, name: str) -> list[str]:
    return node.run(f"getent shadow {name}", timeout=60).stdout.strip().split(":")


def test_two_nodes_form_a_cluster_and_a_second_run_changes_nothing(cluster: Cluster) -> None:
    licence = cluster.license("a licence")
    configuration = cluster.publish(license=licence)
    first, second = cluster.add_node(), cluster.add_node()
    reported = cluster.apply(first)
    assert {
        key: reported[key] for key in ("instance", "ipv4", "workbench", "configuration", "restarted", "health", "error")
    } == {
        "instance": "i-0000000000000000a",
        "ipv4": "10.0.1.10",
        "workbench": WORKBENCH,
        "configuration": configuration,
        "restarted": True,
        "health": "ok",
        "error": None,
    }
    assert (reported["license"], reported["rstudio_server"]) == ("Activated", "900:900")
    assert (reported["metadata"], reported["helper"]) == ("refused", "refused")
    assert reported["services"] == {"rstudio-server": "active", "rstudio-launcher": "active"}
    assert reported["mounts"] == ["/efs/home", "/efs/shared-storage"]
    cluster.apply(second)
    assert cluster.statuses() == [("10.0.1.10", "Online"), ("10.0.1.11", "Online")]

    again = cluster.apply(first)
    assert (again["changed"], again["restarted"]) == ([], False)
    mode = first.run("stat -c '%a %U:%G' /etc/rstudio/database.conf /etc/rstudio/secure-cookie-key", timeout=60).stdout
    assert mode == "600 root:root\n600 root:root\n"
    written = first.run("cat /etc/rstudio/database.conf /var/log/benchwright/configure.log", timeout=60).stdout
    assert PASSWORD not in written

    printed = cluster.run(second, "cluster").stdout
    listing, _, status = printed.partition("=== load-balancer status ===")
    assert listing.count("Online") == 2
    assert "10.0.1.10:8787 – 10.0.1.10  Load: " in status
    assert "10.0.1.11:8787 – 10.0.1.11  Load: " in status


def test_a_node_that_is_stopped_in_order_leaves_no_row_and_one_that_dies_becomes_stale(cluster: Cluster) -> None:
    cluster.publish()
    first, second = cluster.add_node(), cluster.add_node()
    cluster.apply(first)
    cluster.apply(second)
    second.run("systemctl stop rstudio-server rstudio-launcher", timeout=30)
    assert cluster.statuses() == [("10.0.1.10", "Online")]
    cluster.apply(second)
    second.stop()
    cluster.postgres.execute(
        "update node set last_seen = now() - interval '1 minute' where ipv4 = '10.0.1.11'", database="rstudio"
    )
    listing = cluster.run(first, "cluster").stdout
    row = next(line.split() for line in listing.splitlines() if "10.0.1.11" in line and "Offline" in line)
    assert cluster.run(first, "cluster", stale_nodes=row[0]).returncode == 0
    assert cluster.statuses() == [("10.0.1.10", "Online")]


def test_users_have_one_uid_a_home_of_their_own_and_a_password_and_are_locked_when_removed(cluster: Cluster) -> None:
    arn = cluster.world.aws.secret("benchwright/users/anna", "a password of anna")
    anna = Account(name="anna", uid=5001, gid=5001, secret_arn=arn, secret_version="v1")
    cluster.publish(accounts=[anna, Account(name="bob", uid=5002, gid=5002)])
    nodes = [cluster.add_node(), cluster.add_node()]
    reported = [cluster.apply(node)["users"] for node in nodes]
    assert reported[0] == reported[1]
    assert reported[0]["count"] == 2
    for node in nodes:
        assert (
            node.run("id anna; stat -c '%a %U' /efs/home/anna", timeout=60).stdout
            == "uid=5001(anna) gid=5001(anna) groups=5001(anna)\n700 anna\n"
        )
        assert "anna:$" in node.run("getent shadow anna", timeout=60).stdout
    nodes[0].run("echo kept >/efs/home/anna/work", timeout=60)
    password = shadow(nodes[0], "anna")[1]

    cluster.publish(accounts=[Account(name="bob", uid=5002, gid=5002)], locked=[anna])
    for node in nodes:
        assert cluster.apply(node)["users"]["count"] == 1
        assert (shadow(node, "anna")[1][0], shadow(node, "anna")[EXPIRES]) == ("!", "1")
        assert shadow(node, "bob")[EXPIRES] == ""
    assert nodes[1].run("cat /efs/home/anna/work", timeout=60).stdout == "kept\n"

    cluster.publish(accounts=[anna, Account(name="bob", uid=5002, gid=5002)])
    assert cluster.apply(nodes[0])["users"] == reported[0]
    assert (shadow(nodes[0], "anna")[1], shadow(nodes[0], "anna")[EXPIRES]) == (password, "")


def test_names_and_ids_as_directories_give_them_and_no_subordinate_ids(cluster: Cluster) -> None:
    """Who has a range of subordinate ids can act as each id of it, and the input may give one of them to another."""
    people = {"jane.doe": 60_000, "7of9": 120_000, "x" * 32: 2_147_483_646}
    accounts = [Account(name=name, uid=uid, gid=uid) for name, uid in people.items()]
    cluster.publish(accounts=accounts)
    node = cluster.add_node()
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


def test_groups_are_the_same_on_every_node_and_change_without_touching_homes(cluster: Cluster) -> None:
    anna, bob = Account(name="anna", uid=5001, gid=5001), Account(name="bob.b", uid=5002, gid=5002)
    analysts, writers = (NodeGroup(name=name, gid=gid, members=[]) for name, gid in (("analysts", 6001), ("7th", 6002)))

    def of(group: NodeGroup, *members: str) -> NodeGroup:
        return group.model_copy(update={"members": list(members)})

    def memberships(node: Host) -> str:
        groups = "id -nG anna; id -nG bob.b | tr ' ' '\\n' | sort | paste -sd ' '; getent group analysts 7th"
        return node.run(groups, timeout=60).stdout

    cluster.publish(accounts=[anna, bob], groups=[of(analysts, "anna", "bob.b"), of(writers, "bob.b")])
    nodes = [cluster.add_node(), cluster.add_node()]
    reported = [cluster.apply(node)["groups"] for node in nodes]
    assert reported[0] == reported[1]
    found = "anna analysts\n7th analysts bob.b\nanalysts:x:6001:anna,bob.b\n7th:x:6002:bob.b\n"
    assert [memberships(node) for node in nodes] == [found, found]
    assert [differences(cluster, node) for node in nodes] == [[], []]
    owned = (
        "cd /efs/home/anna && echo kept >shared && chgrp analysts shared && chmod 2750 . && stat -c '%a %U %g' . shared"
    )
    before = nodes[0].run(owned, timeout=60).stdout

    # A person is removed, another changes groups, and a group is removed: files keep its number.
    cluster.publish(accounts=[anna], locked=[bob], groups=[of(writers, "anna")], emptied=[analysts])
    for node in nodes:
        assert cluster.apply(node)["groups"] != reported[0]
        assert memberships(node) == "anna 7th\nbob.b\nanalysts:x:6001:\n7th:x:6002:anna\n"
        assert differences(cluster, node) == []
        assert node.run("stat -c '%a %U %g' /efs/home/anna /efs/home/anna/shared", timeout=60).stdout == before
    third = cluster.add_node()
    cluster.apply(third)
    assert third.run("id -nG anna; getent group analysts || echo none", timeout=60).stdout == "anna 7th\nnone\n"

    by_hand = "usermod --append --groups sudo,analysts anna; gpasswd --delete anna 7th"
    nodes[0].run(by_hand, timeout=60)
    assert sorted(differences(cluster, nodes[0])) == [
        "group:7th: members=, not members=anna",
        "group:analysts: members=anna, not members=",
        "user:anna: groups=sudo, not groups=",
    ]
    assert report(cluster.run(nodes[0], "report"))["groups"] != report(cluster.run(third, "report"))["groups"]
    cluster.apply(nodes[0])
    assert (memberships(nodes[0]), differences(cluster, nodes[0])) == (memberships(nodes[1]), [])

    # Whoever returns has the groups of the configuration, and a group its number.
    cluster.publish(accounts=[anna, bob], groups=[of(analysts, "anna", "bob.b"), of(writers, "bob.b")])
    for node in (*nodes, third):
        assert cluster.apply(node)["groups"] == reported[0]
        assert memberships(node) == found


def test_a_file_that_someone_changed_is_put_right(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    node.run("chmod 644 /etc/rstudio/database.conf; echo x >>/etc/rstudio/rserver.conf", timeout=60)
    reported = cluster.apply(node)
    assert (sorted(reported["changed"]), reported["restarted"]) == (
        ["etc/rstudio/database.conf", "etc/rstudio/rserver.conf"],
        True,
    )
    assert cluster.statuses() == [("10.0.1.10", "Online")]


def differences(cluster: Cluster, node: Host) -> list[str]:
    reported: list[str] = report(cluster.run(node, "report"))["differences"]
    return reported


def test_what_someone_changed_on_a_node_is_named_and_restored(cluster: Cluster) -> None:
    anna, bob = Account(name="anna", uid=5001, gid=5001), Account(name="bob", uid=5002, gid=5002)
    cluster.publish(accounts=[anna, bob])
    node = cluster.add_node()
    assert differences(cluster, node) == ["nothing is recorded of what a configuration has made"]
    cluster.apply(node)
    cluster.publish(accounts=[anna], locked=[bob])
    cluster.apply(node)
    node.run("usermod --shell /bin/sh anna", timeout=60)  # as a person does by chsh
    assert differences(cluster, node) == []
    by_hand = """
        echo x >>/etc/rstudio/rserver.conf
        chmod 644 /etc/rstudio/database.conf
        chown anna:anna /etc/rstudio/launcher.conf
        rm /etc/rstudio/file-locks
        usermod --append --groups sudo --shell /usr/sbin/nologin anna
        usermod --expiredate '' bob
        groupadd guests && usermod --gid guests anna
    """
    done = node.run(f"set -e{by_hand}", timeout=60)
    assert done.returncode == 0, done.stderr
    guests = node.run("getent group guests | cut -d: -f3", timeout=60).stdout.strip()
    assert sorted(differences(cluster, node)) == [
        "/etc/rstudio/database.conf: mode=0644, not mode=0600",
        "/etc/rstudio/file-locks: missing",
        "/etc/rstudio/launcher.conf: owner=anna:anna, not owner=root:root",
        "/etc/rstudio/rserver.conf: content",
        f"user:anna: gid={guests}, not gid=5001",
        "user:anna: groups=sudo, not groups=",
        "user:anna: shell=/usr/sbin/nologin, not shell=login",
        "user:bob: expires=, not expires=1",
    ]
    cluster.apply(node)
    assert differences(cluster, node) == []
    assert node.run("id -nG anna; getent passwd anna | cut -d: -f7", timeout=60).stdout == "anna\n/bin/bash\n"
    assert shadow(node, "bob")[EXPIRES] == "1"
    node.run("userdel anna", timeout=60)
    assert differences(cluster, node) == ["user:anna: missing"]
    cluster.apply(node)
    assert differences(cluster, node) == []


def test_an_option_that_workbench_does_not_know_is_named(cluster: Cluster) -> None:
    cluster.publish(config={"no-such-option": "1", "nor-this-one": "1"})
    assert cluster.fail_to_apply(cluster.add_node()) == (
        f"Workbench {WORKBENCH} refuses the configuration, so nothing was changed on this node: [FAIL] Config file "
        "/etc/rstudio/rserver.conf: unrecognized option(s): - no-such-option - nor-this-one. Correct config in the "
        "input and deploy again."
    )


REFUSED: dict[str, dict[str, str]] = {
    "no-such-option": {"no-such-option": "1"},
    "the argument ('soon') for option 'auth-timeout-minutes' is invalid": {"auth-timeout-minutes": "soon"},
}


@pytest.mark.parametrize("version", [WORKBENCH, "2025.09.1+401.pro7"])
def test_a_value_that_workbench_refuses_changes_nothing_on_a_node(cluster: Cluster, version: str) -> None:
    node = cluster.add_node()
    node.run(f"echo {version} >/usr/lib/rstudio-server/VERSION", timeout=60)
    cluster.publish(version=version)
    cluster.apply(node)
    before = node.run(f"{STATE_OF_THE_NODE}; cat /run/rstudio-server.pid", timeout=60).stdout
    for complaint, config in REFUSED.items():
        cluster.publish(version=version, config=config, accounts=[Account(name="anna", uid=5001, gid=5001)])
        error = cluster.fail_to_apply(node)
        refused = f"Workbench {version} refuses the configuration, so nothing was changed on this node: "
        assert error.startswith(refused), complaint
        assert complaint in error
        assert error.endswith(". Correct config in the input and deploy again."), complaint
        left = node.run(f"{STATE_OF_THE_NODE}; cat /run/rstudio-server.pid", timeout=60).stdout
        assert left == before, complaint


def give_the_wrong_password(cluster: Cluster) -> str:
    """Publish a configuration whose database secret has a password that PostgreSQL refuses; gives its hash."""
    cluster.world.aws.secrets[cluster.database.arn, "v2"] = json.dumps({"username": "rstudio", "password": "wrong"})
    cluster.database = Secret(cluster.database.arn, "v2")
    return cluster.publish()


def test_what_does_not_start_gives_way_to_what_worked(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    before = node.run(STATE_OF_THE_NODE, timeout=60).stdout
    wrong = give_the_wrong_password(cluster)
    error = cluster.fail_to_apply(node)
    assert "PostgreSQL refuses the login" in error
    assert error.endswith(" The previous files are back, and Workbench runs with them.")
    assert node.run(STATE_OF_THE_NODE, timeout=60).stdout == before
    assert cluster.statuses() == [("10.0.1.10", "Online")]
    reported = report(cluster.run(node, "report"))
    assert (reported["health"], reported["differences"], reported["configuration"] == wrong) == ("ok", [], False)


def test_where_what_worked_does_not_start_either_both_are_reported(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    give_the_wrong_password(cluster)
    cluster.postgres.execute("alter role rstudio password 'another'")
    error = cluster.fail_to_apply(node)
    assert "PostgreSQL refuses the login" in error
    both = " The previous files are back, but Workbench does not start with them: The Workbench server does not start"
    assert both in error


def test_a_password_that_postgresql_refuses_is_explained(cluster: Cluster) -> None:
    cluster.publish()
    cluster.postgres.execute("alter role rstudio password 'another'")
    error = cluster.fail_to_apply(cluster.add_node())
    assert "PostgreSQL refuses the login" in error
    assert 'password authentication failed for user "rstudio"' in error


def test_a_key_that_is_not_the_cluster_s_is_refused(cluster: Cluster) -> None:
    cluster.publish()
    first = cluster.add_node()
    cluster.apply(first)
    cluster.world.aws.secrets[cluster.key.arn, "v1"] = "f" * 64
    error = cluster.fail_to_apply(cluster.add_node())
    assert "the cluster is registered with another secure-cookie-key" in error
    assert cluster.statuses() == [("10.0.1.10", "Online"), ("10.0.1.11", "Invalid secure cookie key")]


def test_another_uid_after_a_failed_run_needs_what_the_node_says(cluster: Cluster) -> None:
    """A person does what each cause says: replaces the node that has the account, and gives the home to the new uid."""
    cluster.publish(accounts=[Account(name="anna", uid=5001, gid=5001)])
    node = cluster.add_node()
    cluster.apply(node)
    node.run("echo kept >/efs/home/anna/work", timeout=60)
    cluster.publish(accounts=[Account(name="anna", uid=5003, gid=5003)])
    error = cluster.fail_to_apply(node)
    assert error == (
        "User anna has uid 5001 on this node, but uid 5003 in the configuration. If this account comes with the image, "
        "remove it there; otherwise replace each node that has it. Then deploy again. Until a deployment with anna is "
        "verified, the input can also give anna uid 5001."
    )
    replacement = cluster.add_node()
    error = cluster.fail_to_apply(replacement)
    remedy = "chown -R 5003:5003 /efs/home/anna"
    assert error == (
        f"The home /efs/home/anna belongs to uid 5001, but user anna has uid 5003. If it is anna's, run {remedy} on "
        "this node, otherwise move it away. Then deploy again. Until a deployment with anna is verified, the input can "
        "also give anna uid 5001."
    )
    assert replacement.run(remedy, timeout=60).returncode == 0
    cluster.apply(replacement)
    found = replacement.run("stat -c '%u:%g %n' /efs/home/anna /efs/home/anna/work", timeout=60).stdout
    assert found == "5003:5003 /efs/home/anna\n5003:5003 /efs/home/anna/work\n"


def test_without_root_access_to_the_file_system_a_home_cannot_be_made(cluster: Cluster) -> None:
    cluster.actions = frozenset({"ClientMount", "ClientWrite"})
    cluster.publish(accounts=[Account(name="anna", uid=5001, gid=5001)])
    error = cluster.fail_to_apply(cluster.add_node())
    assert error == (
        "The home of anna cannot be made: mkdir: cannot create directory /efs/home/.benchwright.anna.ip-10-0-1-10: "
        "Permission denied. Give the node role elasticfilesystem:ClientRootAccess to the file system, and deploy again."
    )
    assert not (cluster.directory / "home" / "anna").exists()


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


def test_another_version_of_workbench_than_the_cluster_s_is_refused_before_anything_changes(cluster: Cluster) -> None:
    cluster.publish(accounts=[Account(name="anna", uid=5001, gid=5001)])
    node = cluster.add_node()
    node.run("echo 2025.09.1+401.pro7 >/usr/lib/rstudio-server/VERSION", timeout=60)
    before = node.run(STATE_OF_THE_NODE, timeout=60).stdout
    assert "/etc/rstudio/rserver.conf" in before
    assert cluster.fail_to_apply(node) == (
        f"This node has Workbench 2025.09.1+401.pro7, but the cluster is to run {WORKBENCH}. If someone installed it "
        "here, replace the node. If it came with an image of yours, set workbench.version to 2025.09.1+401.pro7 or use "
        f"an image with {WORKBENCH}."
    )
    assert node.run(STATE_OF_THE_NODE, timeout=60).stdout == before


def test_what_was_not_verified_is_not_taken_for_verified_by_the_next_run(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    order_fault(node, "verify-installation")
    cluster.publish(config={"auth-timeout-minutes": "45"})
    first = cluster.fail_to_apply(node)
    assert first.startswith(
        "rstudio-server verify-installation failed. The last line was: ERROR system error 2 (No such file or directory)"
    )
    assert first.endswith(" The previous files are back, and Workbench runs with them.")
    assert cluster.statuses() == [("10.0.1.10", "Online")]
    assert cluster.fail_to_apply(node) == first
    lift_fault(node, "verify-installation")
    reported = cluster.apply(node)
    assert (reported["changed"], reported["restarted"], reported["health"]) == (
        ["etc/rstudio/rserver.conf"],
        True,
        "ok",
    )
    assert cluster.statuses() == [("10.0.1.10", "Online")]


def test_of_two_runs_at_the_same_time_one_waits_for_the_other(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    with ThreadPoolExecutor(2) as pool:
        reported = list(pool.map(lambda _: cluster.apply(node), range(2)))
    first, second = sorted(reported, key=lambda one: not one["changed"])
    assert "etc/rstudio/rserver.conf" in first["changed"]
    assert (second["changed"], second["restarted"], second["health"]) == ([], False, "ok")
    steps = node.run("grep -E '^(--- |done$)' /var/log/benchwright/configure.log", timeout=60).stdout.splitlines()
    begun, begun_again = (number for number, step in enumerate(steps) if step == "--- look for room on the disk")
    assert begun < steps.index("done") < begun_again
    assert "--- wait for other runs on this node" not in steps[begun : steps.index("done")]


def test_no_secret_stands_in_a_log_of_the_node_or_in_what_the_script_prints(cluster: Cluster) -> None:
    licence = "-- licence of the tests --\nits first line of forty characters or so\n"
    words = {"password of anna": "a password of anna's, 'quoted'", "licence": licence, "key": KEY, "database": PASSWORD}
    arn = cluster.world.aws.secret("benchwright/users/anna", words["password of anna"])
    anna = Account(name="anna", uid=5001, gid=5001, secret_arn=arn, secret_version="v1")
    cluster.publish(accounts=[anna], license=cluster.license(licence))
    node = cluster.add_node()
    done = [cluster.run(node, "apply"), cluster.run(node, "report"), cluster.run(node, "cluster")]
    assert [run.returncode for run in done] == [0, 0, 0]
    order_fault(node, "verify-installation")
    cluster.publish(accounts=[anna], config={"auth-timeout-minutes": "45"})
    done.append(cluster.run(node, "apply"))  # a run that fails hands out the end of its log
    assert done[-1].returncode == 1
    places = [(f"output of run {number}", (run.stdout + run.stderr).encode()) for number, run in enumerate(done)]
    logs = node.run("find /var/log /run/benchwright -type f", timeout=60).stdout.split()
    assert {"/var/log/benchwright/configure.log", "/var/log/rstudio/rstudio-server/rserver.log"} <= set(logs)
    places += [(log, node.run(f"cat {log}", timeout=60).stdout.encode()) for log in logs]
    found = secrets.search([secrets.Secret(name, word.strip()) for name, word in words.items()], places)
    assert found.where == []


def test_an_instance_that_waits_in_the_launch_hook_goes_on_when_it_is_configured(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.world.aws.waiting.add(("i-0000000000000000a", "configured"))
    cluster.apply(node)
    assert cluster.world.aws.waiting == set()
    cluster.apply(node)
    assert cluster.world.aws.calls.count("CompleteLifecycleAction configured") == 1


def test_an_instance_of_an_image_made_of_a_node_goes_on_when_it_is_configured_itself(cluster: Cluster) -> None:
    cluster.publish()
    node, copy = cluster.add_node(), cluster.add_node()
    cluster.apply(node)
    state = node.run("tar -C / -c var/lib/benchwright | base64 -w 0", timeout=60).stdout
    copy.run(f"echo {state} | base64 -d | tar -C / -x", timeout=60)
    cluster.world.aws.waiting.add(("i-0000000000000000b", "configured"))
    cluster.apply(copy)
    assert cluster.world.aws.waiting == set()


def test_a_full_disk_is_reported_whatever_is_asked_and_keeps_the_node_as_it_is(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    cluster.apply(node)
    files = "find /etc/rstudio /var/lib/benchwright -type f | sort | xargs sha256sum"
    before = node.run(files, timeout=60).stdout
    cluster.publish(config={"auth-timeout-minutes": "45"})
    node.fill_disk()
    reported = "The disk of this node is full: 0 MB of the root volume are free, and 100 MB are needed. "
    assert cluster.fail_to_apply(node).startswith(reported)
    assert str(report(cluster.run(node, "report"))["error"]).startswith(reported)
    assert (node.run(files, timeout=60).stdout, cluster.statuses()) == (before, [("10.0.1.10", "Online")])
    node.empty_disk()
    assert "etc/rstudio/rserver.conf" in cluster.apply(node)["changed"]


def test_a_clock_that_is_off_is_set(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
    order_fault(node, "clock", "-300")
    assert report(cluster.run(node, "report"))["clock_offset"] == -300
    assert abs(cluster.apply(node)["clock_offset"]) < 1


def test_the_steps_are_reported_as_they_begin(cluster: Cluster) -> None:
    cluster.publish()
    done = cluster.run(cluster.add_node(), "apply")
    assert [line for line in done.stderr.splitlines() if line.startswith("--- ")] == [
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


def test_a_node_takes_the_configuration_that_it_is_reported_and_else_the_current_one(cluster: Cluster) -> None:
    reported = cluster.publish(config={"auth-timeout-minutes": "45"})
    current = cluster.publish()
    node = cluster.add_node()
    done = cluster.run(node, "apply", configuration=reported)
    assert (done.returncode, report(done)["configuration"]) == (0, reported)
    assert "auth-timeout-minutes=45" in node.run("cat /etc/rstudio/rserver.conf", timeout=60).stdout.splitlines()
    assert cluster.apply(node)["configuration"] == current
    gone = report(cluster.run(node, "apply", configuration="0" * 64))["error"]
    assert str(gone).startswith("The node cannot read s3://")
    assert cluster.apply(node)["changed"] == []


def test_a_run_that_is_killed_leaves_nothing_that_the_next_one_does_not_take_away(cluster: Cluster) -> None:
    cluster.publish(accounts=[Account(name="anna", uid=5001, gid=5001)])
    node = cluster.add_node()
    leftovers = "find /etc /efs/home -name '.benchwright.*'"
    for target in ("/efs/home/anna", "/etc/rstudio/database.conf"):
        end_scripts_that_move_to(node, target)
        assert cluster.run(node, "apply").returncode != 0
        (left,) = node.run(leftovers, timeout=60).stdout.split()
        assert left.startswith(f"{target.rpartition('/')[0]}/.benchwright.")
    end_scripts_that_move_to(node, "nowhere")
    cluster.apply(node)
    assert node.run(f"{leftovers}; ls -A /efs/home", timeout=60).stdout == "anna\n"


def test_a_guard_that_lost_its_device_is_reported_and_set_again_by_the_next_run(cluster: Cluster) -> None:
    cluster.publish()
    node = cluster.add_node()
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
