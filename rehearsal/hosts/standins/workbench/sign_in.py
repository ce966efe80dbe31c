"""Signing in with a password: PAM decides, and a cookie that every node of the cluster takes remembers it.

Sources: rstudio/rstudio, src/cpp/server/auth/ServerAuthCommon.cpp (when cookies are secure), ServerSecureCookie.cpp (a
value, when it expires and an HMAC by the secure cookie key, with `|` between them), ServerPAMAuth.cpp (the paths) and
src/cpp/core/http/Request.cpp, proxiedUri() (the address that a browser sees).
"""

import base64
import ctypes
import ctypes.util
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
SERVICE = "rstudio"
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


# ------------------------------------------------------------------------------------------------------------------ PAM


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Talk = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _Talk), ("data", ctypes.c_void_p))


PROMPTS = (1, 2)  # PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON
SUCCESS, BUFFER_ERROR = 0, 5


def authenticates(user: str, password: str) -> bool:
    """Whether PAM's service of Workbench takes this password of a user."""
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.strdup.argtypes = [ctypes.c_char_p]

    def talk(count: int, messages: object, responses: object, _: object) -> int:
        """PAM frees the answers, so C has to keep them."""
        memory = libc.calloc(count, ctypes.sizeof(_Response))
        if not memory:
            return BUFFER_ERROR
        answers = ctypes.cast(memory, ctypes.POINTER(_Response))
        for place in range(count):
            if messages[place].contents.style in PROMPTS:  # type: ignore[index]
                answers[place].text = libc.strdup(password.encode())
        responses[0] = answers  # type: ignore[index]
        return SUCCESS

    handle, kept = ctypes.c_void_p(), _Talk(talk)
    conversation = _Conversation(kept, None)
    code = pam.pam_start(SERVICE.encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if code != SUCCESS:
        return False
    code = pam.pam_authenticate(handle, 0)
    if code == SUCCESS:
        code = pam.pam_acct_mgmt(handle, 0)
    pam.pam_end(handle, code)
    return bool(code == SUCCESS)
