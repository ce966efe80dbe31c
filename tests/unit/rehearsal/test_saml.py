"""The stand-in server as a service provider of SAML, judged by another library's identity provider."""

import base64
import re
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

from rehearsal.hosts.standins.workbench import log, saml
from rehearsal.hosts.standins.workbench.identity import FailedError, Person
from rehearsal.hosts.standins.workbench.state import ConfigurationError
from tests.saml import ENTITY, SIGN_ON, IdentityProvider

OUTSIDE = "https://workbench.example.com"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture(autouse=True)
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of the server."""
    monkeypatch.setattr(log, "LOG", tmp_path / "rserver.log")
    return tmp_path / "rserver.log"


def headers() -> "Message[str, str]":
    """What a load balancer sends on."""
    made: Message[str, str] = Message()
    made["Host"], made["X-Forwarded-Proto"] = "workbench.example.com", "https"
    return made


def server(folder: Path, metadata: str, **keys: str) -> Any:
    """A server that has read this metadata, with more keys of rserver.conf; _ stands for - in them."""
    (folder / "metadata.xml").write_text(metadata)
    conf = {"auth-saml": "1", "auth-saml-metadata-path": str(folder / "metadata.xml")}
    conf |= {f"auth-saml-{name.replace('_', '-')}": value for name, value in keys.items()}
    return SimpleNamespace(files=SimpleNamespace(server=conf), saml=saml.read_provider(conf))


def test_a_request_is_what_another_library_takes_for_one(provider: IdentityProvider, tmp_path: Path) -> None:
    own = server(tmp_path, provider.metadata())
    asked = saml.begin(own, headers(), "/s/1-2/")
    assert (asked.address, asked.posted, dict(asked.fields)["RelayState"]) == (SIGN_ON, False, "/s/1-2/")
    read = provider.request(dict(asked.fields)["SAMLRequest"], BINDING_HTTP_REDIRECT, saml.metadata(own, headers()))
    assert read.pop("id")
    assert read == {
        "issuer": f"{OUTSIDE}/saml/metadata",
        "consumer": f"{OUTSIDE}/saml/acs",
        "destination": SIGN_ON,
        "name_id_format": UNSPECIFIED,
    }


def test_a_request_follows_the_keys_of_rserver_conf(provider: IdentityProvider, tmp_path: Path) -> None:
    base = "https://other.example.com"
    keys = {"idp_post_binding": "1", "sp_name_id_format": "emailaddress", "sp_base_uri": f"{base}/"}
    own = server(tmp_path, provider.metadata(), **keys)
    asked = saml.begin(own, headers(), "/")
    assert asked.posted
    read = provider.request(dict(asked.fields)["SAMLRequest"], BINDING_HTTP_POST, saml.metadata(own, headers()))
    assert read.pop("id")
    assert read == {
        "issuer": f"{base}/saml/metadata",
        "consumer": f"{base}/saml/acs",
        "destination": SIGN_ON,
        "name_id_format": EMAIL,
    }


@pytest.mark.parametrize(
    ("keys", "person"),
    [
        ({}, Person("anna", "", "", None)),
        ({"sp_attribute_username": "login"}, Person("a.smith", "", "", None)),
        ({"sp_attribute_username": "NameID"}, Person("anna@example.com", "", "", None)),
        ({"sp_attribute_groups": "groups"}, Person("anna", "", "", ["readers", "writers"])),
        (
            {"sp_attribute_name": "full", "sp_attribute_email": "mailbox"},
            Person("anna", "Anna", "a@example.com", None),
        ),
        ({"sp_attribute_groups": "roles"}, Person("anna", "", "", [])),
    ],
)
def test_a_response_names_the_user_and_the_groups(
    provider: IdentityProvider, tmp_path: Path, keys: dict[str, str], person: Person
) -> None:
    own = server(tmp_path, provider.metadata(), **keys)
    service = saml.metadata(own, headers())
    attributes = {"Username": ["anna"], "login": ["a.smith"], "groups": ["readers", "writers"]}
    attributes |= {"full": ["Anna"], "mailbox": ["a@example.com"]}
    form = {"SAMLResponse": provider.respond(service, attributes)}
    assert saml.finish(own, headers(), form) == person


def test_the_subject_alone_is_enough_where_it_names_the_user(provider: IdentityProvider, tmp_path: Path) -> None:
    own = server(tmp_path, provider.metadata(), sp_attribute_username="NameID")
    form = {"SAMLResponse": provider.respond(saml.metadata(own, headers()), {}, name="anna")}
    assert saml.finish(own, headers(), form) == Person("anna", "", "", None)


REFUSALS = {
    "another key": "Signature validation failed. SAML Response rejected. It is signed with another key than that of "
    "the metadata. If the identity provider has a new certificate, bring its new metadata.",
    "no signature": "No Signature found. SAML Response rejected. Let the identity provider sign the response or the "
    "assertion.",
    "expired": "Could not validate timestamp: expired. Check system clock. Sign in again; if that does not help, "
    "compare the clocks of this server and of the identity provider.",
    "another audience": f"{OUTSIDE}/saml/metadata is not a valid audience for this Response. Give the identity "
    "provider this entity ID as its audience.",
    "another host": f"The response was received at {OUTSIDE}/saml/acs instead of https://old.example.com/saml/acs. "
    "Give the identity provider this address as assertion consumer service.",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_response_that_is_wrong_is_refused_with_the_remedy(
    provider: IdentityProvider, tmp_path: Path, case: str
) -> None:
    own = server(tmp_path, provider.metadata())
    service = saml.metadata(own, headers())
    named = {"Username": ["anna"]}
    if case == "another key":
        response = IdentityProvider().respond(service, named)
    elif case == "no signature":
        response = provider.respond(service, named, signed=False)
    elif case == "expired":
        response = provider.respond(service, named, minutes=-10)
    elif case == "another audience":
        response = provider.respond(service, named, audience="https://other.example.com")
    else:
        response = provider.respond(service.replace("workbench.", "old."), named)
    with pytest.raises(FailedError) as refused:
        saml.finish(own, headers(), {"SAMLResponse": response})
    assert str(refused.value) == f"The response of the identity provider is refused: {REFUSALS[case]}"


def test_what_is_changed_after_it_was_signed_is_refused(provider: IdentityProvider, tmp_path: Path) -> None:
    own = server(tmp_path, provider.metadata())
    response = provider.respond(saml.metadata(own, headers()), {"Username": ["anna"]})
    text = base64.b64decode(response).replace(b">anna<", b">root<")
    with pytest.raises(FailedError, match="Signature validation failed"):
        saml.finish(own, headers(), {"SAMLResponse": base64.b64encode(text).decode()})


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"login": ["anna"], "groups": ["a"]}, "0 values of the attribute Username"),
        ({"login": ["anna"], "groups": ["a"]}, "which names the user; its attributes: groups, login. Let the"),
        ({"Username": ["anna", "root"]}, "2 values of the attribute Username"),
        ({}, "There is no AttributeStatement on the Response"),
    ],
)  # fmt: skip
def test_a_response_without_the_name_of_the_user_is_refused(
    provider: IdentityProvider, tmp_path: Path, attributes: dict[str, list[str]], words: str
) -> None:
    own = server(tmp_path, provider.metadata())
    form = {"SAMLResponse": provider.respond(saml.metadata(own, headers()), attributes)}
    with pytest.raises(FailedError) as refused:
        saml.finish(own, headers(), form)
    assert words in str(refused.value)


@pytest.mark.parametrize("form", [{}, {"SAMLResponse": "no base64!"}, {"SAMLResponse": "bm8gWE1M"}])
def test_an_answer_that_is_no_response_is_refused(
    provider: IdentityProvider, tmp_path: Path, form: dict[str, str]
) -> None:
    own = server(tmp_path, provider.metadata())
    with pytest.raises(FailedError, match="The answer is no SAML response: "):
        saml.finish(own, headers(), form)


@pytest.mark.parametrize(
    ("metadata", "keys", "why"),
    [
        ("<html/>", {}, "it has no EntityDescriptor with an IDPSSODescriptor and a certificate"),
        ("not here", {}, "it is not XML: "),
        (None, {"metadata_path": "/nowhere/metadata.xml"}, "No such file or directory"),
        (None, {"metadata_url": "https://127.0.0.1:9/metadata"}, "Connection refused"),
        (None, {"idp_post_binding": "1"}, f"it has no SingleSignOnService of {BINDING_HTTP_POST}: set auth-saml-"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_used_is_a_line_of_the_log_and_no_one_signs_in(
    tmp_path: Path, lines: Path, metadata: str | None, keys: dict[str, str], why: str
) -> None:
    given = metadata or IdentityProvider(bindings=(BINDING_HTTP_REDIRECT,)).metadata()
    own = server(tmp_path, given, **keys)
    assert "The SAML metadata of the identity provider could not be read from " in own.saml.wrong
    assert why in own.saml.wrong
    assert lines.read_text().endswith(f"[rserver] ERROR {own.saml.wrong}. {saml.READ_AGAIN}\n")
    for act in (lambda: saml.begin(own, headers(), "/"), lambda: saml.finish(own, headers(), {})):
        with pytest.raises(FailedError) as refused:
            act()
        assert (refused.value.status, refused.value.wrong) == (502, own.saml.wrong)
    assert f'entityID="{OUTSIDE}/saml/metadata"' in saml.metadata(own, headers())
    assert ENTITY not in saml.metadata(own, headers())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"metadata_path": ""}, "auth-saml=1 needs auth-saml-metadata-url or auth-saml-metadata-path"),
        (
            {"sp_name_id_format": "e-mail"},
            "auth-saml-sp-name-id-format is 'e-mail', but must be one of " + ", ".join(saml.FORMATS),
        ),
    ],
)
def test_a_server_does_not_start_with_keys_that_contradict(tmp_path: Path, keys: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(words)}$"):
        server(tmp_path, "", **keys)
