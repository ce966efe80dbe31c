"""People of a directory sign in: real sssd on the nodes, a real slapd, and each way in which it fails.

The tests with `new_node` go on with the same node, in their order.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from benchwright.models import Account, NodeGroup, SignIn
from rehearsal.hosts import debian
from rehearsal.hosts.directory import HOST, Directory, Person, sssd_conf
from rehearsal.hosts.host import Host
from tests.browser import Browser, said
from tests.nodes.cluster import Cluster, report
from tests.nodes.conftest import World
from tests.nodes.test_auth import JIT

PEOPLE = [
    Person("svc-probe", 70001, 70000, "not for people"),
    Person("jane.doe", 70002, 70000, "jane's password"),
    Person("joe", 70003, 70000, "joe's password"),
    Person("anna", 70004, 70000, "anna's new password"),
    Person("odd", 70005, 70000, "x", shell="/usr/sbin/nologin"),
    Person("late", 200001, 70000, "x"),
    Person("ubuntu", 70006, 70000, "ubuntu's password"),  # whose namesake on each node may become root
]
GROUPS = {"people": (70000, []), "workbench-users": (70100, ["jane.doe", "anna"]), "analysts": (70200, ["anna"])}
SECRET = "benchwright/auth/sssd"
AUTH = {"method": "sssd", "sssd_conf": SECRET, "probe_account": "svc-probe"}
ANNA = Account(name="anna", uid=20000, gid=20000)
# What the script waits for is there at once or never.
SHORT = "install -m 0755 /dev/stdin /usr/local/bin/sleep <<'END'\n#!/bin/sh\nexec /bin/sleep 0.1\nEND"
LONG = "rm /usr/local/bin/sleep"
BY_NODE = (
    "cd /efs/home; stat -c '%a %u:%g' jane.doe; ls -A jane.doe | head -n 1; getent passwd jane.doe; id -Gn jane.doe"
)


@pytest.fixture(scope="module")
def directory(world: World) -> Iterator[Directory]:
    try:
        debian.tree("sssd")
        made = Directory(world.hosts.mirror.authority, PEOPLE, GROUPS)
    except debian.NotFetched as error:
        pytest.skip(str(error))
    address = world.hosts.add_name(HOST)
    made.start(address)
    yield made
    made.remove()


def publish(cluster: Cluster, conf: str, auth: dict[str, Any] | None = None, **others: Any) -> str:
    """Publish a configuration by which nodes ask the directory."""
    version = f"v{zlib.crc32(conf.encode())}"
    secret = SignIn(secret_arn=cluster.world.aws.secret(SECRET, conf, version), secret_version=version)
    return cluster.publish(auth={**AUTH, **(auth or {})}, sign_in=secret, **others)


def lines(node: Host, script: str) -> list[str]:
    return node.run(script, timeout=60).stdout.splitlines()


def test_people_of_a_directory_sign_in_and_have_one_uid_and_home_on_every_node(
    cluster: Cluster, directory: Directory
) -> None:
    publish(cluster, sssd_conf(), {"required_group": "workbench-users"})
    first, second = (cluster.add_node() for _ in range(2))
    probes = [cluster.apply(node)["probe"] for node in (first, second)]
    assert probes == ["70001:70000"] * 2
    modes = lines(first, "stat -c '%a %U:%G %n' /etc/sssd/sssd.conf /etc/sssd/conf.d/benchwright.conf")
    assert modes == ["600 root:root /etc/sssd/sssd.conf", "600 root:root /etc/sssd/conf.d/benchwright.conf"]
    browser = Browser()
    sign_in = ("/auth-sign-in", "/auth-do-sign-in")
    wrong = browser.submit(first, *sign_in, username="jane.doe", password="guess")
    assert "error=2" in wrong.headers["Location"]
    namesake = browser.submit(first, *sign_in, username="ubuntu", password="ubuntu's password")
    assert "error=2" in namesake.headers["Location"]
    assert "user-id" not in browser.cookies
    assert lines(first, "ls /efs/home") == []
    browser.submit(first, *sign_in, username="jane.doe", password="jane's password")
    begun = browser.submit(first, "/", "/start-session", any="thing")
    place = begun.headers["Location"].partition("example.com")[2]
    page = said(browser.ask(second, place))
    assert (page["user"], page["uid"]) == ("jane.doe", "70002")
    found = [
        "700 70002:70000",
        ".bash_logout",
        "jane.doe:*:70002:70000:jane.doe:/efs/home/jane.doe:/bin/bash",
        "people workbench-users",
    ]
    assert lines(first, BY_NODE) == lines(second, BY_NODE) == found
    outside = Browser()
    refused = outside.submit(second, *sign_in, username="joe", password="joe's password")
    assert "user-id" not in outside.cookies
    assert "workbench-users" in refused.data.decode()
    reported = cluster.apply(first)
    assert (reported["changed"], reported["restarted"], reported["probe"]) == ([], False, "70001:70000")
    # What makes ids differ: each node decides for itself here.
    lines(second, "sss_override user-add svc-probe -u 71001 && systemctl restart sssd")
    assert [report(cluster.run(node, "report"))["probe"] for node in (first, second)] == ["70001:70000", "71001:70000"]
    second.reboot()
    assert lines(second, "systemctl is-active sssd; getent passwd joe | cut -d: -f3") == ["active", "70003"]


def test_what_gave_numbers_outlives_the_node_and_an_sssd_of_the_image_stays(
    cluster: Cluster, directory: Directory
) -> None:
    node = cluster.add_node()
    own = sssd_conf().replace("[domain/example]", "[nss]\noverride_homedir = /home/%u\n\n[domain/example]")
    lines(
        node,
        f"install -m 0600 /dev/stdin /etc/sssd/sssd.conf <<'END'\n{own}END\nsystemctl start sssd",
    )
    cluster.publish(accounts=[Account(name="ben", uid=20001, gid=20001)])
    cluster.apply(node)
    cluster.apply(node)
    assert lines(node, "systemctl is-active sssd; getent passwd joe | cut -d: -f6; cat /etc/sssd/sssd.conf") == [
        "active",
        "/home/joe",
        *own.splitlines(),
    ]
    # Two whom Workbench made, one with a uid that the directory gives to another.
    secret = SignIn(secret_arn=cluster.world.aws.secret("benchwright/auth/oidc", "a secret"), secret_version="v1")
    cluster.publish(auth=JIT, sign_in=secret)
    cluster.apply(node)
    lines(node, "cd /efs/home; mkdir kim amy; chown 200001:200001 kim; chown 200002:200002 amy")
    publish(cluster, sssd_conf())
    replacement = cluster.add_node()
    refused = "would own those files: kim (uid 200001) and late (uid 200001). Give"
    assert refused in cluster.fail_to_apply(replacement)
    lines(node, "cd /efs/home; mv kim late; mkdir above below; chown 524288 above; chown 199999 below")
    cluster.apply(replacement)
    assert lines(replacement, "stat -c %a /etc/sssd; getent passwd joe | cut -d: -f6") == ["711", "/efs/home/joe"]
    cluster.publish(auth=JIT, sign_in=secret)
    assert "which Workbench gives to others, who would own them: /efs/home/late (uid 200001). Give" in (
        cluster.fail_to_apply(cluster.add_node())
    )


def test_while_the_directory_is_away_nodes_know_whom_they_knew_and_new_ones_wait(
    cluster: Cluster, directory: Directory
) -> None:
    node = cluster.add_node()
    publish(cluster, sssd_conf())
    cluster.apply(node)
    directory.stop()
    assert cluster.apply(node)["probe"] == "70001:70000"
    fresh = cluster.add_node()
    fresh.run(SHORT, timeout=60)
    assert "the directory cannot be reached from this node" in cluster.fail_to_apply(fresh)
    directory.start(cluster.world.hosts.network.names[HOST])
    assert cluster.apply(fresh)["probe"] == "70001:70000"
    shared = Account(name="ben", uid=70003, gid=20001)
    publish(cluster, sssd_conf(), accounts=[shared])
    assert cluster.fail_to_apply(fresh).startswith("Uid 70003 of user ben belongs to joe on this node.")
    publish(cluster, sssd_conf(), accounts=[ANNA])
    assert cluster.fail_to_apply(fresh).startswith(
        "User anna has an account of Workbench or of a directory on this node"
    )
    another = cluster.add_node()  # which does not know the directory yet
    assert "taken for the other: anna (uid 20000) and anna (uid 70004). Take" in cluster.fail_to_apply(another)


# Workbench that does not start with a configuration, which nothing before its start finds out.
REFUSES = """mkdir -p /etc/systemd/system/rstudio-server.service.d
cat >/etc/systemd/system/rstudio-server.service.d/test.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c '! grep -q admin-enabled=1 /etc/rstudio/rserver.conf'
END
systemctl daemon-reload"""
FAILS = {"admin_group": "people"}
BACK = " The previous files are back, and Workbench runs with them."
AS_IT_WAS = """exec 2>&1
systemctl is-enabled sssd; systemctl is-active sssd rstudio-server
sha256sum /etc/rstudio/rserver.conf /etc/sssd/sssd.conf /etc/sssd/conf.d/* /etc/pam.d/rstudio*
cd /var/lib/benchwright; cat directory probe files users/anna /efs/home/.benchwright-numbers
getent passwd anna joe; getent shadow anna; id anna; getent group analysts; ls -n /efs/home"""


def with_password(cluster: Cluster) -> Account:
    arn = cluster.world.aws.secret("benchwright/users/anna", "her password")
    return Account(name="anna", uid=20000, gid=20000, secret_arn=arn, secret_version="v1")


def test_passwords_are_back_where_a_directory_fails(cluster: Cluster, directory: Directory, new_node: Host) -> None:
    node = new_node
    anna, analysts = with_password(cluster), NodeGroup(name="analysts", gid=30000, members=["anna"])
    cluster.publish(accounts=[anna], groups=[analysts])
    cluster.apply(node)
    before = lines(node, f"{REFUSES}; {AS_IT_WAS}")
    for options, auth in ((sssd_conf(), FAILS), (sssd_conf(ldap_search_base="ou=none,dc=example,dc=com"), {})):
        node.run(SHORT, timeout=60)
        publish(cluster, options, auth, locked=[anna], emptied=[analysts])
        assert cluster.fail_to_apply(node).endswith(BACK)
        assert lines(node, AS_IT_WAS) == before
    browser = Browser()
    browser.submit(node, "/auth-sign-in", "/auth-do-sign-in", username="anna", password="her password")
    assert "user-id" in browser.cookies
    publish(cluster, sssd_conf(), locked=[anna], emptied=[analysts])
    assert cluster.apply(node)["probe"] == "70001:70000"
    assert lines(node, "id -u anna") == ["70004"]
    node.run(LONG, timeout=60)


def test_a_directory_is_back_where_another_method_fails(cluster: Cluster, directory: Directory, new_node: Host) -> None:
    node = new_node
    publish(cluster, sssd_conf())
    cluster.apply(node)
    before = lines(node, f"rm -rf /efs/home/anna; {REFUSES}; {AS_IT_WAS}")
    node.run(SHORT, timeout=60)
    analysts = NodeGroup(name="analysts", gid=30000, members=["anna"])
    tries: list[Any] = [
        lambda: cluster.publish(accounts=[ANNA], groups=[analysts], config={"admin-enabled": "1"}),
        lambda: publish(cluster, sssd_conf(ldap_search_base="ou=none,dc=example,dc=com")),
        lambda: publish(cluster, sssd_conf(cache_credentials="False"), FAILS),
    ]
    for number, attempt in enumerate(tries):
        attempt()
        assert cluster.fail_to_apply(node).endswith(BACK)
        assert lines(node, "rm -rf /efs/home/anna; " + AS_IT_WAS) == before, number
    assert report(cluster.run(node, "report"))["probe"] == "70001:70000"
    browser = Browser()
    browser.submit(node, "/auth-sign-in", "/auth-do-sign-in", username="joe", password="joe's password")
    assert "user-id" in browser.cookies
    cluster.publish(accounts=[ANNA], groups=[analysts])
    assert "probe" not in cluster.apply(node)
    assert lines(node, "id anna; systemctl is-active sssd") == [
        "uid=20000(anna) gid=20000(anna) groups=20000(anna),30000(analysts)",
        "inactive",
    ]
    node.run(LONG, timeout=60)


def test_the_method_comes_and_goes_also_for_people_of_the_same_name(
    cluster: Cluster, directory: Directory, new_node: Host
) -> None:
    node = new_node
    analysts = NodeGroup(name="analysts", gid=30000, members=["anna"])
    cluster.publish(accounts=[ANNA], groups=[analysts])
    cluster.apply(node)
    lines(node, "touch /efs/home/anna/kept; echo anna:'her password' | chpasswd")
    publish(cluster, sssd_conf(), locked=[ANNA], emptied=[analysts])
    assert cluster.apply(node)["probe"] == "70001:70000"
    assert lines(node, "id anna; grep -c anna /etc/passwd") == [
        "uid=70004(anna) gid=70000(people) groups=70000(people),70100(workbench-users),70200(analysts)",
        "0",
    ]
    cluster.publish(accounts=[ANNA], groups=[analysts])
    reported = cluster.apply(node)
    assert "probe" not in reported
    assert lines(
        node, "id anna; getent passwd joe; systemctl is-enabled sssd; systemctl is-active sssd; ls /etc/sssd"
    ) == [
        "uid=20000(anna) gid=20000(anna) groups=20000(anna),30000(analysts)",
        "disabled",
        "inactive",
        "conf.d",
    ]
    assert lines(node, "ls /efs/home/anna; ls /etc/pam.d/rstudio* /var/lib/sss/mc; grep -c sss /etc/pam.d/rstudio") == [
        *("kept", "/etc/pam.d/rstudio", "", "/var/lib/sss/mc:"),
        "0",  # it is that of the package again
    ]
    assert cluster.apply(node)["changed"] == []


UNCHANGED = "so nothing was changed on this node:"
NOT_FOUND = "sssd does not find the account svc-probe in the directory"
WRONG: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "an option": (
        {"ldap_urii": "ldaps://x"},
        {},
        f"sssd refuses the sssd.conf in SECRET, {UNCHANGED} [rule/allowed_domain_options]: Attribute 'ldap_urii'",
    ),
    "a secret of two lines": (
        {"ldap_default_authtok": "begins\ns3cret-D = x"},
        {},
        f"sssd refuses the sssd.conf in SECRET, {UNCHANGED} [rule/allowed_domain_options]: The option in line 12 is",
    ),
    "homes": (
        {"override_homedir": "/home/%u"},
        {},
        f"The sssd.conf in SECRET does not fit, {UNCHANGED} [domain/example] has override_homedir = /home/%u,",
    ),
    "the password": (
        {"ldap_default_authtok": "wrong"},
        {},
        f"{NOT_FOUND}: the directory refuses the account by which nodes ask",
    ),
    "the address": (
        {"ldap_uri": "ldaps://10.0.1.10"},
        {},
        f"{NOT_FOUND}: the directory cannot be reached from this node",
    ),
    "the authority": (
        {"ldap_tls_cacert": "/etc/benchwright/none.pem"},
        {},
        f"{NOT_FOUND}: this node does not trust the certificate",
    ),
    "the base": (
        {"ldap_search_base": "ou=none,dc=example,dc=com"},
        {},
        f"{NOT_FOUND}, and reports no error. Check auth.probe_account",
    ),
    "the provider": (
        {"id_provider": "nonsense"},
        {},
        "sssd does not start: sssd.conf names a provider that this image does not have",
    ),
    "the shell": (
        {},
        {"probe_account": "odd"},
        "The directory gives odd the shell /usr/sbin/nologin, which is no login",
    ),
    "the probe": ({}, {"probe_account": "sync"}, "sssd does not find the account sync in the directory, and reports"),
}


def test_a_directory_that_does_not_work_is_explained_and_leaves_the_node_as_it_was(
    cluster: Cluster, directory: Directory, new_node: Host
) -> None:
    node = new_node
    node.run(SHORT, timeout=60)
    cluster.publish(accounts=[ANNA])
    cluster.apply(node)
    found = {}
    for name, (options, auth, _) in WRONG.items():
        publish(cluster, sssd_conf(**options), auth, accounts=[ANNA])
        found[name] = cluster.fail_to_apply(node)
        state = lines(node, "systemctl is-active rstudio-server sssd; ls /etc/sssd; id -u anna")
        assert state == ["active", "inactive", "conf.d", "20000"], name
    arn = cluster.world.aws.secret(SECRET, "")
    expected = {name: text.replace("SECRET", arn) for name, (_, _, text) in WRONG.items()}
    assert {name: text[: len(expected[name])] for name, text in found.items()} == expected
