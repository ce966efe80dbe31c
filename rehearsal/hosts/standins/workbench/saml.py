"""Signing in by SAML 2.0: the server is a service provider, and python3-saml checks what the identity provider sends.

Addresses: metadata and entity ID /saml/metadata, assertion consumer service /saml/acs (Microsoft's tutorial "RStudio
Server Pro SAML Authentication", whose application may also begin at the identity provider: a response that answers no
request is accepted). Requests are not signed, and there is no key to decrypt assertions with. The metadata is read
once, as the server starts; whether Workbench reads it again is not published.
"""

import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from onelogin.saml2.authn_request import OneLogin_Saml2_Authn_Request as AuthnRequest
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names
from onelogin.saml2.errors import OneLogin_Saml2_Error as SamlError
from onelogin.saml2.errors import OneLogin_Saml2_ValidationError as ValidationError
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser as Parser
from onelogin.saml2.response import OneLogin_Saml2_Response as Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings as Settings

from . import log
from .identity import FailedError, Person
from .sign_in import Headers, outside
from .state import ConfigurationError

if TYPE_CHECKING:
    from .server import Server

METADATA, CONSUMER = "/saml/metadata", "/saml/acs"
METADATA_TYPE = "application/samlmetadata+xml"
KEY = "auth-saml"
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
SECONDS = 10
NAME_ID = "NameID"  # as the name of an attribute: the subject itself
FORMATS = {
    urn.rpartition(":")[2].lower(): urn
    for urn in (
        Names.NAMEID_UNSPECIFIED,
        Names.NAMEID_EMAIL_ADDRESS,
        Names.NAMEID_PERSISTENT,
        Names.NAMEID_TRANSIENT,
        Names.NAMEID_ENTITY,
        Names.NAMEID_KERBEROS,
        Names.NAMEID_X509_SUBJECT_NAME,
        Names.NAMEID_WINDOWS_DOMAIN_QUALIFIED_NAME,
    )
}
READ_AGAIN = f"Correct it, or {KEY}-metadata-url or {KEY}-metadata-path, and restart the server."
OTHER = "Compare the settings of this application at the identity provider with /saml/metadata of this server."
REMEDIES = {
    ValidationError.INVALID_SIGNATURE: "It is signed with another key than that of the metadata. If the identity "
    "provider has a new certificate, bring its new metadata.",
    ValidationError.NO_SIGNATURE_FOUND: "Let the identity provider sign the response or the assertion.",
    ValidationError.ASSERTION_EXPIRED: "Sign in again; if that does not help, compare the clocks of this server and of "
    "the identity provider.",
    ValidationError.ASSERTION_TOO_EARLY: "Compare the clocks of this server and of the identity provider.",
    ValidationError.WRONG_SUBJECTCONFIRMATION: "It is too old or meant for another address. Sign in again, and give "
    f"the identity provider {CONSUMER} of this server as assertion consumer service; compare both clocks.",
    ValidationError.WRONG_AUDIENCE: "Give the identity provider this entity ID as its audience.",
    ValidationError.WRONG_DESTINATION: "Give the identity provider this address as assertion consumer service.",
    ValidationError.WRONG_ISSUER: "It is from another identity provider than the metadata: bring the metadata of the "
    "one that people use.",
    ValidationError.STATUS_CODE_IS_NOT_SUCCESS: "Its own log says why: often the person is not assigned to this "
    "application.",
}


class Provider(NamedTuple):
    """The identity provider as its metadata says, in python3-saml's words; wrong: why it is not known."""

    settings: Mapping[str, Any]
    wrong: str = ""


class Request(NamedTuple):
    """What a browser takes to the identity provider, in the address or as a form."""

    address: str
    fields: tuple[tuple[str, str], ...]
    posted: bool


def read_provider(server: Mapping[str, str]) -> Provider:
    """Read the metadata that rserver.conf names. Raises ConfigurationError where it names none."""
    if (form := _format(server)) not in FORMATS:
        raise ConfigurationError(f"{KEY}-sp-name-id-format is '{form}', but must be one of {', '.join(FORMATS)}")
    place = server.get(f"{KEY}-metadata-url") or server.get(f"{KEY}-metadata-path")
    if not place:
        raise ConfigurationError(f"{KEY}=1 needs {KEY}-metadata-url or {KEY}-metadata-path")
    binding = Names.BINDING_HTTP_POST if _posts(server) else Names.BINDING_HTTP_REDIRECT
    try:
        found = Parser.parse(_text(server), required_sso_binding=binding).get("idp", {})
    except (OSError, ValueError) as error:  # lxml's XMLSyntaxError is a SyntaxError
        return _unknown(place, str(error))
    except SyntaxError as error:
        return _unknown(place, f"it is not XML: {error}")
    if "entityId" not in found or not found.keys() & {"x509cert", "x509certMulti"}:
        return _unknown(place, "it has no EntityDescriptor with an IDPSSODescriptor and a certificate")
    if "singleSignOnService" not in found:
        other = 0 if _posts(server) else 1
        return _unknown(
            place, f"it has no SingleSignOnService of {binding}: set {KEY}-idp-post-binding={other}, or add the service"
        )
    return Provider(found)


