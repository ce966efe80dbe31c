"""The identity provider of the rehearsal refuses what a company's provider refuses."""

import json
import subprocess
import sys
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import trustme

from rehearsal.application import ROOT
from rehearsal.hosts.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    PEOPLE,
    REDIRECT_URI,
    IdentityProvider,
)

REQUEST = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT_URI,
    "scope": "openid profile email",
    "state": "a state",
    "nonce": "a nonce",
}


@pytest.fixture(scope="module")
def browser() -> Any:
    return IdentityProvider(trustme.CA()).app.test_client()


def authorize(browser: Any, **changed: str) -> Any:
    """Choose ann on the page of a request."""
    asked = urlencode({**REQUEST, **changed})
    return browser.post(f"/oauth2/authorize?{asked}", base_url=ISSUER, data={"sub": "ann"})


def exchange(browser: Any, code: str, secret: str) -> Any:
    basic = b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
    return browser.post("/oauth2/token", base_url=ISSUER, data=form, headers={"Authorization": f"Basic {basic}"})


def test_its_discovery_document_is_that_of_the_issuer(browser: Any) -> None:
    document = browser.get("/.well-known/openid-configuration", base_url=ISSUER).json
    assert document["issuer"] == ISSUER
    addresses = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert [address for address in addresses if not address.startswith(f"{ISSUER}/")] == []


def test_its_page_has_everyone(browser: Any) -> None:
    page = browser.get(f"/oauth2/authorize?{urlencode(REQUEST)}", base_url=ISSUER).text
    assert [person for person in PEOPLE if f'value="{person}"' not in page] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": REDIRECT_URI.replace(".com/", ".com:443/")},
        {"redirect_uri": REDIRECT_URI.replace("https:", "http:")},
        {"redirect_uri": f"{REDIRECT_URI}/"},
        {"client_id": "another"},
    ],
)
def test_another_client_or_redirect_uri_is_refused(browser: Any, changed: dict[str, str]) -> None:
    refused = authorize(browser, **changed)
    assert (refused.status_code, "Location" in refused.headers) == (400, False)


def test_a_request_without_a_nonce_gets_no_code(browser: Any) -> None:
    back = parse_qs(urlsplit(authorize(browser, nonce="").headers["Location"]).query)
    assert (back["error"], "code" in back) == (["invalid_request"], False)


def test_a_code_is_good_once_and_with_the_secret(browser: Any) -> None:
    (code,) = parse_qs(urlsplit(authorize(browser).headers["Location"]).query)["code"]
    wrong = exchange(browser, code, "a guess")
    assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    assert exchange(browser, code, CLIENT_SECRET).json["id_token"]
    again = exchange(browser, code, CLIENT_SECRET)
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")


def test_a_node_can_use_its_saml_metadata() -> None:
    metadata = IdentityProvider(trustme.CA()).published["/metadata.xml"]
    read = [sys.executable, str(ROOT / "infra/node/saml_metadata.py")]
    printed = subprocess.run(read, input=metadata, check=True, capture_output=True, text=True, timeout=60).stdout
    assert json.loads(printed)["bindings"] == ["HTTP-Redirect"]
