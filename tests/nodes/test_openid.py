"""People sign in through an OpenID provider: the whole flow, over two nodes, and each way in which it fails."""

import html
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from urllib3 import BaseHTTPResponse

from benchwright.models import Account, SignIn
from rehearsal.hosts.host import Host
from rehearsal.hosts.identity_provider import CLIENT_ID, CLIENT_SECRET, DAY, HOST, ISSUER, PEOPLE
from rehearsal.hosts.standins.workbench import log
from rehearsal.hosts.standins.workbench.name_service import MODULE
from rehearsal.hosts.standins.workbench.openid import SECRET_FILE
from tests.browser import OUTSIDE, Browser, new_browser, said
from tests.nodes.cluster import END_SESSIONS, Cluster
from tests.nodes.conftest import World

AUTH = {
    "method": "oidc",
    "issuer": ISSUER,
    "client_id": CLIENT_ID,
    "client_secret": "benchwright/auth/oidc",
    "provisioning": "jit",
    "groups_claim": "groups",
    "required_group": "workbench-users",
    "admin_group": "workbench-admins",
}
WITHOUT_PROVISIONING = {key: AUTH[key] for key in ("method", "issuer", "client_id", "client_secret")}
ENCRYPT = f"""import sys
sys.path += ["/opt/rehearsal", "/opt/rehearsal/site"]
from pathlib import Path
from shlex import quote
from typing import Any
from standins.rskey import Key
print(Key(Path("/etc/rstudio/secure-cookie-key").read_bytes()).encrypt({CLIENT_SECRET!r}))
"""
"""What `rstudio-server encrypt-password` does, which reads from a terminal alone."""
AWAIT_NAMES = "timeout 30 sh -c 'until getent passwd bob >/dev/null; do sleep 0.1; done'"
"""The command that starts the server ends before the server answers for accounts."""
CLAIMS = "at_hash, aud, auth_time, exp, groups, iat, iss, name, nonce, sub"
DOCUMENT = "its discovery document"
ANN_HERE = Account(name="ann", uid=5001, gid=5001)


@pytest.fixture
def browser(world: World, tmp_path: Path) -> Browser:
    return new_browser(world.hosts, tmp_path)


@pytest.fixture
def restore(world: World) -> Iterator[None]:
    yield
    world.hosts.provider.renew_certificate()
    for subject, claims in PEOPLE.items():
        world.hosts.provider.set_person(subject, claims)


def publish(cluster: Cluster, auth: dict[str, str], **people: Any) -> None:
    secret = cluster.world.aws.secret("benchwright/auth/oidc", CLIENT_SECRET)
    cluster.publish(auth=auth, sign_in=SignIn(secret_arn=secret, secret_version="v1"), **people)


@pytest.fixture(scope="module")
def nodes_of_file(cluster_of_file: Cluster) -> list[Host]:
    publish(cluster_of_file, AUTH)
    made = [cluster_of_file.add_node() for _ in range(2)]
    for node in made:
        cluster_of_file.apply(node)
    return made


FORGET = "truncate licensed_users, licensed_groups, licensed_group_members, active_session_metadata"


@pytest.fixture
def nodes(nodes_of_file: list[Host], cluster: Cluster) -> Iterator[list[Host]]:
    """All tests go on with the same two nodes, which know no person yet."""
    yield nodes_of_file
    for node in nodes_of_file:
        node.run(f"{END_SESSIONS}; rm -rf /efs/home/*", timeout=60)
    cluster.postgres.execute(FORGET, database="rstudio")


@pytest.fixture
def node(nodes: list[Host]) -> Host:
    return nodes[0]


def refusal(answer: BaseHTTPResponse, node: Host) -> tuple[int, str, str]:
    """Status, what is wrong and what to do, as a page says them; the last line of the node's log says the same."""
    page = {name: html.unescape(text) for name, text in said(answer).items()}
    logged = node.run(f"tail -n 1 {log.LOG}", timeout=60).stdout
    assert logged.endswith(f"[rserver] ERROR {page['wrong']} {page['remedy']}\n")
    return answer.status, page["wrong"], page["remedy"]