def begin(server: "Server", headers: Headers, place: str) -> Request:
    """Ask the identity provider who it is, which sends back where that person wanted to go. Raises FailedError."""
    settings = _settings(server, headers)
    posted = _posts(server.files.server)
    fields = (("SAMLRequest", AuthnRequest(settings).get_request(deflate=not posted)), ("RelayState", place))
    return Request(settings.get_idp_sso_url(), fields, posted)


def metadata(server: "Server", headers: Headers) -> str:
    """What an identity provider is given to know this server by."""
    text = _settings(server, headers, alone=True).get_sp_metadata()
    return text if isinstance(text, str) else text.decode()


def finish(server: "Server", headers: Headers, form: Mapping[str, str]) -> Person:
    """Who has signed in, by a response of the identity provider. Raises FailedError."""
    settings, keys = _settings(server, headers), server.files.server
    address = urllib.parse.urlsplit(_base(keys, headers))
    secure = "on" if address.scheme == "https" else "off"
    here = {"https": secure, "http_host": address.netloc, "script_name": CONSUMER}
    try:
        response = Response(settings, form.get("SAMLResponse", ""))
        response.is_valid(here, raise_exceptions=True)
        attributes = response.get_attributes()
        subject = response.get_nameid()
    except (ValidationError, SamlError) as error:
        remedy = REMEDIES.get(error.code, OTHER) if isinstance(error, ValidationError) else OTHER
        raise FailedError(
            403, f"The response of the identity provider is refused: {str(error).rstrip('.')}", remedy
        ) from error
    except (ValueError, SyntaxError, TypeError) as error:
        raise FailedError(400, f"The answer is no SAML response: {str(error).rstrip('.')}", "Sign in again.") from error
    wanted = keys.get(f"{KEY}-sp-attribute-username") or "Username"
    named = [subject] if wanted == NAME_ID else attributes.get(wanted, [])
    if len(named) != 1 or not named[0]:
        there = ", ".join(sorted(attributes)) or "none"
        raise FailedError(
            403,
            f"The response has {len(named)} values of the attribute {wanted}, which names the user; its attributes: "
            f"{there}",
            f"Let the identity provider send it once, or set {KEY}-sp-attribute-username.",
        )

    def values(kind: str) -> list[str]:
        return list(attributes.get(keys.get(f"{KEY}-sp-attribute-{kind}", ""), []))

    groups = values("groups") if keys.get(f"{KEY}-sp-attribute-groups") else None
    return Person(named[0], " ".join(values("name")), " ".join(values("email")), groups)


def _settings(server: "Server", headers: Headers, *, alone: bool = False) -> Settings:
    """Everything that python3-saml wants to know. Raises FailedError where the identity provider is not known."""
    keys = server.files.server
    provider = server.saml
    assert provider
    if provider.wrong and not alone:
        raise FailedError(502, provider.wrong, READ_AGAIN)
    base = _base(keys, headers)
    by_subject = keys.get(f"{KEY}-sp-attribute-username") == NAME_ID
    return Settings(
        {
            "strict": True,
            "sp": {
                "entityId": f"{base}{METADATA}",
                "assertionConsumerService": {"url": f"{base}{CONSUMER}", "binding": Names.BINDING_HTTP_POST},
                "NameIDFormat": FORMATS[_format(keys)],
            },
            "idp": dict(provider.settings),
            "security": {
                "requestedAuthnContext": False,
                "wantAttributeStatement": not by_subject,
                "wantNameId": by_subject,
                "allowRepeatAttributeName": True,
                "allowSingleLabelDomains": True,
            },
        },
        sp_validation_only=alone,
    )


def _base(server: Mapping[str, str], headers: Headers) -> str:
    return (server.get(f"{KEY}-sp-base-uri") or outside(headers)).rstrip("/")


def _posts(server: Mapping[str, str]) -> bool:
    return server.get(f"{KEY}-idp-post-binding", "0") == "1"


def _format(server: Mapping[str, str]) -> str:
    return server.get(f"{KEY}-sp-name-id-format", "unspecified").lower()


def _text(server: Mapping[str, str]) -> bytes:
    if url := server.get(f"{KEY}-metadata-url"):
        trusted = ssl.create_default_context(cafile=TRUSTED)
        with urllib.request.urlopen(url, timeout=SECONDS, context=trusted) as answer:
            content: bytes = answer.read()
        return content
    return Path(server[f"{KEY}-metadata-path"]).read_bytes()


def _unknown(place: str, why: str) -> Provider:
    wrong = f"The SAML metadata of the identity provider could not be read from {place}: {why}"
    log.write("ERROR", f"{wrong}. {READ_AGAIN}")
    return Provider({}, wrong)
