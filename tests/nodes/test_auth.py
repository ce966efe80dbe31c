"""How people sign in changes on a node that runs: files and keys of a method come and go with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchwright.models import Account, SignIn
from benchwright.nodes.identity_provider import Answer
from benchwright.verification.sign_in import read_answer
from rehearsal.hosts.host import Host
from rehearsal.hosts.identity_provider import CLIENT_SECRET, ISSUER
from tests.nodes.cluster import Cluster, end_scripts_that_move_to, report

ANN, BEN = (Account(name=name, uid=uid, gid=uid) for name, uid in (("ann", 5001), ("ben", 5002)))
OIDC: dict[str, Any] = {
    "method": "oidc",
    "issuer": ISSUER,
    "client_id": "workbench",
    "client_secret": "benchwright/auth/oidc",
}
JIT = OIDC | {"provisioning": "jit", "groups_claim": "groups"}
SCIM = OIDC | {"provisioning": "scim", "scim_token": "benchwright/auth/scim"}
TOKEN = "a token of 32 characters, or more"
SECRET_FILE, TOKEN_FILE = "/etc/rstudio/openid-client-secret", "/etc/rstudio/scim-token"
PROFILE = "/etc/pam.d/rstudio-session"
DROP_IN = "/etc/systemd/system/rstudio-server.service.d/benchwright-scim.conf"
STATE = "/var/lib/benchwright"
FILES = (SECRET_FILE, TOKEN_FILE, PROFILE, DROP_IN)
TOKEN_OF_SERVER = (
    "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value rstudio-server)/environ | grep ^WORKBENCH_USER || true"
)


def publish(cluster: Cluster, auth: Any, secret: str = CLIENT_SECRET) -> str:
    aws = cluster.world.aws
    arns = [aws.secret("benchwright/auth/oidc", secret), aws.secret("benchwright/auth/scim", TOKEN)]
    token = (arns[1], "v1") if auth and auth.get("scim_token") else ("", "")
    secrets = SignIn(secret_arn=arns[0], secret_version="v1", token_arn=token[0], token_version=token[1])
    return cluster.publish(accounts=[ANN], locked=[BEN], auth=auth, sign_in=secrets if auth else SignIn())


def said(node: Host, script: str) -> str:
    done = node.run(script, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def apply_as_new(cluster: Cluster, node: Host) -> None:
    """As the association does on a node that was just launched, which asks no identity provider."""
    said(node, f"rm {STATE}/launched")
    cluster.run(node, "apply", configuration="")


def there(node: Host) -> dict[str, str]:
    """The files of sign-in on a node, with their modes and owners."""
    lines = said(node, f"stat -c '%n %a %U:%G' {' '.join(FILES)} 2>/dev/null || true").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def keys(node: Host) -> set[str]:
    lines = said(node, "cat /etc/rstudio/rserver.conf").splitlines()
    return {
        key for key, _, _ in (line.partition("=") for line in lines) if key.startswith(("auth-", "user-", "group-"))
    }


@pytest.fixture(scope="module")
def node(cluster_of_file: Cluster) -> Host:
    """The node with which all tests of this file go on: each begins with the method that it needs."""
    made = cluster_of_file.add_node()
    cluster_of_file.publish(accounts=[ANN, BEN])
    cluster_of_file.apply(made)
    return made


def test_each_direction_leaves_what_its_method_needs_and_nothing_else(cluster: Cluster, node: Host) -> None:
    """Nor does who left have an account by which an identity provider could still let them in."""
    publish(cluster, None)
    cluster.apply(node)
    assert said(node, "id -u ben; getent shadow ben | cut -d: -f8") == "5002\n1\n"
    before = keys(node)
    assert there(node) == {}
    of_server = "600 rstudio-server:rstudio-server"
    openid, profile = {SECRET_FILE: of_server}, {PROFILE: "644 root:root"}
    scim = {TOKEN_FILE: of_server, DROP_IN: "644 root:root"}
    for auth, files in (
        (OIDC, openid | profile),
        (JIT, openid | profile),
        (SCIM, openid | profile | scim),
        (None, {}),
        (SCIM, openid | profile | scim),
        (JIT, openid | profile),
    ):
        publish(cluster, auth)
        report = cluster.apply(node)
        assert report["restarted"] is True
        assert there(node) == files
        assert said(node, "getent passwd ben || stat -c %u /efs/home/ben") == "5002\n"
        assert (keys(node) == before) is (auth is None)
        in_unit = f"WORKBENCH_USER_SERVICE_AUTH_TOKEN_PATH={TOKEN_FILE}\n" if auth is SCIM else ""
        assert said(node, TOKEN_OF_SERVER) == in_unit
        if auth is SCIM:
            assert said(node, f"cat {TOKEN_FILE}") == TOKEN
            assert cluster.apply(node)["changed"] == []
    assert cluster.apply(node)["changed"] == []
    assert said(node, f"cat {SECRET_FILE}") == f"client-id=workbench\nclient-secret={CLIENT_SECRET}\n"
    assert said(node, "getent passwd ann") == "ann:x:5001:5001::/efs/home/ann:/bin/bash\n"
    for kind in ("passwd", "group", "shadow"):
        assert "pwb" in said(node, f"grep ^{kind}: /etc/nsswitch.conf").split()
    assert said(node, f"grep -rlF -e '{TOKEN}' -e '{CLIENT_SECRET}' /var/log /var/lib/benchwright || true") == ""


def test_a_change_that_is_cut_off_and_taken_back_leaves_nothing_of_the_method(cluster: Cluster, node: Host) -> None:
    publish(cluster, None)
    cluster.apply(node)
    before = keys(node)
    publish(cluster, SCIM)
    end_scripts_that_move_to(node, PROFILE)  # the last of its files
    assert cluster.run(node, "apply").returncode != 0
    assert set(there(node)) == {*FILES} - {PROFILE}
    end_scripts_that_move_to(node, "nowhere")
    publish(cluster, None)
    cluster.apply(node)
    assert (there(node), keys(node)) == ({}, before)
    assert cluster.apply(node)["changed"] == []


def test_a_client_secret_that_workbench_would_cut_is_refused_and_the_node_goes_on(cluster: Cluster, node: Host) -> None:
    publish(cluster, OIDC)
    cluster.apply(node)
    publish(cluster, JIT, "abc#def")
    error = cluster.fail_to_apply(node)
    assert " has a # or a space at an end, which Workbench would take away. Have your identity provider make " in error
    assert there(node) == {SECRET_FILE: "600 rstudio-server:rstudio-server", PROFILE: "644 root:root"}
    assert said(node, "systemctl is-active rstudio-server") == "active\n"


def asked(cluster: Cluster, node: Host) -> Answer:
    """What a node says of the identity provider."""
    done = cluster.run(node, "cluster")
    assert done.returncode == 0, done.stdout
    answer = read_answer(done.stdout)
    assert answer
    return answer


def test_a_node_reads_what_the_identity_provider_says_of_itself(cluster: Cluster, node: Host) -> None:
    publish(cluster, OIDC)
    cluster.apply(node)
    place = f"{ISSUER}/.well-known/openid-configuration"
    assert asked(cluster, node) == Answer(method="oidc", place=place, issuer=ISSUER)
    cluster.world.hosts.provider.renew_certificate(until=datetime.now(UTC) - timedelta(days=1))
    try:
        assert asked(cluster, node).problem.startswith("curl: (60) SSL certificate problem: certificate has expired")
    finally:
        cluster.world.hosts.provider.renew_certificate()
    for issuer, problem in (
        (f"{ISSUER}/people", "it answers 404"),
        ("https://nowhere.example.com", "curl: (6) Could not resolve host: nowhere.example.com"),
    ):
        publish(cluster, OIDC | {"issuer": issuer})
        apply_as_new(cluster, node)  # whether Workbench starts without its provider, only Workbench knows
        assert asked(cluster, node).problem == problem


@pytest.mark.parametrize("before", [None, OIDC])
def test_a_node_changes_nothing_for_an_identity_provider_that_does_not_fit(
    cluster: Cluster, node: Host, before: Any
) -> None:
    """Where an execution brings it; a new node takes it all the same."""
    publish(cluster, before)
    cluster.apply(node)
    look = f"cat /etc/rstudio/rserver.conf {STATE}/configuration; systemctl show -p MainPID rstudio-server"
    left = said(node, look), there(node)
    elsewhere, slash = "https://nowhere.example.com", f"{ISSUER}/"
    place = "/.well-known/openid-configuration"
    for auth, answer in (
        (
            JIT | {"issuer": elsewhere},
            {"place": f"{elsewhere}{place}", "problem": "curl: (6) Could not resolve host: nowhere.example.com"},
        ),
        (JIT | {"issuer": f"{ISSUER}/people"}, {"place": f"{ISSUER}/people{place}", "problem": "it answers 404"}),
        (JIT | {"issuer": slash}, {"place": f"{ISSUER}{place}", "issuer": ISSUER}),
    ):
        done = cluster.run(node, "apply", configuration=publish(cluster, auth))
        assert done.returncode == 1, done.stdout
        failed = report(done)
        assert failed["sign_in"] == {"method": "oidc", **answer}
        assert (failed["changed"], failed["restarted"]) == ([], False)
        assert (said(node, look), there(node)) == left
    apply_as_new(cluster, node)
    assert f"auth-openid-issuer={slash}\n" in said(node, "cat /etc/rstudio/rserver.conf")


def test_a_node_whose_identity_provider_stays_does_not_ask_it(cluster: Cluster, node: Host) -> None:
    """Its nodes must be configured also while it is away."""
    done = cluster.run(node, "apply", configuration=publish(cluster, OIDC))
    assert done.returncode == 0, done.stdout
    cluster.world.hosts.provider.stop()
    try:
        done = cluster.run(node, "apply", configuration=publish(cluster, JIT))
    finally:
        cluster.world.hosts.provider.start_again()
    assert (done.returncode, "user-provisioning-enabled" in keys(node)) == (0, True), done.stdout
