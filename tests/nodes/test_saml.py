"""People sign in to the stand-in server by SAML: one node begins, another takes the response, and a session follows."""

import urllib.parse
from collections.abc import Iterator

import pytest
import requests
from saml2 import BINDING_HTTP_REDIRECT

from benchwright.models import Account, NodeGroup
from rehearsal.hosts.host import Host
from rehearsal.hosts.standins.workbench.log import LOG
from tests.nodes.cluster import Cluster
from tests.nodes.test_sign_in import ANNA, OUTSIDE, Browser, said
from tests.saml import SIGN_ON, IdentityProvider

BOB = Account(name="bob", uid=5002, gid=5002)
USERS = NodeGroup(name="workbench-users", gid=6001, members=["anna"])
FILE = "/etc/rstudio/saml-metadata.xml"
OPTIONS = {
    "auth-cookies-force-secure": "1",
    "auth-saml": "1",
    "auth-saml-metadata-path": FILE,
    "auth-saml-sp-base-uri": OUTSIDE,
    "auth-required-user-group": USERS.name,
}


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture
def nodes(cluster: Cluster, provider: IdentityProvider) -> Iterator[tuple[Host, Host]]:
    cluster.publish(accounts=[ANNA, BOB], groups=[USERS], config=OPTIONS)
    first, second = (cluster.add_node() for _ in range(2))
    for node in (first, second):
        written = node.run(f"cat >{FILE} <<'END'\n{provider.metadata()}END\n", timeout=60)
        assert written.returncode == 0, written.stderr
        cluster.apply(node)
    yield first, second


def last_line(node: Host) -> str:
    return node.run(f"tail -n 1 {LOG}", timeout=60).stdout


def begin(browser: Browser, node: Host) -> tuple[dict[str, str], str]:
    """What the identity provider is asked, and the metadata of this service provider."""
    led = browser.ask(node, browser.ask(node, "/").headers["Location"].removeprefix(OUTSIDE))
    assert led.headers["Location"].startswith(f"{SIGN_ON}?"), led.text
    query = urllib.parse.urlsplit(led.headers["Location"]).query
    return dict(urllib.parse.parse_qsl(query)), browser.ask(node, "/saml/metadata").text


def finish(browser: Browser, node: Host, response: str, place: str = "/") -> requests.Response:
    return browser.ask(node, "/saml/acs", SAMLResponse=response, RelayState=place)


def test_a_response_of_the_provider_ends_in_a_session_on_two_nodes(
    nodes: tuple[Host, Host], provider: IdentityProvider
) -> None:
    first, second = nodes
    browser = Browser()
    query, service = begin(browser, first)
    asked = provider.request(query["SAMLRequest"], BINDING_HTTP_REDIRECT, service)
    assert (asked["issuer"], asked["consumer"]) == (f"{OUTSIDE}/saml/metadata", f"{OUTSIDE}/saml/acs")
    response = provider.respond(service, {"Username": ["anna"]}, request=asked["id"])
    led = finish(browser, second, response, query["RelayState"])
    assert (led.status_code, led.headers["Location"]) == (302, f"{OUTSIDE}/")
    for node in (first, second):
        begun = browser.submit(node, "/", "/start-session", any="thing")
        page = said(browser.ask(second, urllib.parse.urlsplit(begun.headers["Location"]).path))
        assert (page["user"], page["uid"], page["session-node"]) == ("anna", "5001", node.address)


def test_who_may_not_come_in_reads_why_and_the_log_has_it(nodes: tuple[Host, Host], provider: IdentityProvider) -> None:
    first, _ = nodes
    _, service = begin(Browser(), first)
    cases = {
        "It is signed with another key": IdentityProvider().respond(service, {"Username": ["anna"]}),
        "expired": provider.respond(service, {"Username": ["anna"]}, minutes=-10),
        "is not a valid audience": provider.respond(service, {"Username": ["anna"]}, audience="https://another"),
        "names the user; its attributes: login": provider.respond(service, {"login": ["anna"]}),
        "not in the group workbench-users": provider.respond(service, {"Username": ["bob"]}),
        "There is no account carol": provider.respond(service, {"Username": ["carol"]}),
    }
    for words, response in cases.items():
        browser = Browser()
        page = finish(browser, first, response)
        assert (page.status_code, browser.cookies.get("user-id")) == (403, None)
        assert words in page.text
        assert words in last_line(first) and " ERROR " in last_line(first)


def test_a_server_that_could_not_read_the_metadata_lets_no_one_in(
    nodes: tuple[Host, Host], cluster: Cluster, provider: IdentityProvider
) -> None:
    first, second = nodes
    done = first.run(f"rm {FILE} && rstudio-server restart", timeout=90)
    assert done.returncode == 0, done.stderr
    page = Browser().ask(first, "/auth-sign-in?appUri=%2F")
    assert page.status_code == 502
    problem = f"could not be read from {FILE}: [Errno 2] No such file or directory"
    assert problem in page.text.replace("&#x27;", "'") and problem in last_line(first)
    assert '"problem":"there is no such file"' in cluster.run(first, "cluster").stdout
    answer = cluster.run(second, "cluster").stdout
    assert f'"expires":[{int(provider.end.timestamp())}]' in answer.partition("=== sign-in ===\n")[2]
