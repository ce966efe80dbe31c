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
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

from . import log, state
from .admission import Identity, SignInRefused, admit
from .answer import Answer, lead
from .sign_in import (
    CSRF_COOKIE,
    DO_SIGN_IN,
    SIGN_IN,
    SIGN_OUT,
    Headers,
    attributes,
    authenticates,
    cookie_of,
)
from .sign_in import user_of as signed_in

if TYPE_CHECKING:
    from .server import Server

START, SESSION = "/start-session", "/s/"
RSESSION = "/usr/lib/rstudio-server/bin/rsession"
PEER_SECONDS = 5.0
PASSED_ON = "X-Rehearsal-Passed-On"
"""What a node says that asks another one, so that no two ask each other."""


def get(server: "Server", path: str, query: str, headers: Headers) -> Answer:
    """The answer to GET; None of it is found where there is no such page."""
    user = signed_in(headers, server.files)
    if path == SIGN_IN:
        return _sign_in(server, headers, urllib.parse.parse_qs(query))
    if server.saml:
        from . import saml  # half a second, for clusters that use it

        if path == saml.METADATA:
            return saml.metadata(server, headers)
    if path == "/" or path.startswith(SESSION):
        if user is None:
            asked = urllib.parse.quote(path, safe="")
            return lead(headers, f"{SIGN_IN}?appUri={asked}")
        return _home(server, user, headers) if path == "/" else _session(server, path, user, headers)
    return Answer(404, "Not Found\n")


def post(server: "Server", path: str, form: Mapping[str, str], headers: Headers) -> Answer:
    """The answer to POST of a form; one of an identity provider has no token of this server."""
    if server.saml:
        from . import saml

        if path == saml.CONSUMER:
            return _enter(server, headers, form.get("RelayState", ""), lambda: saml.identity(server, headers, form))
    cookie = SimpleCookie(headers.get("Cookie", "")).get(CSRF_COOKIE)
    if not cookie or not secrets.compare_digest(cookie.value, form.get(CSRF_COOKIE, "")):
        return Answer(403, "Forbidden\n")
    user = signed_in(headers, server.files)
    if path == DO_SIGN_IN:
        name, password = form.get("username", ""), form.get("password", "")
        if not authenticates(name, password):
            log.write("WARNING", f"Failed sign in attempt for {name!r}")
            return lead(headers, f"{SIGN_IN}?error=2")
        return _enter(server, headers, form.get("appUri", ""), lambda: Identity(name))
    if path == SIGN_OUT:
        return lead(headers, SIGN_IN, ("Set-Cookie", cookie_of("", headers, server.files)))
    if path == START and user is not None:
        return lead(headers, f"{SESSION}{server.number}-{_start(user)}/")
    return Answer(404, "Not Found\n")


def _enter(server: "Server", headers: Headers, asked: str, identify: Callable[[], Identity]) -> Answer:
    """Sign in whom `identify` names, and lead there where that person wanted to go, in this server."""
    try:
        account = admit(server.files.server, identify())
    except SignInRefused as refusal:
        return _refuse(server, headers, str(refusal))
    place = asked if asked.startswith("/") and not asked.startswith("//") else "/"
    return lead(headers, place, ("Set-Cookie", cookie_of(account.pw_name, headers, server.files)))


def _refuse(server: "Server", headers: Headers, why: str) -> Answer:
    log.write("ERROR", f"Sign in refused: {why}")
    text = f"<h1>You are not signed in</h1><p role=alert>{html.escape(why)}</p><p><a href={SIGN_IN}>Sign in</a></p>"
    return _page("Posit Workbench Sign In", text, server, "", headers)._replace(status=403)


def _sign_in(server: "Server", headers: Headers, query: Mapping[str, list[str]]) -> Answer:
    if server.saml:
        from . import saml

        try:
            return saml.begin(server, headers, query.get("appUri", ["/"])[0])
        except SignInRefused as refusal:
            return _refuse(server, headers, str(refusal))
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


def _home(server: "Server", user: str, headers: Headers) -> Answer:
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


def _start(user: str) -> int:
    """Start a session as its user, as a job of the launcher; returns its process id."""
    account = pwd.getpwnam(user)
    environment = {"HOME": account.pw_dir, "USER": user, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    asked = ["systemctl", "show", "-p", "MainPID", "--value", "rstudio-launcher"]
    launcher = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PEER_SECONDS).stdout.strip()
    with open(f"/proc/{launcher}/environ", encoding="utf-8") as file:
        environment |= dict(each.split("=", 1) for each in file.read().split("\0") if each.startswith("INVOCATION_ID="))
    started = subprocess.Popen(
        [RSESSION],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=os.getgrouplist(user, account.pw_gid),
        cwd=account.pw_dir,
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log.write("INFO", f"Session {started.pid} of {user} has started")
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