def test_a_person_gets_the_same_account_on_every_node_and_a_session(nodes: list[Host], browser: Browser) -> None:
    first, second = nodes
    unknown = first.run("getent passwd bob", timeout=60)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    back = browser.sign_in(first, second, "bob")
    assert (back.status, back.headers.get("Location")) == (302, f"{OUTSIDE}/"), back.data
    assert said(browser.ask(first, "/"))["user"] == "bob"
    begun = browser.submit(first, "/", "/start-session")
    pages = [said(browser.ask(node, begun.headers["Location"])) for node in (second, first)]
    assert pages[0] == pages[1]
    assert (pages[0]["user"], pages[0]["uid"]) == ("bob", "200000")
    for node in (first, second):
        script = "getent passwd bob 200000; id bob; getent group workbench-users; stat -c '%U %a' /efs/home/bob"
        line = "bob:*:200000:200000:Bob Example:/efs/home/bob:/bin/bash\n"
        assert node.run(script, timeout=60).stdout == (
            f"{line}{line}uid=200000(bob) gid=200000(bob) groups=200000(bob),200001(workbench-users)\n"
            "workbench-users:*:200001:bob\nbob 700\n"
        )
    other = Browser(browser.provider)
    assert other.sign_in(second, first, "ann").status == 302
    assert first.run("id -u ann", timeout=60).stdout == "200002\n"
    assert [each.ask(first, "/admin").status for each in (browser, other)] == [403, 200]
    password = first.run("curl -s -o /dev/null -w '%{http_code}' -d x=y localhost:8787/auth-do-sign-in", timeout=60)
    assert password.stdout == "403"
    assert browser.submit(first, "/", "/auth-do-sign-in").status == 404


@pytest.mark.usefixtures("restore")
def test_groups_follow_the_claim_at_each_sign_in(node: Host, browser: Browser, world: World) -> None:
    assert browser.sign_in(node, node, "ann").status == 302
    groups = {"workbench-users": "id -nG ann", "workbench-admins": "getent group workbench-admins | cut -d: -f4"}
    before = {name: node.run(script, timeout=60).stdout for name, script in groups.items()}
    assert before == {"workbench-users": "ann workbench-users workbench-admins\n", "workbench-admins": "ann\n"}
    changed = {**PEOPLE["ann"], "groups": ["workbench-users", "a group that Linux does not take"]}
    world.hosts.provider.set_person("ann", changed)
    assert browser.sign_in(node, node, "ann").status == 302
    after = {name: node.run(script, timeout=60).stdout for name, script in groups.items()}
    assert after == {"workbench-users": "ann workbench-users\n", "workbench-admins": "\n"}
    assert browser.ask(node, "/admin").status == 403
    assert "a group that Linux does not take" in node.run(f"grep WARNING {log.LOG}", timeout=60).stdout


def test_provisioning_takes_what_stands_before_the_at_sign(node: Host, browser: Browser) -> None:
    assert browser.sign_in(node, node, "kim").status == 302
    assert said(browser.ask(node, "/"))["user"] == "kim"
    assert node.run("id -u kim", timeout=60).stdout == "200000\n"


def test_accounts_of_the_database_are_known_only_where_the_name_service_asks(
    nodes: list[Host], browser: Browser
) -> None:
    first, second = nodes
    assert browser.sign_in(first, first, "bob").status == 302
    look = "getent passwd bob; id -u bob; getent passwd root | cut -d: -f1"
    found = "bob:*:200000:200000:Bob Example:/efs/home/bob:/bin/bash\n200000\nroot\n"
    assert second.run(look, timeout=60).stdout == found
    for lose, regain in (
        ("sed -i 's/ pwb//' /etc/nsswitch.conf", "sed -Ei 's/^(passwd|group|shadow):.*/& pwb/' /etc/nsswitch.conf"),
        (f"mv {MODULE} /root", f"mv /root/{MODULE.name} {MODULE.parent}"),
        ("mv /etc/rstudio/workbench-nss.conf /root", "mv /root/workbench-nss.conf /etc/rstudio"),
        ("rstudio-server stop", f"rstudio-server start; {AWAIT_NAMES}"),
    ):
        assert second.run(f"{lose}\n{look}", timeout=60).stdout == "root\n", lose
        assert second.run(f"{regain}\n{look}", timeout=60).stdout == found, regain
    second.run("cp /etc/nsswitch.conf /root; sed -i 's/ pwb//' /etc/nsswitch.conf", timeout=60)
    refused = refusal(browser.sign_in(first, second, "bob"), second)
    # The C library of the server would not ask the name service again for a while.
    second.run("cp /root/nsswitch.conf /etc; rstudio-server restart", timeout=60)
    assert refused == (
        403,
        "The account bob is in Workbench's database, but this node does not look there.",
        f"/etc/nsswitch.conf needs pwb in its lines passwd, group and shadow, and {MODULE} must exist.",
    )


