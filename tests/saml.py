"""An identity provider of SAML for tests: pysaml2, which is no part of what it judges, reads requests and writes
responses; libxmlsec1 signs them.
"""

from __future__ import annotations

import base64
import datetime
import re
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from onelogin.saml2.utils import OneLogin_Saml2_Utils

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about ciphers that pysaml2 names at import
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
    from saml2.config import IdPConfig
    from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NameID
    from saml2.server import Server

ENTITY, SIGN_ON = "https://idp.example.com/saml", "https://idp.example.com/saml/sso"
PASSWORD = {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"}
METADATA = """<?xml version="1.0"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity}">
  <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing">
      <KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>
    </KeyDescriptor>
    {services}
  </IDPSSODescriptor>
</EntityDescriptor>
"""


@dataclass
class IdentityProvider:
    """What a company has: a key, and a certificate that is valid for `days` from now, or has been until then."""

    days: float = 300
    bindings: tuple[str, ...] = (BINDING_HTTP_REDIRECT, BINDING_HTTP_POST)
    key: str = field(init=False, repr=False)
    certificate: str = field(init=False)
    end: datetime.datetime = field(init=False)

    def __post_init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example.com")])
        self.end = end = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=self.days)
        builder = x509.CertificateBuilder(name, name, private.public_key(), 1, end - datetime.timedelta(days=400), end)
        pem = builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.certificate = pem.decode()
        self.key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def metadata(self) -> str:
        """What the provider publishes of itself."""
        content = "".join(self.certificate.splitlines()[1:-1])
        services = "".join(f'<SingleSignOnService Binding="{each}" Location="{SIGN_ON}"/>' for each in self.bindings)
        return METADATA.format(entity=ENTITY, certificate=content, services=services)

    def request(self, text: str, binding: str, service: str) -> dict[str, str]:
        """What a request of a service provider asks, whose metadata is `service`; refuses one that is not of SAML."""
        message = _server(service, 5).parse_authn_request(text, binding).message
        return {
            "id": message.id,
            "issuer": message.issuer.text,
            "consumer": message.assertion_consumer_service_url,
            "destination": message.destination,
            "name_id_format": message.name_id_policy.format,
        }

    def respond(
        self,
        service: str,
        attributes: dict[str, list[str]],
        *,
        minutes: int = 5,
        name: str = "anna@example.com",
        request: str = "id-1",
        signed: bool = True,
        audience: str = "",
    ) -> str:
        """A response for the service provider with this metadata, as a browser carries it."""
        entity, consumer = _places(service)
        response = _server(service, minutes).create_authn_response(
            attributes,
            in_response_to=request,
            destination=consumer,
            sp_entity_id=entity,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=name),
            authn=PASSWORD,
            sign_response=False,
            sign_assertion=False,
        )
        text = str(response)
        if audience:
            text = text.replace(f"Audience>{entity}<", f"Audience>{audience}<")
        if not signed:
            return base64.b64encode(text.encode()).decode()
        return base64.b64encode(OneLogin_Saml2_Utils.add_sign(text, self.key, self.certificate)).decode()


def _server(service: str, minutes: int) -> Server:
    """pysaml2 as identity provider of one service. The program that it would sign with is never run."""
    services = [(SIGN_ON, BINDING_HTTP_REDIRECT), (SIGN_ON, BINDING_HTTP_POST)]
    policy = {"default": {"lifetime": {"minutes": minutes}}}
    settings = {
        "entityid": ENTITY,
        "xmlsec_binary": "/bin/false",
        "service": {"idp": {"endpoints": {"single_sign_on_service": services}, "policy": policy}},
        "metadata": {"inline": [service]},
    }
    return Server(config=IdPConfig().load(settings))


def _places(service: str) -> tuple[str, str]:
    """The entity ID and the assertion consumer service in the metadata of a service provider."""
    entity = re.search(r'entityID="([^"]+)"', service)
    consumer = re.search(r'AssertionConsumerService [^>]*Location="([^"]+)"', service)
    assert entity and consumer, service
    return entity[1], consumer[1]
