"""People of an identity provider over the life of a cluster: each test goes on where the one before it ended."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from saml2 import BINDING_HTTP_REDIRECT
from urllib3 import HTTPSConnectionPool

from rehearsal.application import ROOT
from rehearsal.hosts.identity_provider import ISSUER
from tests.browser import SECONDS, Browser, new_browser, said
from tests.deployment.account import Account
from tests.saml import IdentityProvider

PRODUCTION = json.loads((ROOT / "events/production.json").read_text())
HOST = PRODUCTION["access"]["hostname"]
BOB = "bob:*:200000:200000:Bob Example:/efs/home/bob:/bin/bash\n"

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def first(account: Account) -> Any:
    """The output of the deployment of events/production.json."""
    return account.deploy_as_previewed(PRODUCTION).output


@pytest.fixture
def browser(account: Account, tmp_path: Path) -> Browser:
    return new_browser(account.aws.hosts, tmp_path)


def door(account: Account, browser: Browser) -> HTTPSConnectionPool:
    """The load balancer, for a browser that looks for a valid certificate of the cluster's name."""
    address, port = account.aws.balancing.door().place
    assert browser.provider
    trusted = browser.provider.ca_certs
    return HTTPSConnectionPool(
        address, port, timeout=SECONDS, ca_certs=trusted, server_hostname=HOST, assert_hostname=HOST
    )


def session_of(account: Account, browser: Browser, person: str) -> dict[str, str]:
    """What the page of a new session of someone says, who signs in first."""
    place = door(account, browser)
    back = browser.sign_in(place, place, person)
    assert (back.status, back.headers.get("Location")) == (302, f"https://{HOST}/"), back.data
    begun = browser.submit(place, "/", "/start-session")
    pages = [said(browser.ask(place, begun.headers["Location"])) for _ in range(4)]
    assert all(page == pages[0] | {"node": page["node"]} for page in pages)
    return pages[0]


def test_production_has_a_licence_and_groups_and_nothing_to_warn_about(account: Account, first: Any) -> None:
    assert (first["license"], first["warnings"]) == ("Activated", [])
    assert account.on_every_node("getent group analysts") == {"analysts:*:5001:jane.doe\n"}


def test_someone_signs_in_through_the_load_balancer(account: Account, first: Any, browser: Browser) -> None:
    page = session_of(account, browser, "bob")
    assert (page["user"], page["uid"]) == ("bob", "200000")
    assert account.on_every_node("getent passwd bob; runuser -u bob -- touch /efs/home/bob/kept") == {BOB}
    uids = [session_of(account, browser, name)["uid"] for name in ("ann", "jane.doe")]
    assert uids == ["20000", "3001"]  # accounts of `users` keep theirs


def test_who_is_outside_the_required_group_is_not_let_in(account: Account, first: Any, browser: Browser) -> None:
    place = door(account, browser)
    refused = browser.sign_in(place, place, "eve")
    assert refused.status == 403
    assert said(refused)["wrong"].startswith("The account eve is not in the group workbench-users")


def test_an_issuer_that_is_none_changes_no_node(account: Account, first: Any, browser: Browser) -> None:
    look = "cat /etc/rstudio/rserver.conf; systemctl show -p MainPID rstudio-server"
    before = account.on_every_node(look)
    ended = account.end(account.start("deploy", {"auth": {"issuer": f"{ISSUER}/people"}}))
    assert (ended.status, ended.error) == ("FAILED", "NodeConfigurationFailed")
    place = f"{ISSUER}/people/.well-known/openid-configuration"
    why = f"{place}: it answers 404, so nothing was changed on this node. Nothing is there. Compare auth.issuer with "
    assert why in (ended.cause or "")
    assert account.on_every_node(look) == before
    assert session_of(account, browser, "bob")["uid"] == "200000"


def test_the_same_people_come_by_saml_instead(account: Account, first: Any, browser: Browser) -> None:
    provider = IdentityProvider()
    account.aws.hosts.provider.published["/saml/metadata.xml"] = provider.metadata()
    left = dict.fromkeys(("issuer", "client_id", "client_secret", "username_claim", "groups_claim"))
    saml = {"method": "saml", "metadata_url": f"{ISSUER}/saml/metadata.xml", "groups_attribute": "groups"}
    output = account.deploy_as_previewed({"auth": {**left, **saml}}).output
    found = {check["name"]: check["found"] for check in output["verification"]["checks"]}
    assert found["sign in"] == f"{ISSUER}/saml/metadata.xml is readable"
    place = door(account, browser)
    away = browser.ask(place, browser.ask(place, "/").headers["Location"]).headers["Location"]
    query = dict(parse_qsl(urlsplit(away).query))
    service = browser.ask(place, "/saml/metadata").data.decode()
    asked = provider.request(query["SAMLRequest"], BINDING_HTTP_REDIRECT, service)
    attributes = {"Username": ["bob"], "groups": ["workbench-users"]}
    response = provider.respond(service, attributes, request=asked["id"])
    back = browser.ask(place, "/saml/acs", SAMLResponse=response, RelayState=query["RelayState"])
    assert (back.status, back.headers.get("Location")) == (302, f"https://{HOST}/"), back.data
    begun = browser.submit(place, "/", "/start-session")
    pages = [said(browser.ask(place, begun.headers["Location"])) for _ in range(4)]
    assert {(page["user"], page["uid"]) for page in pages} == {("bob", "200000")}


def test_people_and_address_are_taken_away_and_brought_back(account: Account, first: Any, browser: Browser) -> None:
    nodes = set(account.nodes)
    output = account.deploy_as_previewed({"access": None, "auth": None}).output
    assert output["connection"]["url"] == "http://localhost:8787"
    look = "ls /etc/rstudio/openid-client-secret; grep -c openid /etc/rstudio/rserver.conf"
    look += "; getent passwd bob ann | cut -d: -f1"
    assert account.on_every_node(look) == {"0\nann\n"}
    sign_in = "curl -s localhost:8787/auth-sign-in | grep -o '<label>Password'"
    assert account.on_every_node(sign_in) == {"<label>Password\n"}
    account.deploy_as_previewed({"access": PRODUCTION["access"], "auth": PRODUCTION["auth"]})
    assert session_of(account, browser, "bob")["uid"] == "200000"
    assert account.on_every_node("stat -c '%U %u' /efs/home/bob/kept") == {"bob 200000\n"}
    assert set(account.nodes) == nodes