@pytest.mark.usefixtures("restore")
def test_who_may_not_come_in_reads_why(node: Host, browser: Browser, world: World) -> None:
    assert refusal(browser.sign_in(node, node, "eve"), node) == (
        403,
        "The account eve is not in the group workbench-users, which auth-required-user-group asks for.",
        "Make it a member where its groups come from: the identity provider, or the groups of each node.",
    )
    assert "user-id" not in browser.cookies
    assert refusal(browser.sign_in(node, node, "nameless"), node) == (
        403,
        f"The ID token of {ISSUER} has no claim preferred_username; it has {CLAIMS}.",
        "Let the provider put preferred_username into it, or set auth-openid-username-claim to a claim that is there.",
    )
    world.hosts.provider.set_person("eve", {**PEOPLE["eve"], "preferred_username": "root"})
    assert refusal(browser.sign_in(node, node, "eve"), node)[1:] == (
        "The account root has the uid 0, below 2000.",
        "Accounts of the system get no session.",
    )
    away = browser.ask(node, "/auth-sign-in?appUri=%2F").headers["Location"]
    back = browser.choose(away, "ann")
    again = "Sign in again, and finish within ten minutes in the same browser."
    assert refusal(Browser(browser.provider).ask(node, back), node) == (
        400,
        "This browser has no sign-in under way, or one of another cluster, or one of more than ten minutes ago.",
        again,
    )
    other = Browser(browser.provider)
    other.ask(node, "/auth-sign-in?appUri=%2F")
    state = "The state of this answer is not that of the sign-in which this browser began."
    assert refusal(other.ask(node, back), node) == (400, state, again)
    assert browser.ask(node, back).status == 302
    assert refusal(browser.ask(node, back), node)[0] == 400  # a code is good once


@pytest.mark.usefixtures("restore")
def test_a_provider_that_is_not_what_it_should_be_is_named(node: Host, browser: Browser, world: World) -> None:
    provider = world.hosts.provider
    early = Browser(browser.provider)
    back = early.choose(early.ask(node, "/auth-sign-in?appUri=%2F").headers["Location"], "ann")
    provider.renew_certificate(until=datetime.now(UTC) - DAY)
    expired = (
        502,
        f"The certificate of {HOST} has expired, so it was not asked for {DOCUMENT}.",
        "Renew the certificate at the provider.",
    )
    assert refusal(browser.sign_in(node, node, "ann"), node) == expired
    assert refusal(early.ask(node, back), node) == expired
    provider.stop()
    try:
        status, wrong, remedy = refusal(browser.sign_in(node, node, "ann"), node)
    finally:
        provider.start_again()
    assert (status, wrong.partition(":")[0]) == (502, f"{HOST} does not answer when it is asked for {DOCUMENT}")
    assert remedy == "Each node must reach it at port 443: check its name, the route, and what filters there."
    known = "/etc/ssl/certs/ca-certificates.crt"
    node.run(f"cp {known} /root; sed -i '/END CERTIFICATE/q' {known}", timeout=60)
    refused = refusal(browser.sign_in(node, node, "ann"), node)
    node.run(f"cp /root/ca-certificates.crt {known}", timeout=60)
    assert refused == (
        502,
        f"No authority that this node knows has signed the certificate of {HOST}, so it was not asked for {DOCUMENT}.",
        "Put its authority into /usr/local/share/ca-certificates, and run update-ca-certificates.",
    )


def test_people_who_come_at_once_to_several_nodes_share_no_id(nodes: list[Host], browser: Browser) -> None:
    people = ["ann", "bob", "kim"]

    def sign_in(number: int) -> int:
        return Browser(browser.provider).sign_in(nodes[number % 2], nodes[1 - number % 2], people[number]).status

    with ThreadPoolExecutor(len(people)) as pool:
        assert list(pool.map(sign_in, range(len(people)))) == [302, 302, 302]
    shown = {node.run("getent passwd ann bob kim; getent group workbench-users", timeout=60).stdout for node in nodes}
    assert len(shown) == 1
    *accounts, group = shown.pop().splitlines()
    ids = [int(line.split(":")[2]) for line in (*accounts, group)]
    assert (len(set(ids)), min(ids)) == (4, 200_000)
    assert group.endswith(":ann,bob,kim")


def test_sessions_need_a_profile_that_makes_homes(node: Host, browser: Browser) -> None:
    profile = "/etc/pam.d/rstudio-session"
    node.run(f"cp {profile} /root; sed -i /mkhomedir/d {profile}", timeout=60)
    assert browser.sign_in(node, node, "bob").status == 302
    assert refusal(browser.submit(node, "/", "/start-session"), node) == (
        500,
        "The home directory /efs/home/bob of bob does not exist.",
        "Make it, or let pam_mkhomedir do so in the profile that auth-pam-sessions-profile names.",
    )
    node.run(f"echo 'account required pam_deny.so' >{profile}", timeout=60)
    status, wrong, remedy = refusal(browser.ask(node, "/"), node)
    node.run("cp /root/rstudio-session /etc/pam.d", timeout=60)
    refused = "PAM opens no session for bob: pam_acct_mgmt of the service rstudio-session: "
    assert (status, wrong[: len(refused)], remedy) == (403, refused, f"Look at {profile} on this node.")


