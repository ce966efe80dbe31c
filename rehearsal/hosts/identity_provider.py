"""An identity provider as companies have one: people, what it says about each of them, and one client, Workbench.

It is oidc-provider-mock, a small OpenID provider that is kept up on PyPI (github.com/geigerzaehler/oidc-provider-mock):
the authorization code flow, signed ID tokens, and a page where a browser chooses who signs in instead of giving a
password. It takes this client's secret and this redirect URI only, as a company's provider does.
"""

import base64
import functools
import socketserver
import ssl
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import trustme

from rehearsal.launcher import stop_serving

HOST: Final = "idp.example.com"
PORT: Final = 443
ISSUER: Final = f"https://{HOST}"
CLIENT_ID: Final = "workbench"
CLIENT_SECRET: Final = "the secret of Workbench at the identity provider"
REDIRECT_URI: Final = "https://workbench.example.com/openid/callback"
PEOPLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "ann": {"preferred_username": "ann", "name": "Ann Example", "groups": ["workbench-users", "workbench-admins"]},
    "bob": {"preferred_username": "bob", "name": "Bob Example", "groups": ["workbench-users"]},
    "jane.doe": {"preferred_username": "jane.doe", "name": "Jane Doe", "groups": ["workbench-users"]},
    "eve": {"preferred_username": "eve", "name": "Eve Example", "groups": ["finance"]},
    "kim": {"preferred_username": "kim@example.com", "name": "Kim Example", "groups": ["workbench-users"]},
    "nameless": {"name": "No User Name", "groups": ["workbench-users"]},
}
"""By the subject that is chosen on the page: the claims of the ID token."""
ADMITTED: Final = tuple(
    name
    for name, claims in PEOPLE.items()
    if claims.get("preferred_username") == name and "workbench-users" in claims["groups"]
)
"""Whom events/production.json lets in under the name that is chosen."""

DAY: Final = timedelta(days=1)


class IdentityProvider:
    """Serves https://idp.example.com. What it is made of is imported when someone asks it first."""

    def __init__(self, authority: trustme.CA) -> None:
        self._authority = authority
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._address = ""
        self._server: _Server | None = None
        self.published: dict[str, str] = {"/metadata.xml": _metadata(authority.issue_cert(HOST))}
        """Texts by their path, beside the pages of OpenID: the metadata of a SAML provider. It has no page for SAML;
        tests have a provider of their own (tests/saml.py).
        """

    def start(self, address: str) -> None:
        """Listen on port 443 of this address, with a certificate that is valid."""
        self._address = address
        self.renew_certificate()
        server = self._server = _Server((address, PORT), _SilentHandler)
        server.set_app(self._answer)
        server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, name="identity provider", daemon=True).start()

    def stop(self) -> None:
        if self._server:
            stop_serving(self._server)
            self._server = None

    def start_again(self) -> None:
        """Listen where it was before."""
        self.start(self._address)

    def renew_certificate(self, *, until: datetime | None = None) -> None:
        """From now on show a certificate that is valid until then; one that has expired is none."""
        issued = self._authority.issue_cert(HOST, not_after=until or datetime.now(UTC) + 365 * DAY)
        issued.configure_cert(self._tls)

    def set_person(self, subject: str, claims: Mapping[str, Any]) -> None:
        """Let someone be known with these claims, in the place of others."""
        self.app.test_client().put(f"/users/{subject}", json=dict(claims))

    def _answer(self, environment: Any, start_response: Any) -> Iterable[bytes]:
        if (text := self.published.get(environment["PATH_INFO"])) is not None:
            start_response("200 OK", [("Content-Type", "application/xml")])
            return [text.encode()]
        answer: Iterable[bytes] = self.app(environment, start_response)
        return answer

    @functools.cached_property
    def app(self) -> Any:
        import flask
        import oidc_provider_mock
        from oidc_provider_mock._storage import Client  # its API registers clients under ids of its own choice only

        app = oidc_provider_mock.app(
            require_client_registration=True,
            require_nonce=True,
            issue_refresh_token=False,
            user_claims=[oidc_provider_mock.User(sub=sub, claims=dict(claims)) for sub, claims in PEOPLE.items()],
        )
        client = Client(
            id=CLIENT_ID,
            secret=CLIENT_SECRET,
            redirect_uris=[REDIRECT_URI],
            allowed_scopes=Client.SCOPES_SUPPORTED,
            token_endpoint_auth_method="client_secret_basic",
        )
        with app.test_request_context():
            app.preprocess_request()
            flask.g.oidc_provider_mock_storage.store_client(client)
        return app


METADATA: Final = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{issuer}/saml">
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>
<X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{issuer}/saml/sso"/>
</IDPSSODescriptor>
</EntityDescriptor>
"""


def _metadata(signing: trustme.LeafCert) -> str:
    der = ssl.PEM_cert_to_DER_cert(signing.cert_chain_pems[0].bytes().decode())
    return METADATA.format(issuer=ISSUER, certificate=base64.b64encode(der).decode())


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # not HTTPServer's, which asks a name server for this machine's name
        self.server_name, self.server_port = HOST, PORT
        self.setup_environ()
        self.base_environ["HTTPS"] = "on"


class _SilentHandler(WSGIRequestHandler):
    timeout = 20

    def log_message(self, *_: object) -> None:
        pass
