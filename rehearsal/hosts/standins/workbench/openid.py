"""Signing in through an OpenID provider: the authorization code flow, by Authlib and joserfc.

Sources: Posit's administration guide, "OpenID Connect authentication" (keys, the file openid-client-secret, the
callback /openid/callback, "the exclusive means of authentication") and OpenID Connect Core 1.0 (what is to be checked).
What Workbench remembers while someone is at the provider is not published; here it is a cookie, signed with the secure
cookie key, so that any node can take the callback. Claims are taken from the ID token alone.
"""

import pwd
import secrets
import stat
import time
import urllib.parse
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import configuration as files
from .identity import FailedError, Person
from .sign_in import Headers, attributes, outside
from .state import ETC, ConfigurationError

if TYPE_CHECKING:
    import requests
    from authlib.integrations.requests_client import OAuth2Session

CALLBACK = "/openid/callback"
COOKIE = "rs-openid-state"
SECRET_FILE = Path(ETC, "openid-client-secret")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
DISCOVERY = "/.well-known/openid-configuration"
DEFAULT_CLAIM, DEFAULT_SCOPES = "preferred_username", "openid profile email"
SECONDS_TO_SIGN_IN = 600
REQUEST_SECONDS = 10.0
LEEWAY_SECONDS = 60


def check(configuration: files.Configuration) -> None:
    """Look at what the flow needs of /etc/rstudio as the server starts. Raises ConfigurationError."""
    issuer = configuration.server.get("auth-openid-issuer", "")
    if not issuer.startswith("https://"):
        raise ConfigurationError(f"auth-openid-issuer is '{issuer}': OpenID needs the https address of the provider")
    if not SECRET_FILE.exists():
        raise ConfigurationError(f"{SECRET_FILE} does not exist: it must have client-id and client-secret")
    status = SECRET_FILE.stat()
    mode, owner = stat.S_IMODE(status.st_mode), pwd.getpwuid(status.st_uid).pw_name
    if mode != 0o600 or owner not in {"rstudio-server", "root"}:
        raise ConfigurationError(
            f"The permissions of {SECRET_FILE} are {mode:04o}, its owner is {owner}: it holds a secret, "
            "so it must be 0600 and belong to rstudio-server"
        )
    values = files.settings(SECRET_FILE)
    files.refuse_unknown(SECRET_FILE, values.keys() - {"client-id", "client-secret"})
    for name in ("client-id", "client-secret"):
        if not values.get(name):
            raise ConfigurationError(f"Error reading {SECRET_FILE}: {name} is missing")


def begin(configuration: files.Configuration, headers: Headers, asked: str) -> tuple[str, str]:
    """The provider's address to which a browser is sent, and the cookie that it keeps until then.

    Raises FailedError.
    """
    metadata = _discover(_session(), _issuer(configuration))
    kept = {"state": secrets.token_urlsafe(24), "nonce": secrets.token_urlsafe(24), "asked": asked}
    client = _client(configuration, headers)
    address, _ = client.create_authorization_url(
        metadata["authorization_endpoint"], state=kept["state"], nonce=kept["nonce"]
    )
    lasting = f"Path={CALLBACK}; HttpOnly; Max-Age={SECONDS_TO_SIGN_IN}{attributes(headers, configuration)}"
    return address, f"{COOKIE}={_serializer(configuration).dumps(kept)}; {lasting}"


def finish(configuration: files.Configuration, headers: Headers, query: str) -> tuple[Person, str]:
    """Who comes back from the provider, on this node or another one, and the path that was asked for.

    Raises FailedError.
    """
    kept = _kept(configuration, headers)
    given = dict(urllib.parse.parse_qsl(query))
    if not secrets.compare_digest(given.get("state", ""), kept["state"]):
        raise FailedError(400, "The state of this answer is not that of the sign-in which this browser began", AGAIN)
    if error := given.get("error"):
        raise FailedError(403, f"The provider did not sign you in: {_said(error, given)}", "Ask its administrators.")
    issuer, session = _issuer(configuration), _session()
    metadata = _discover(session, issuer)
    token = _exchange(_client(configuration, headers), metadata, given)
    claims = _claims(configuration, token, _answer(session, metadata["jwks_uri"], "its keys"), kept["nonce"])
    claim = configuration.server.get("auth-openid-username-claim") or DEFAULT_CLAIM
    user_name = claims.get(claim)
    if not isinstance(user_name, str) or not user_name:
        raise FailedError(
            403,
            f"The ID token of {issuer} has no claim {claim}; it has {', '.join(sorted(claims))}",
            f"Let the provider put {claim} into it, or set auth-openid-username-claim to a claim that is there.",
        )
    groups_claim = configuration.server.get("auth-openid-groups-claim", "")
    groups = claims.get(groups_claim, []) if groups_claim else None
    named = groups if groups is None or isinstance(groups, list) else [groups]
    return Person(user_name, str(claims.get("name", "")), str(claims.get("email", "")), named), kept["asked"]


def forget(headers: Headers, configuration: files.Configuration) -> str:
    """The Set-Cookie that ends a sign-in in the browser."""
    return f"{COOKIE}=; Path={CALLBACK}; HttpOnly; Max-Age=0{attributes(headers, configuration)}"


