"""The pages of the server: signing in, a person's sessions, and one session, on whichever node it runs.

A node that does not have a session asks the one that has it, as Workbench does (Posit's admin guide, "Load balancing").
"""

import html
import os
import pwd
import secrets
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, NamedTuple

from . import administration, identity, log, openid, pam, state
from .identity import FailedError
from .sign_in import CSRF_COOKIE, DO_SIGN_IN, SIGN_IN, SIGN_OUT, Headers, attributes, cookie_of, outside
from .sign_in import user_of as signed_in

if TYPE_CHECKING:
    from .saml import Request
    from .server import Server

START, SESSION, ADMIN = "/start-session", "/s/", "/admin"
RSESSION = "/usr/lib/rstudio-server/bin/rsession"
PEER_SECONDS = 5.0
PASSED_ON = "X-Rehearsal-Passed-On"
"""What a node says that asks another one, so that no two ask each other."""


class Answer(NamedTuple):
    """Status, text and headers."""

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def get(server: "Server", path: str, query: str, headers: Headers) -> Answer:
    """The answer to GET; None of it is found where there is no such page."""
    try:
        return _get(server, path, query, headers)
    except FailedError as error:
        return _failed(server, error, headers)


def _get(server: "Server", path: str, query: str, headers: Headers) -> Answer:
    user = signed_in(headers, server.files)
    if path == SIGN_IN:
        return _sign_in(server, headers, urllib.parse.parse_qs(query))
    if server.saml:
        from . import saml  # which takes half a second to import

        if path == saml.METADATA:
            return Answer(200, saml.metadata(server, headers), (("Content-Type", saml.METADATA_TYPE),))
    if path == openid.CALLBACK and server.files.method == "openid":
        person, asked = openid.finish(server.files, headers, query)
        name = identity.admit(server, person)
        cookies = (openid.forget(headers, server.files), cookie_of(name, headers, server.files))
        return _lead(headers, asked, *(("Set-Cookie", cookie) for cookie in cookies))
    if path in ("/", ADMIN) or path.startswith(SESSION):
        if user is None:
            asked = urllib.parse.quote(path, safe="")
            return _lead(headers, f"{SIGN_IN}?appUri={asked}")
        if path == ADMIN:
            return _administration(server, user, headers)
        return _home(server, user, headers) if path == "/" else _session(server, path, user, headers)
    return Answer(404, "Not Found\n")


def post(server: "Server", path: str, form: Mapping[str, str], headers: Headers) -> Answer:
    """The answer to POST of a form. One that an identity provider has a browser send has no token of this server."""
    try:
        if server.saml:
            from . import saml

            if path == saml.CONSUMER:
                name = identity.admit(server, saml.finish(server, headers, form))
                place = _own_path(form.get("RelayState", ""))
                return _lead(headers, place, ("Set-Cookie", cookie_of(name, headers, server.files)))
        return _post_own(server, path, form, headers)
    except FailedError as error:
        return _failed(server, error, headers)


def _post_own(server: "Server", path: str, form: Mapping[str, str], headers: Headers) -> Answer:
    cookie = SimpleCookie(headers.get("Cookie", "")).get(CSRF_COOKIE)
    if not cookie or not secrets.compare_digest(cookie.value, form.get(CSRF_COOKIE, "")):
        return Answer(403, "Forbidden\n")
    user = signed_in(headers, server.files)
    if path == DO_SIGN_IN and server.files.method == "pam":
        name, password = form.get("username", ""), form.get("password", "")
        if not pam.authenticates(name, password):
            log.write("WARNING", f"Failed sign in attempt for {name!r}")
            administration.record(server.files, name, "auth_login_failed")
            return _lead(headers, f"{SIGN_IN}?error=2")
        identity.refuse(name, server.files)
        administration.record(server.files, name, "auth_login")
        return _lead(headers, _own_path(form.get("appUri", "")), ("Set-Cookie", cookie_of(name, headers, server.files)))
    if path == SIGN_OUT:
        return _lead(headers, SIGN_IN, ("Set-Cookie", cookie_of("", headers, server.files)))
    if path == START and user is not None:
        return _lead(headers, f"{SESSION}{server.number}-{start(server, user)}/")
    return Answer(404, "Not Found\n")


