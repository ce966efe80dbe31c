"""People sign in to the stand-in server with a password, and their session answers through every node."""

import re
import urllib.parse
from dataclasses import dataclass, field

import requests

from benchwright.models import Account
from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster

ANNA = Account(name="anna", uid=5001, gid=5001)
PASSWORD = "correct horse 'battery' staple"
OUTSIDE = "https://workbench.example.com"
BEHIND_A_PROXY = {"Host": "workbench.example.com", "X-Forwarded-Proto": "https"}


@dataclass
class Browser:
    """Keeps cookies, whoever set them: a load balancer hides which node that was."""

    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, node: Host, path: str, **form: str) -> requests.Response:
        sent = {**BEHIND_A_PROXY, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        method = "POST" if form else "GET"
        url = f"http://{node.address}:8787{path}"
        answer = requests.request(method, url, headers=sent, data=form, allow_redirects=False, timeout=30)
        for each in answer.raw.headers.getlist("Set-Cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def submit(self, node: Host, page: str, path: str, **fields: str) -> requests.Response:
        """Fill in the form of a page."""
        text = self.ask(node, page).text
        hidden = dict(re.findall(r'name=(\S+) value="?([^">]*)"?>', text))
        return self.ask(node, path, **{**hidden, **fields})


def said(answer: requests.Response) -> dict[str, str]:
    """What a page says, by the ids of its words."""
    return dict(re.findall(r"<b id=(\S+?)>(.*?)</b>", answer.text))


def test_a_session_answers_through_every_node_once_its_user_has_signed_in(cluster: Cluster) -> None:
    cluster.publish(accounts=[ANNA], config={"auth-cookies-force-secure": "1"})
    first, second = (cluster.add_node() for _ in range(2))
    for node in (first, second):
        cluster.apply(node)
        given = node.run(f"chpasswd <<'END'\nanna:{PASSWORD}\nEND", timeout=60)
        assert given.returncode == 0, given.stderr
    browser = Browser()
    home = browser.ask(first, "/")
    assert (home.status_code, home.headers["Location"]) == (302, f"{OUTSIDE}/auth-sign-in?appUri=%2F")
    wrong = browser.submit(first, "/auth-sign-in", "/auth-do-sign-in", username="anna", password="guess")
    assert wrong.headers["Location"] == f"{OUTSIDE}/auth-sign-in?error=2"
    assert "user-id" not in browser.cookies
    right = browser.submit(first, "/auth-sign-in?appUri=%2F", "/auth-do-sign-in", username="anna", password=PASSWORD)
    assert right.headers["Location"] == f"{OUTSIDE}/"
    assert "; HttpOnly;" in right.headers["Set-Cookie"] and "; Secure" in right.headers["Set-Cookie"]
    assert said(browser.ask(second, "/"))["user"] == "anna"  # which never saw the password
    begun = browser.submit(first, "/", "/start-session", any="thing")
    place = urllib.parse.urlsplit(begun.headers["Location"]).path
    pages = [said(browser.ask(node, place)) for node in (first, second, first)]
    assert pages[0] == pages[1] == pages[2]
    assert (pages[0]["user"], pages[0]["uid"]) == ("anna", "5001")
    active = first.run("rstudio-server active-sessions", timeout=60).stdout
    assert active == f"{pages[0]['session']}  anna  rsession\n"
    forged = Browser({"user-id": browser.cookies["user-id"].replace("anna", "root")})
    assert forged.ask(first, place).status_code == 302
    assert browser.ask(second, place.replace("/s/", "/s/9")).status_code == 404
    browser.submit(second, "/", "/auth-sign-out")
    assert browser.ask(first, place).status_code == 302


def test_a_form_of_another_site_is_refused(cluster: Cluster) -> None:
    cluster.publish(accounts=[ANNA])
    node = cluster.add_node()
    cluster.apply(node)
    stolen = Browser().ask(node, "/auth-do-sign-in", username="anna", password=PASSWORD)
    assert stolen.status_code == 403
