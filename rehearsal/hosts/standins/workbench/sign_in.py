"""Who has signed in, however: a cookie that every node of the cluster takes remembers it.

Sources: rstudio/rstudio, src/cpp/server/auth/ServerAuthCommon.cpp (when cookies are secure), ServerSecureCookie.cpp (a
value, when it expires and an HMAC by the secure cookie key, with `|` between them), ServerPAMAuth.cpp (the paths) and
src/cpp/core/http/Request.cpp, proxiedUri() (the address that a browser sees).
"""

import base64
import hashlib
import hmac
import time
import urllib.parse
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from http.cookies import SimpleCookie

from .configuration import Configuration

COOKIE, CSRF_COOKIE = "user-id", "rs-csrf-token"
SIGN_IN, DO_SIGN_IN, SIGN_OUT = "/auth-sign-in", "/auth-do-sign-in", "/auth-sign-out"
DEFAULT_MINUTES = 60
type Headers = Message[str, str]
ON = {"1", "on", "yes", "true"}


def outside(headers: Headers) -> str:
    """The address that the browser of a request sees, without a path: what a proxy says of it comes first."""
    if address := headers.get("X-RStudio-Request"):
        parts = urllib.parse.urlsplit(address)
        return f"{parts.scheme}://{parts.netloc}"
    forwarded = dict(
        part.strip().split("=", 1) for part in headers.get("Forwarded", "").replace(",", ";").split(";") if "=" in part
    )
    scheme = headers.get("X-Forwarded-Proto", "http")
    if forwarded.get("host"):
        return f"{forwarded.get('proto', scheme)}://{forwarded['host']}"
    if host := headers.get("X-Forwarded-Host"):
        port = headers.get("X-Forwarded-Port")
        return f"{scheme}://{host}{f':{port}' if port else ''}"
    return f"{scheme}://{headers.get('Host', 'localhost')}"


def user_of(headers: Headers, configuration: Configuration) -> str | None:
    """Whose cookie a request carries; None where it carries none that this cluster made, or an old one."""
    cookie = SimpleCookie(headers.get("Cookie", "")).get(COOKIE)
    parts = [urllib.parse.unquote(part) for part in cookie.value.split("|")] if cookie else []
    if len(parts) != 3:
        return None
    user, expires, signature = parts
    if not hmac.compare_digest(signature, _signature(user, expires, configuration.key)):
        return None
    return user if parsedate_to_datetime(expires).timestamp() > time.time() else None


def cookie_of(user: str, headers: Headers, configuration: Configuration) -> str:
    """The Set-Cookie of someone who has signed in; "" signs out."""
    minutes = int(configuration.server.get("auth-timeout-minutes") or DEFAULT_MINUTES)
    until = formatdate(time.time() + minutes * 60 if user else 0, usegmt=True)
    parts = (user, until, _signature(user, until, configuration.key))
    value = "|".join(urllib.parse.quote(part, safe="") for part in parts)
    return f"{COOKIE}={value}; Path=/; HttpOnly; Expires={until}{attributes(headers, configuration)}"


def attributes(headers: Headers, configuration: Configuration) -> str:
    """What each cookie has: a secure one comes back over HTTPS only."""
    server = configuration.server
    forced = server.get("auth-cookies-force-secure", "0").lower() in ON or server.get("ssl-enabled") == "1"
    secure = "; Secure" if forced or outside(headers).startswith("https:") else ""
    same_site = server.get("www-same-site", "")
    return f"{secure}{f'; SameSite={same_site.capitalize()}' if same_site else ''}"


def _signature(user: str, expires: str, key: bytes) -> str:
    return base64.b64encode(hmac.digest(key, f"{user}{expires}".encode(), hashlib.sha256)).decode()