def _lead(headers: Headers, place: str, *more: tuple[str, str]) -> Answer:
    """To another page, by the address that the browser sees."""
    return Answer(302, "", (("Location", f"{outside(headers)}{place}"), *more))


def _own_path(asked: str) -> str:
    """Where someone goes after a sign-in: never to another site."""
    return asked if asked.startswith("/") and not asked.startswith("//") else "/"


def _failed(server: "Server", error: FailedError, headers: Headers) -> Answer:
    """What someone sees who cannot sign in, or start a session; an administrator finds it in the log."""
    log.write("ERROR", str(error))
    text = f"""<h1>This does not work</h1><p role=alert id=wrong>{html.escape(error.wrong)}.</p>
<p id=remedy>{html.escape(error.remedy)}</p><p><a href={SIGN_IN}>Sign in again</a></p>"""
    return _page("Posit Workbench", text, server, "", headers)._replace(status=error.status)


def _sign_in(server: "Server", headers: Headers, query: Mapping[str, list[str]]) -> Answer:
    method = server.files.method
    if method != "pam" and "appUri" not in query:
        label = {"openid": "OpenID", "saml": "SAML"}[method]
        text = f"<h1>Sign in to Posit Workbench</h1><p><a href={SIGN_IN}?appUri=%2F>Sign in with {label}</a></p>"
        return _page("Posit Workbench Sign In", text, server, "", headers)
    if method == "saml":
        from . import saml

        return _hand_over(saml.begin(server, headers, _own_path(query["appUri"][0])))
    if method == "openid":
        address, cookie = openid.begin(server.files, headers, _own_path(query["appUri"][0]))
        return Answer(302, "", (("Location", address), ("Set-Cookie", cookie)))
    token = secrets.token_urlsafe(16)
    asked = html.escape(query.get("appUri", [""])[0])
    wrong = "<p role=alert>Error: Incorrect or invalid username/password</p>" if "error" in query else ""
    text = f"""<h1>Sign in to Posit Workbench</h1>{wrong}
<form method=post action={DO_SIGN_IN}>
<input type=hidden name={CSRF_COOKIE} value={token}><input type=hidden name=appUri value="{asked}">
<label>Username <input name=username autocomplete=username></label>
<label>Password <input name=password type=password autocomplete=current-password></label>
<button>Sign In</button></form>"""
    return _page("Posit Workbench Sign In", text, server, token, headers)


def _hand_over(request: "Request") -> Answer:
    """Send a browser to the identity provider, by a page that posts itself where it takes no redirect."""
    if not request.posted:
        joined = "&" if "?" in request.address else "?"
        return Answer(302, "", (("Location", f"{request.address}{joined}{urllib.parse.urlencode(request.fields)}"),))
    fields = "".join(f'<input type=hidden name={key} value="{html.escape(text)}">' for key, text in request.fields)
    text = f"""<!doctype html>
<html lang=en><meta charset=utf-8><title>Posit Workbench Sign In</title>
<body onload="document.forms[0].submit()">
<form method=post action="{html.escape(request.address)}">{fields}<button>Continue</button></form>
</html>
"""
    return Answer(200, text, (("Content-Type", "text/html; charset=utf-8"),))


def _home(server: "Server", user: str, headers: Headers) -> Answer:
    _open_pam_session(server, user)
    mine = [number for number, owner, _ in state.sessions() if owner == user]
    listed = "".join(f"<li><a href={SESSION}{server.number}-{number}/>rsession {number}</a></li>" for number in mine)
    text = f"""<h1>Posit Workbench</h1><p>Signed in as <b id=user>{html.escape(user)}</b></p>
<h2>Sessions on this node</h2><ul>{listed or "<li>none</li>"}</ul>"""
    token = secrets.token_urlsafe(16)
    forms = "".join(
        f"<form method=post action={action}><input type=hidden name={CSRF_COOKIE} value={token}>"
        f"<button>{label}</button></form>"
        for action, label in ((START, "New Session"), (SIGN_OUT, "Sign Out"))
    )
    return _page("Posit Workbench", text + forms, server, token, headers)


def _administration(server: "Server", user: str, headers: Headers) -> Answer:
    if not identity.is_administrator(user, server.files):
        return Answer(403, "Forbidden\n")
    return _page(
        "Administration",
        f"<h1>Administration</h1><p>You are <b id=user>{html.escape(user)}</b>.</p>",
        server,
        "",
        headers,
    )