AGAIN = "Sign in again, and finish within ten minutes in the same browser."


def _kept(configuration: files.Configuration, headers: Headers) -> dict[str, str]:
    from itsdangerous import BadSignature

    cookie = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
    try:
        kept: dict[str, str] = _serializer(configuration).loads(cookie.value if cookie else "", SECONDS_TO_SIGN_IN)
    except BadSignature as error:
        wrong = "This browser has no sign-in under way, or one of another cluster, or one of more than ten minutes ago"
        raise FailedError(400, wrong, AGAIN) from error
    return kept


def _serializer(configuration: files.Configuration) -> Any:
    from itsdangerous import URLSafeTimedSerializer

    return URLSafeTimedSerializer(configuration.key, salt=COOKIE)


def _issuer(configuration: files.Configuration) -> str:
    return configuration.server["auth-openid-issuer"]


def _session() -> "requests.Session":
    import requests

    session = requests.Session()
    session.verify = AUTHORITIES
    return session


def _client(configuration: files.Configuration, headers: Headers) -> "OAuth2Session":
    from authlib.integrations.requests_client import OAuth2Session

    values = files.settings(SECRET_FILE)
    client = OAuth2Session(
        values["client-id"],
        files.decrypted(values["client-secret"], configuration, f"the client secret of {SECRET_FILE.name}")[0],
        scope=configuration.server.get("auth-openid-scopes") or DEFAULT_SCOPES,
        redirect_uri=f"{outside(headers)}{CALLBACK}",
    )
    client.verify = AUTHORITIES
    return client


def _discover(session: "requests.Session", issuer: str) -> dict[str, Any]:
    """The provider's metadata, which must be that of the configured issuer, to the letter. Raises FailedError."""
    address = f"{issuer.rstrip('/')}{DISCOVERY}"
    metadata = _answer(session, address, "its discovery document")
    if metadata.get("issuer") != issuer:
        raise FailedError(
            502,
            f"The discovery document at {address} is that of the issuer '{metadata.get('issuer')}', not '{issuer}'",
            "Set auth-openid-issuer to exactly what the document says, with or without a slash at its end.",
        )
    return metadata


def _answer(session: "requests.Session", address: str, what: str) -> dict[str, Any]:
    import requests

    try:
        answer = session.get(address, timeout=REQUEST_SECONDS)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise _unanswered(address, what, error) from error
    return found


def _exchange(client: "OAuth2Session", metadata: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The provider's answer to the code. Raises FailedError."""
    import requests
    from authlib.integrations.base_client import OAuthError

    address = metadata["token_endpoint"]
    try:
        token: dict[str, Any] = client.fetch_token(address, code=given.get("code"), timeout=REQUEST_SECONDS)
    except requests.RequestException as error:
        raise _unanswered(address, "a token", error) from error
    except OAuthError as error:
        said = _said(error.error, {"error_description": error.description or ""})
        if error.error == "invalid_client":
            raise FailedError(
                502,
                f"The provider refuses the client-id or client-secret of {SECRET_FILE}: {said}",
                "Compare both with what the provider shows for its client, and see whether the secret has expired.",
            ) from error
        raise FailedError(502, f"The provider gives no token: {said}", AGAIN) from error
    return token


def _claims(
    configuration: files.Configuration, token: Mapping[str, Any], keys: Mapping[str, Any], nonce: str
) -> dict[str, Any]:
    """The claims of an ID token whose signature, issuer, audience, times and nonce hold. Raises FailedError."""
    from authlib.common.errors import AuthlibBaseError
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    issuer, client = _issuer(configuration), files.settings(SECRET_FILE)["client-id"]
    try:
        decoded = jwt.decode(token.get("id_token", ""), KeySet.import_key_set(dict(keys)))  # type: ignore[arg-type]
        options = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client}}
        parameters = {"nonce": nonce, "client_id": client, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, parameters)
        claims.validate(int(time.time()), LEEWAY_SECONDS)
    except (JoseError, AuthlibBaseError, ValueError) as error:
        raise FailedError(
            502,
            f"The ID token of {issuer} does not hold: {error}",
            "Compare the clocks of this node and of the provider, the issuer and the client-id.",
        ) from error
    return dict(claims)


def _unanswered(address: str, what: str, error: Exception) -> FailedError:
    host = urllib.parse.urlsplit(address).netloc
    said = str(error)
    if "certificate has expired" in said:
        wrong = f"The certificate of {host} has expired, so it was not asked for {what}"
        return FailedError(502, wrong, "Renew the certificate at the provider.")
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return FailedError(
            502,
            f"No authority that this node knows has signed the certificate of {host}, so it was not asked for {what}",
            "Put its authority into /usr/local/share/ca-certificates, and run update-ca-certificates.",
        )
    if "HTTPError" in type(error).__name__:
        return FailedError(502, f"{address} answers '{said}' when it is asked for {what}", "Check auth-openid-issuer.")
    return FailedError(
        502,
        f"{host} does not answer when it is asked for {what}: {said}",
        "Each node must reach it at port 443: check its name, the route, and what filters there.",
    )


def _said(error: str, given: Mapping[str, str]) -> str:
    description = given.get("error_description", "")
    return f"{error}: {description}" if description else error
