"""People sign in through an OpenID provider: the whole flow, over two nodes, and each way in which it fails."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
import urllib3

from benchwright.models import Account
from rehearsal.hosts.host import Host
from rehearsal.hosts.identity_provider import CLIENT_ID, CLIENT_SECRET, HOST, ISSUER, PEOPLE
from rehearsal.hosts.standins.workbench import log
from tests.nodes.cluster import Cluster
from tests.nodes.conftest import World

OUTSIDE = "https://workbench.example.com"
BEHIND_A_PROXY = {"Host": "workbench.example.com", "X-Forwarded-Proto": "https"}
OPENID = {
    "auth-cookies-force-secure": "1",
    "auth-openid": "1",
    "auth-openid-issuer": ISSUER,
}
JIT = {
    "auth-openid-groups-claim": "groups",
    "auth-required-user-group": "workbench-users",
    "admin-enabled": "1",
    "admin-group": "workbench-admins",
    "user-provisioning-enabled": "1",
    "user-provisioning-register-on-first-login": "1",
    "user-provisioning-start-uid": "200000",
    "group-provisioning-start-gid": "200000",
    "user-homedir-path": "/efs/home",
    "auth-pam-sessions-enabled": "1",
    "auth-pam-sessions-profile": "rstudio-session",
}
PROFILE = """auth sufficient pam_rootok.so
account required pam_unix.so
session required pam_mkhomedir.so skel=/etc/skel umask=0077
session required pam_unix.so
"""
ANN_HERE = Account(name="ann", uid=5001, gid=5001)


def put_files(node: Host, secret: str = CLIENT_SECRET) -> None:
    """What an administrator writes by hand, beside rserver.conf."""
    done = node.run(
        f"""set -e
install -m 0600 -o rstudio-server -g rstudio-server /dev/stdin /etc/rstudio/openid-client-secret <<'END'
client-id={CLIENT_ID}
client-secret={secret}
END
cat >/etc/pam.d/rstudio-session <<'END'
{PROFILE}END
""",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Browser:
    """Keeps cookies of Workbench, whichever node set them, and follows redirects by hand.

    provider: whom it asks for the pages of the identity provider.
    """

    provider: urllib3.HTTPSConnectionPool
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, node: Host, address: str, **form: str) -> requests.Response:
        """Ask a node for an address of Workbench, as the load balancer passes it on."""
        sent = {**BEHIND_A_PROXY, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        url = f"http://{node.address}:8787{address.removeprefix(OUTSIDE)}"
        method = "POST" if form else "GET"
        answer = requests.request(method, url, headers=sent, data=form, allow_redirects=False, timeout=30)
        for each in answer.raw.headers.getlist("Set-Cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def submit(self, node: Host, page: str, path: str) -> requests.Response:
        """Send the form of a page."""
        hidden = dict(re.findall(r'name=(\S+) value="?([^">]*)"?>', self.ask(node, page).text))
        return self.ask(node, path, **hidden)

    def choose(self, address: str, subject: str) -> str:
        """Press someone's button on the provider's page; gives where that leads."""
        assert address.startswith(f"{ISSUER}/")
        path, host = address.removeprefix(ISSUER), {"Host": HOST}
        page = self.provider.request("GET", path, headers=host)
        assert f'value="{subject}"' in page.data.decode(), page.data.decode()
        form = {**host, "Content-Type": "application/x-www-form-urlencoded"}
        answer = self.provider.urlopen("POST", path, urlencode({"sub": subject}), form, redirect=False)
        return answer.headers["Location"]

    def sign_in(self, first: Host, second: Host, subject: str) -> requests.Response:
        """Sign in as someone: one node begins, another one takes the callback and answers it."""
        led = self.ask(first, "/")
        assert led.headers["Location"] == f"{OUTSIDE}/auth-sign-in?appUri=%2F"
        away = self.ask(first, led.headers["Location"])
        if away.status_code != 302:
            return away
        back = self.choose(away.headers["Location"], subject)
        assert back.startswith(f"{OUTSIDE}/openid/callback?")
        return self.ask(second, back)


@pytest.fixture
def browser(world: World, tmp_path: Path) -> Browser:
    authority = tmp_path / "authority.pem"
    world.hosts.mirror.authority.cert_pem.write_to_path(str(authority))
    address = world.hosts.network.names[HOST]
    return Browser(
        urllib3.HTTPSConnectionPool(
            address, timeout=30, ca_certs=str(authority), server_hostname=HOST, assert_hostname=HOST
        )
    )


@pytest.fixture
def restore(world: World) -> Iterator[None]:
    yield
    world.hosts.provider.renew_certificate()
    for subject, claims in PEOPLE.items():
        world.hosts.provider.set_person(subject, claims)


def two_nodes(cluster: Cluster, secret: str = CLIENT_SECRET, **config: str) -> list[Host]:
    """Nodes with OpenID, whose Workbench runs."""
    cluster.publish(config={name.replace("_", "-"): value for name, value in config.items()} or OPENID | JIT)
    nodes = [cluster.add_node() for _ in range(2)]
    for node in nodes:
        put_files(node, secret)
        cluster.apply(node)
    return nodes


def said(answer: requests.Response) -> dict[str, str]:
    """What a page says, by the ids of its words."""
    return dict(re.findall(r"<(?:b|p)[^>]* id=(\S+?)>(.*?)</(?:b|p)>", answer.text, re.DOTALL))


def fails(answer: requests.Response, node: Host, status: int, wrong: str, remedy: str) -> None:
    """An answer is a page that says what is wrong and what to do, and the last line of the log says it, too."""
    assert answer.status_code == status, answer.text
    page = {name: html.unescape(text) for name, text in said(answer).items()}
    assert (page["wrong"], page["remedy"]) == (f"{wrong}.", remedy)
    logged = node.run(f"tail -n 1 {log.LOG}", timeout=60).stdout
    assert logged.endswith(f"[rserver] ERROR {wrong}. {remedy}\n")


def test_a_person_gets_the_same_account_on_every_node_and_a_session(cluster: Cluster, browser: Browser) -> None:
    first, second = two_nodes(cluster)
    unknown = first.run("getent passwd bob", timeout=60)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    back = browser.sign_in(first, second, "bob")
    assert (back.status_code, back.headers.get("Location")) == (302, f"{OUTSIDE}/"), back.text
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
    assert other.sign_in(second, first, "ann").status_code == 302
    assert first.run("id -u ann", timeout=60).stdout == "200002\n"
    assert [each.ask(first, "/admin").status_code for each in (browser, other)] == [403, 200]
    password = first.run("curl -s -o /dev/null -w '%{http_code}' -d x=y localhost:8787/auth-do-sign-in", timeout=60)
    assert password.stdout == "403"
    assert browser.submit(first, "/", "/auth-do-sign-in").status_code == 404
