"""People sign in to the stand-in server with a password, and their session answers through every node."""

import urllib.parse

from tests.browser import OUTSIDE, Browser, said
from tests.nodes.cluster import ANNA, Cluster

PASSWORD = "correct horse 'battery' staple"


def test_a_session_answers_through_every_node_once_its_user_has_signed_in(cluster: Cluster) -> None:
    cluster.publish(accounts=[ANNA], config={"auth-cookies-force-secure": "1"})
    first, second = (cluster.add_node() for _ in range(2))
    for node in (first, second):
        cluster.apply(node)
        given = node.run(f"chpasswd <<'END'\nanna:{PASSWORD}\nEND", timeout=60)
        assert given.returncode == 0, given.stderr
    browser = Browser()
    home = browser.ask(first, "/")
    assert (home.status, home.headers["Location"]) == (302, f"{OUTSIDE}/auth-sign-in?appUri=%2F")
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
    forged = Browser(cookies={"user-id": browser.cookies["user-id"].replace("anna", "root")})
    assert forged.ask(first, place).status == 302
    assert browser.ask(second, place.replace("/s/", "/s/9")).status == 404
    browser.submit(second, "/", "/auth-sign-out")
    assert browser.ask(first, place).status == 302
    # A form of another site is refused.
    stolen = Browser().ask(first, "/auth-do-sign-in", username="anna", password=PASSWORD)
    assert stolen.status == 403