def test_a_wrong_client_secret_is_named_and_an_encrypted_one_is_taken(node: Host, browser: Browser) -> None:
    put = f"sed -i '$s,=.*,={{}},' {SECRET_FILE}"
    node.run(put.format("not this one"), timeout=60)
    status, wrong, remedy = refusal(browser.sign_in(node, node, "ann"), node)
    refused = f"The provider refuses the client-id or client-secret of {SECRET_FILE}: invalid_client: "
    assert (status, wrong[: len(refused)]) == (502, refused)
    assert remedy == "Compare both with what the provider shows for its client, and see whether the secret has expired."
    assert "not this one" not in node.run(f"cat {log.LOG}", timeout=60).stdout
    encrypted = node.run(f"python3 -c {quote(ENCRYPT)}", timeout=60)
    assert encrypted.returncode == 0, encrypted.stderr
    node.run(put.format(encrypted.stdout.strip()), timeout=60)
    assert browser.sign_in(node, node, "ann").status == 302
    node.run(put.format(CLIENT_SECRET), timeout=60)


CONF = "/etc/rstudio/rserver.conf"
OLDER = "echo 2025.05.1+513.pro3 >/usr/lib/rstudio-server/VERSION"


REFUSED = {
    f"chmod 0644 {SECRET_FILE}": f"The permissions of {SECRET_FILE} are 0644, its owner is rstudio-server",
    f"chown ubuntu {SECRET_FILE}": f"The permissions of {SECRET_FILE} are 0600, its owner is ubuntu",
    f"rm {SECRET_FILE}": f"{SECRET_FILE} does not exist",
    f"sed -i /client-id/d {SECRET_FILE}": "client-id is missing",
    f"sed -i s/client-id/clientid/ {SECRET_FILE}": "unrecognised option 'clientid'",
    f"sed -i /issuer/d {CONF}": "auth-openid-issuer is '': OpenID needs the https address",
    OLDER: "option 'auth-openid-groups-claim'",
    f"{OLDER}; sed -i s/openid-groups-claim/saml-sp-attribute-groups/ {CONF}": "option 'auth-saml-sp-attribute-gr",
    f"echo session-timeout-kill-hours=4 >>{CONF}": "option 'session-timeout-kill-hours'",
}
HEAL = "cp -a /root/rstudio/. /etc/rstudio; cp -a /root/VERSION /usr/lib/rstudio-server"


def test_the_server_refuses_to_start_without_what_the_flow_needs(node: Host) -> None:
    node.run("cp -a /etc/rstudio /usr/lib/rstudio-server/VERSION /root", timeout=60)
    found = {}
    for change, reason in REFUSED.items():
        done = node.run(f"rstudio-server stop; {change}; rstudio-server start", timeout=60)
        said = node.run(f"tail -n 1 {log.LOG}", timeout=60).stdout
        assert done.returncode != 0, change
        found[change] = reason if reason in said else said
        healed = node.run(f"{HEAL}; rstudio-server start", timeout=60)
        assert healed.returncode == 0, (change, healed.stderr)
    assert found == REFUSED


def test_without_provisioning_the_accounts_of_the_nodes_count(cluster: Cluster, node: Host, browser: Browser) -> None:
    publish(cluster, WITHOUT_PROVISIONING, accounts=[ANN_HERE])
    cluster.apply(node)
    assert browser.sign_in(node, node, "ann").status == 302
    begun = browser.submit(node, "/", "/start-session")
    assert said(browser.ask(node, begun.headers["Location"]))["uid"] == "5001"
    assert refusal(browser.sign_in(node, node, "bob"), node) == (
        403,
        "There is no account bob on this node.",
        "Make it on every node, or switch user provisioning on.",
    )
    assert refusal(browser.sign_in(node, node, "kim"), node) == (
        403,
        "The user name kim@example.com has an @, and no Linux account has one.",
        "Take a claim without one, or switch user provisioning on, which takes what stands before the @.",
    )


def test_a_removed_person_gets_no_session_though_the_provider_still_knows_them(
    cluster: Cluster, node: Host, browser: Browser
) -> None:
    publish(cluster, WITHOUT_PROVISIONING, accounts=[ANN_HERE])
    cluster.apply(node)
    assert browser.sign_in(node, node, "ann").status == 302
    begun = browser.submit(node, "/", "/start-session")
    assert said(browser.ask(node, begun.headers["Location"]))["uid"] == "5001"
    publish(cluster, WITHOUT_PROVISIONING, locked=[ANN_HERE])
    cluster.apply(node)
    status, wrong, _ = refusal(browser.sign_in(node, node, "ann"), node)
    assert (status, wrong) == (403, "There is no account ann on this node.")