def _open_pam_session(server: "Server", user: str) -> None:
    """The first session opens with the home page, on whichever node that is; raises FailedError."""
    if server.files.server.get("auth-pam-sessions-enabled") != "1":
        return
    profile = server.files.server.get("auth-pam-sessions-profile", "su")
    try:
        pam.open_session(user, profile)
    except pam.RefusedError as error:
        raise FailedError(
            403, f"PAM opens no session for {user}: {error}", f"Look at /etc/pam.d/{profile} on this node."
        ) from error


def _session(server: "Server", path: str, user: str, headers: Headers) -> Answer:
    node, _, process = path.removeprefix(SESSION).strip("/").partition("-")
    if node != str(server.number):
        return _of_another(server, node, path, headers)
    if not any(str(number) == process and owner == user for number, owner, _ in state.sessions()):
        return Answer(404, "There is no such session.\n")
    uid = os.stat(f"/proc/{process}").st_uid
    text = f"""<h1>RStudio</h1><p>Session <b id=session>{process}</b> of <b id=user>{html.escape(user)}</b>, uid
<b id=uid>{uid}</b>, runs on <b id=session-node>{html.escape(server.files.host_name)}</b>.</p>
<p><a href=/>Home</a></p>"""
    return _page("RStudio", text, server, "", headers)


def _of_another(server: "Server", node: str, path: str, headers: Headers) -> Answer:
    """What another node of the cluster answers about a session of its own."""
    known = {str(each.id): each for each in server.nodes()}
    if node not in known or headers.get(PASSED_ON):
        return Answer(404, "There is no such session.\n")
    place = f"http://{known[node].host}:{known[node].port}{path}"
    sent = {"Cookie": headers.get("Cookie", ""), PASSED_ON: "1"}
    try:
        with urllib.request.urlopen(urllib.request.Request(place, headers=sent), timeout=PEER_SECONDS) as answer:
            return Answer(answer.status, answer.read().decode(), (("Content-Type", "text/html; charset=utf-8"),))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())
    except OSError as error:
        log.write("ERROR", f"{error} [host: {known[node].host}:{known[node].port}, uri: {path}]")
        return Answer(503, "The node of this session does not answer.\n")


def start(server: "Server", user: str) -> int:
    """Start a session as its user, as a job of the launcher; returns its process id. Raises FailedError."""
    _open_pam_session(server, user)
    account = pwd.getpwnam(user)
    if not os.path.isdir(account.pw_dir):
        raise FailedError(
            500,
            f"The home directory {account.pw_dir} of {user} does not exist",
            "Make it, or let pam_mkhomedir do so in the profile that auth-pam-sessions-profile names.",
        )
    # Not os.getgrouplist: it keeps the interpreter to itself, which may have to answer as the name service.
    groups = subprocess.run(["id", "-G", user], capture_output=True, text=True, check=True, timeout=PEER_SECONDS).stdout
    environment = {"HOME": account.pw_dir, "USER": user, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    asked = ["systemctl", "show", "-p", "MainPID", "--value", "rstudio-launcher"]
    launcher = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PEER_SECONDS).stdout.strip()
    with open(f"/proc/{launcher}/environ", encoding="utf-8") as file:
        environment |= dict(each.split("=", 1) for each in file.read().split("\0") if each.startswith("INVOCATION_ID="))
    started = subprocess.Popen(
        [RSESSION],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[int(gid) for gid in groups.split()],
        cwd=account.pw_dir,
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log.write("INFO", f"Session {started.pid} of {user} has started")
    administration.record(server.files, user, "session_start", started.pid)
    return started.pid


def _page(title: str, text: str, server: "Server", token: str, headers: Headers) -> Answer:
    """A page, which says which node served it; with a token, its forms are taken from it alone."""
    cookies = [("Set-Cookie", f"{CSRF_COOKIE}={token}; Path=/{attributes(headers, server.files)}")] if token else []
    body = f"""<!doctype html>
<html lang=en><meta charset=utf-8><title>{title}</title>
<style>body {{ font: 16px sans-serif; max-width: 40em; margin: 3em auto }} label {{ display: block }}</style>
{text}
<footer><small>Served by <b id=node>{html.escape(server.files.host_name)}</b>, in a rehearsal</small></footer>
</html>
"""
    return Answer(200, body, (("Content-Type", "text/html; charset=utf-8"), *cookies))
