"""A browser in which people sign in, with a password or at the identity provider of the rehearsal."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool

from rehearsal.hosts.host import Host, Hosts
from rehearsal.hosts.identity_provider import HOST, ISSUER

OUTSIDE = "https://workbench.example.com"
BEHIND_A_PROXY = {"Host": "workbench.example.com", "X-Forwarded-Proto": "https"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SECONDS = 30


@dataclass
class Browser:
    """Keeps cookies of Workbench, whichever node set them, and follows redirects by hand.

    provider: whom it asks for the pages of the identity provider, if it needs any. A place of Workbench is a load
    balancer or a node; a node is asked as a load balancer passes requests on.
    """

    provider: HTTPSConnectionPool | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, place: HTTPConnectionPool | Host, address: str, **form: str) -> BaseHTTPResponse:
        pool = HTTPConnectionPool(place.address, 8787, timeout=SECONDS) if isinstance(place, Host) else place
        sent = {**BEHIND_A_PROXY, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        path = address.removeprefix(OUTSIDE)
        if form:
            answer = pool.urlopen("POST", path, urlencode(form), {**sent, **FORM}, redirect=False)
        else:
            answer = pool.urlopen("GET", path, None, sent, redirect=False)
        for each in answer.headers.getlist("Set-Cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def submit(self, place: HTTPConnectionPool | Host, page: str, path: str, **fields: str) -> BaseHTTPResponse:
        """Send the form of a page, with these fields filled in."""
        hidden = dict(re.findall(r'name=(\S+) value="?([^">]*)"?>', self.ask(place, page).data.decode()))
        return self.ask(place, path, **{**hidden, **fields})

    def choose(self, address: str, subject: str) -> str:
        """Press someone's button on the provider's page; gives where that leads."""
        assert self.provider and address.startswith(f"{ISSUER}/")
        path, host = address.removeprefix(ISSUER), {"Host": HOST}
        page = self.provider.request("GET", path, headers=host).data.decode()
        assert f'value="{subject}"' in page, page
        answer = self.provider.urlopen("POST", path, urlencode({"sub": subject}), {**host, **FORM}, redirect=False)
        return answer.headers["Location"]

    def sign_in(
        self, first: HTTPConnectionPool | Host, second: HTTPConnectionPool | Host, subject: str
    ) -> BaseHTTPResponse:
        """Sign in as someone: one place begins, another one takes the callback and answers it."""
        self.cookies.clear()
        led = self.ask(first, "/")
        assert led.headers["Location"] == f"{OUTSIDE}/auth-sign-in?appUri=%2F"
        away = self.ask(first, led.headers["Location"])
        if away.status != 302:
            return away
        back = self.choose(away.headers["Location"], subject)
        assert back.startswith(f"{OUTSIDE}/openid/callback?")
        return self.ask(second, back)


def new_browser(hosts: Hosts, folder: Path) -> Browser:
    """A browser that trusts what hosts trust. `folder` gets the file that says so."""
    authority = folder / "authority.pem"
    hosts.mirror.authority.cert_pem.write_to_path(str(authority))
    address = hosts.network.names[HOST]
    return Browser(
        HTTPSConnectionPool(
            address, timeout=SECONDS, ca_certs=str(authority), server_hostname=HOST, assert_hostname=HOST
        )
    )


def said(answer: BaseHTTPResponse) -> dict[str, str]:
    """What a page says, by the ids of its words."""
    return dict(re.findall(r"<(?:b|p)[^>]* id=(\S+?)>(.*?)</(?:b|p)>", answer.data.decode(), re.DOTALL))
