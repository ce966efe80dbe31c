"""People sign in to the stand-in server by SAML: one node begins, another takes the response, and a session follows."""

import re
import urllib.parse

import pytest
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from urllib3 import BaseHTTPResponse

from benchwright.models import Account, NodeGroup, SignIn
from benchwright.verification.sign_in import read_answer
from rehearsal.hosts.host import Host
from rehearsal.hosts.identity_provider import ISSUER
from rehearsal.hosts.standins.workbench.log import LOG
from tests.browser import OUTSIDE, Browser, said
from tests.nodes.cluster import ANNA, Cluster
from tests.saml import SIGN_ON, IdentityProvider

BOB = Account(name="bob", uid=5002, gid=5002)
USERS = NodeGroup(name="workbench-users", gid=6001, members=["anna"])
FILE, METADATA_URL = "/etc/rstudio/saml-metadata.xml", f"{ISSUER}/saml/metadata.xml"
BY_SECRET = {"method": "saml", "metadata": "benchwright/auth/saml", "required_group": USERS.name}
BY_ADDRESS = {
    "method": "saml",
    "metadata_url": METADATA_URL,
    "post_binding": True,
    "username_attribute": "NameID",
    "name_id_format": "emailaddress",
    "provisioning": "jit",
    "groups_attribute": "groups",
    "required_group": USERS.name,
}


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


def publish(cluster: Cluster, metadata: str, version: str = "v1") -> None:
    arn = cluster.world.aws.secret("benchwright/auth/saml", metadata, version)
    secret = SignIn(secret_arn=arn, secret_version=version)
    cluster.publish(accounts=[ANNA, BOB], groups=[USERS], auth=BY_SECRET, sign_in=secret)


@pytest.fixture(scope="module")
def nodes(cluster_of_file: Cluster, provider: IdentityProvider) -> tuple[Host, Host]:
    """All tests of this file go on with these, in this order."""
    publish(cluster_of_file, provider.metadata())
    first, second = (cluster_of_file.add_node() for _ in range(2))
    for node in (first, second):
        cluster_of_file.apply(node)
    return first, second


def last_line(node: Host) -> str:
    return node.run(f"tail -n 1 {LOG}", timeout=60).stdout


def begin(browser: Browser, node: Host) -> tuple[dict[str, str], str]:
    """What the identity provider is asked, and the metadata of this service provider."""
    led = browser.ask(node, browser.ask(node, "/").headers["Location"].removeprefix(OUTSIDE))
    assert led.headers["Location"].startswith(f"{SIGN_ON}?"), led.data.decode()
    query = urllib.parse.urlsplit(led.headers["Location"]).query
    return dict(urllib.parse.parse_qsl(query)), browser.ask(node, "/saml/metadata").data.decode()


def finish(browser: Browser, node: Host, response: str, place: str = "/") -> BaseHTTPResponse:
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
    assert (led.status, led.headers["Location"]) == (302, f"{OUTSIDE}/")
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
        assert (page.status, browser.cookies.get("user-id")) == (403, None)
        assert words in page.data.decode()
        assert words in last_line(first) and " ERROR " in last_line(first)


def test_a_server_that_could_not_read_the_metadata_lets_no_one_in(
    nodes: tuple[Host, Host], cluster: Cluster, provider: IdentityProvider
) -> None:
    first, second = nodes
    done = first.run(f"rm {FILE} && rstudio-server restart", timeout=90)
    assert done.returncode == 0, done.stderr
    page = Browser().ask(first, "/auth-sign-in?appUri=%2F")
    assert page.status == 502
    problem = f"could not be read from {FILE}: [Errno 2] No such file or directory"
    assert problem in page.data.decode().replace("&#x27;", "'") and problem in last_line(first)
    answers = [read_answer(cluster.run(node, "cluster").stdout) for node in (first, second)]
    assert [answer.problem for answer in answers if answer] == ["there is no such file", ""]
    assert answers[1] and answers[1].expires == [int(provider.end.timestamp())]


def test_a_secret_that_holds_no_metadata_changes_nothing_on_a_node(
    nodes: tuple[Host, Host], cluster: Cluster, provider: IdentityProvider
) -> None:
    node = nodes[1]
    publish(cluster, "<html/>", "v2")
    error = cluster.fail_to_apply(node)
    assert "(input: auth.metadata) holds no metadata of a SAML identity provider: it has no EntityDescriptor" in error
    look = node.run(f"stat -c '%a %U:%G' {FILE}; systemctl is-active rstudio-server; cat {FILE}", timeout=60).stdout
    assert look == f"600 rstudio-server:rstudio-server\nactive\n{provider.metadata()}"


def test_workbench_makes_the_account_of_someone_who_comes_by_saml_and_takes_the_groups_along(
    nodes: tuple[Host, Host], cluster: Cluster, provider: IdentityProvider
) -> None:
    cluster.world.hosts.provider.published["/saml/metadata.xml"] = provider.metadata()
    cluster.publish(auth=BY_ADDRESS, locked=[ANNA, BOB], emptied=[USERS])
    first, second = nodes
    for node in nodes:
        cluster.apply(node)
    browser = Browser()
    page = browser.ask(first, "/auth-sign-in?appUri=%2F")
    assert f'<form method=post action="{SIGN_ON}">' in page.data.decode()
    fields = dict(re.findall(r'name=(\S+) value="([^"]*)"', page.data.decode()))
    service = browser.ask(first, "/saml/metadata").data.decode()
    asked = provider.request(fields["SAMLRequest"], BINDING_HTTP_POST, service)
    groups = {"groups": [USERS.name, "readers"]}
    response = provider.respond(service, groups, name="kim@example.com", request=asked["id"])
    led = finish(browser, second, response, fields["RelayState"])
    assert (led.status, led.headers.get("Location")) == (302, f"{OUTSIDE}/"), led.data.decode()
    begun = browser.submit(first, "/", "/start-session", any="thing")
    session = said(browser.ask(second, urllib.parse.urlsplit(begun.headers["Location"]).path))
    assert (session["user"], session["uid"]) == ("kim", "200000")
    for node in nodes:
        known = node.run("getent passwd kim | cut -d: -f3,6; id -nG kim; stat -c %U /efs/home/kim", timeout=60)
        assert known.stdout == f"200000:/efs/home/kim\nkim {USERS.name} readers\nkim\n"
    stranger = provider.respond(service, {"groups": ["finance"]}, name="eve@example.com")
    refused = finish(Browser(), first, stranger)
    assert refused.status == 403
    assert "The account eve is not in the group workbench-users" in refused.data.decode()
