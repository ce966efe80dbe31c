"""The data plane: what really listens on a load balancer's addresses, ends TLS, and forwards into the nodes.

aiohttp reads and writes HTTP and WebSockets. It is imported when the first load balancer gets a listener: most
rehearsals have none. HTTP/2, access logs and the rules of web ACLs are not rehearsed.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/ has what is done here, on the pages
x-forwarded-headers, sticky-sessions, edit-load-balancer-attributes and load-balancer-troubleshooting (status codes).
"""

import asyncio
import contextlib
import itertools
import logging
import re
import secrets
import socket
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import aiohttp
from aiohttp import hdrs, web
from itsdangerous import BadSignature, URLSafeSerializer
from moto.acm.models import AWS_ROOT_CA
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from rehearsal.aws.services.ec2.firewall import Party, allows

from . import routing
from .model import Balancing, forwards_to
from .targets import Target

logger = logging.getLogger(__name__)

COOKIE, CORS_COOKIE = "AWSALB", "AWSALBCORS"
COOKIE_SECONDS = 7 * 86_400
CONNECT_SECONDS = 10
STOP_SECONDS = 10
UNSENT = (1005, 1006)  # codes that no close frame carries: there was none in it, or no frame
LONGEST_LINE = 16 * 1024
OWN_NAME = "awselb/2.0"
VALID_HEADER = re.compile(r"[-A-Za-z0-9]+")
HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
OF_HANDSHAKE = frozenset(
    f"sec-websocket-{name}" for name in ("key", "version", "extensions", "protocol", "accept")
)  # aiohttp writes those of its own
REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
OUTSIDE = "198.51.100.1"
"""The address of a node's NAT gateway, where it has none of its own here (documentation range)."""


@dataclass(eq=False)
class Front:
    """One address and port of a load balancer on which someone listens."""

    address: str
    port: int
    listener: str
    public: bool
    socket: socket.socket
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    servers: weakref.WeakSet[web.Server] = field(default_factory=weakref.WeakSet)
    """What reads the requests of each connection, as long as that is open."""
    client: aiohttp.ClientSession | None = None


@dataclass
class Passage:
    """One request on its way to a target, and the answer on its way back."""

    front: Front
    target: Target
    request: web.BaseRequest
    headers: CIMultiDict[str]
    cookies: list[str]
    idle: float
    """Seconds of the wall for which nothing may pass, in neither direction."""

    @property
    def url(self) -> URL:
        place = f"http://{self.target.machine.address}:{self.target.port}"
        return URL(f"{place}{self.request.raw_path}", encoded=True)

    @property
    def client(self) -> aiohttp.ClientSession:
        assert self.front.client
        return self.front.client

    async def exchange(self) -> web.StreamResponse:
        request = self.request
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        response: web.StreamResponse | None = None
        try:
            async with self.client.request(
                request.method,
                self.url,
                headers=self.headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self.idle),
            ) as answer:
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=_passed(answer.headers)
                )
                response.headers.extend([(hdrs.SET_COOKIE, cookie) for cookie in self.cookies])
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except TimeoutError:
            status = 504
        except aiohttp.ClientError:
            status = 502
        if response is not None and response.prepared:  # what was begun cannot become another answer
            if request.transport:
                request.transport.close()
            return response
        return _own(status)

    async def web_socket(self) -> web.StreamResponse:
        """A WebSocket stays with the target that answered 101."""
        headers = CIMultiDict((name, value) for name, value in self.headers.items() if name.lower() not in OF_HANDSHAKE)
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        try:
            there = await self.client.ws_connect(
                self.url,
                headers=headers,
                protocols=[each.strip() for each in offered if each.strip()],
                autoping=False,
                autoclose=False,
                max_msg_size=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            return _own(error.status)
        except (TimeoutError, aiohttp.ClientError):
            return _own(502)
        chosen = [there.protocol] if there.protocol else []
        here = web.WebSocketResponse(protocols=chosen, autoping=False, autoclose=False, compress=False, max_msg_size=0)
        here.headers.extend([(hdrs.SET_COOKIE, cookie) for cookie in self.cookies])
        async with there:
            await here.prepare(self.request)
            await self._pump(here, there)
        return here

    async def _pump(self, here: web.WebSocketResponse, there: aiohttp.ClientWebSocketResponse) -> None:
        """Pass on messages, pings and the end, in both directions, until one side ends or both are silent."""
        passed = [time.monotonic()]

        async def watch() -> None:
            while (left := passed[0] + self.idle - time.monotonic()) > 0:
                await asyncio.sleep(left)

        tasks = [
            asyncio.create_task(work) for work in (_carry(here, there, passed), _carry(there, here, passed), watch())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whoever still waits for a message goes first: beside such a one, aiohttp closes without a good-bye.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            codes = [code for code in (there.close_code, here.close_code) if code and code not in UNSENT]
            for side in (here, there):
                with contextlib.suppress(ConnectionError):
                    await side.close(code=codes[0] if codes else aiohttp.WSCloseCode.GOING_AWAY)


type _Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _carry(source: _Socket, sink: _Socket, passed: list[float]) -> None:
    """Pass on what comes from one side until it ends; `passed` gets the moment of each message."""
    async for message in source:
        passed[0] = time.monotonic()
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.PING:
            await sink.ping(message.data)
        elif message.type is aiohttp.WSMsgType.PONG:
            await sink.pong(message.data)


class Proxy:
    """Everything that listens for the load balancers of an account, in a thread of its own."""

    def __init__(self, balancing: Balancing) -> None:
        self._balancing = balancing
        self._fronts: dict[tuple[str, int], Front] = {}
        self._turn = itertools.count()
        self._cookies = URLSafeSerializer(secrets.token_bytes(32))
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        self._serving: dict[Target, set[asyncio.Task[Any]]] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="load balancers", daemon=True).start()

    def update(self, wanted: Mapping[tuple[str, int], tuple[str, bool]]) -> None:
        """Listen where a load balancer does: by address and port, the listener's ARN and whether all the world may
        come there. Waits for no one: who calls may hold the lock that a connection waits for.
        """
        for place in [place for place in self._fronts if place not in wanted]:
            asyncio.run_coroutine_threadsafe(self._close(self._fronts.pop(place)), self._loop)
        for place, (listener, public) in wanted.items():
            if place in self._fronts:
                self._fronts[place].listener = listener
                continue
            listening = socket.create_server(place, backlog=128, reuse_port=True)  # one that goes may still be there
            listening.setblocking(False)
            front = self._fronts[place] = Front(*place, listener, public, listening)
            asyncio.run_coroutine_threadsafe(self._open(front), self._loop)

    def cut(self, target: Target) -> None:
        """End the connections to a target whose deregistration has ended."""

        def cancel() -> None:
            for task in self._serving.pop(target, ()):
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def stop(self) -> None:
        """Close everything and end the thread."""
        self.update({})

        async def rest() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(rest(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)

    # Connections

    async def _open(self, front: Front) -> None:
        connector = aiohttp.TCPConnector(local_addr=(front.address, 0), limit=0, use_dns_cache=False)
        front.client = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        self._spawn(front, self._accept(front))

    async def _close(self, front: Front) -> None:
        tasks = list(front.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in list(front.servers):
            await server.shutdown(0)
        front.socket.close()
        if front.client:
            await front.client.close()

    def _spawn(self, front: Front, work: Any) -> None:
        task = self._loop.create_task(work)
        front.tasks.add(task)
        task.add_done_callback(front.tasks.discard)

    async def _accept(self, front: Front) -> None:
        while True:
            connection, peer = await self._loop.sock_accept(front.socket)
            self._spawn(front, self._serve(front, connection, peer[0]))

    async def _serve(self, front: Front, connection: socket.socket, peer: str) -> None:
        try:
            if not self._admits(front, peer):  # what a closed security group drops is never answered
                while await self._loop.sock_recv(connection, 4096):
                    pass
                connection.close()
                return
            context, attributes = self._context(front), self._balancer(front).attrs
            timeouts = ("idle_timeout.timeout_seconds", "client_keep_alive.seconds")
            server = web.Server(
                lambda request: self._handle(front, request),
                access_log=None,
                auto_decompress=False,
                keepalive_timeout=min(float(attributes[name]) for name in timeouts),
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_LINE,
            )
            front.servers.add(server)
            await self._loop.connect_accepted_socket(server, connection, ssl=context)
        except (OSError, ssl.SSLError):
            connection.close()

    def _balancer(self, front: Front) -> Any:
        with self._balancing.lock:
            return self._balancing.balancer(self._balancing.listener(front.listener).load_balancer_arn)

    def _admits(self, front: Front, peer: str) -> bool:
        with self._balancing.lock:
            groups = self._balancing.groups_of(front.listener)
            own = Party(front.address, groups)
            return allows(self._balancing.ec2, self._party(front, peer), own, front.port)

    def _party(self, front: Front, peer: str) -> Party:
        """Who connects: a node by its groups; to a public address it comes through the NAT gateway of its network."""
        for machine in list(self._balancing.aws.machines.by_id.values()):
            if machine.address == peer and not machine.ending:
                if front.public:
                    return Party(OUTSIDE)
                return Party(peer, frozenset(each.id for each in machine.instance.security_groups))
        return Party(peer)

    def _context(self, front: Front) -> ssl.SSLContext | None:
        """How TLS is spoken on a listener now; None where it is not."""
        with self._balancing.lock:
            listener = self._balancing.listener(front.listener)
            if listener.protocol != "HTTPS":
                return None
            arn, policy = listener.certificates[0], str(listener.ssl_policy)
            bundle = self._balancing.aws.certificates.backend._certificates[arn]
        if (bundle.cert, policy) not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            only_newest = "-TLS13-1-3-" in policy
            context.minimum_version = ssl.TLSVersion.TLSv1_3 if only_newest else ssl.TLSVersion.TLSv1_2
            with tempfile.NamedTemporaryFile() as file:
                file.write(bundle.key + b"\n" + bundle.cert + b"\n" + bundle.chain.replace(AWS_ROOT_CA, b""))
                file.flush()
                context.load_cert_chain(file.name)
            self._contexts[bundle.cert, policy] = context
        return self._contexts[bundle.cert, policy]

    # Requests

    async def _handle(self, front: Front, request: web.BaseRequest) -> web.StreamResponse:
        with self._balancing.lock:
            listener, balancer = self._balancing.listener(front.listener), self._balancer(front)
        host = request.headers.get(hdrs.HOST)
        if not host:
            return _own(400)
        path, _, query = request.raw_path.partition("?")
        facts = routing.Request(listener.protocol.lower(), host.partition(":")[0], front.port, path, query)
        action = routing.decide(listener, facts)
        if action["Type"] == "fixed-response":
            config = action["FixedResponseConfig"]
            body, kind = config.get("MessageBody") or "", config.get("ContentType") or "text/plain"
            return _own(int(config["StatusCode"]), body, kind)
        if action["Type"] == "redirect":
            config = action["RedirectConfig"]
            response = _own(routing.REASONS[config["StatusCode"]][0])
            response.headers[hdrs.LOCATION] = routing.location(config, facts)
            return response
        return await self._forward(front, balancer, forwards_to(action)[0], request)

    async def _forward(self, front: Front, balancer: Any, arn: str, request: web.BaseRequest) -> web.StreamResponse:
        group = self._balancing.group(arn)
        target = self._choose(group, request)
        if target is None:
            return _own(503)
        if not self._balancing.targets.reachable(group, target):
            return _own(504)
        task = asyncio.current_task()
        assert task
        self._serving.setdefault(target, set()).add(task)
        try:
            headers = self._headers(front, balancer, request)
            cookies = self._sticky(group, target)
            idle = float(balancer.attrs["idle_timeout.timeout_seconds"])
            passage = Passage(front, target, request, headers, cookies, idle)
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                return await passage.web_socket()
            return await passage.exchange()
        finally:
            self._serving.get(target, set()).discard(task)

    def _choose(self, group: Any, request: web.BaseRequest) -> Target | None:
        """The target of the client's cookie, or the next one; where none is healthy, requests go to all."""
        with self._balancing.lock:
            targets = self._balancing.targets
            states = {target: targets.shown_state(group, target)[0] for target in targets.of(group.arn)}
        usable = [target for target, state in states.items() if state == "healthy"]
        usable = usable or [target for target, state in states.items() if state in ("unhealthy", "initial")]
        if not usable:
            return None
        if group.attributes["stickiness.enabled"] == "true":
            for name in (COOKIE, CORS_COOKIE):
                kept = self._kept(group, request.cookies.get(name, ""))
                for target in usable:
                    if target.machine.id == kept:
                        return target
        return usable[next(self._turn) % len(usable)]

    def _kept(self, group: Any, cookie: str) -> str:
        """The instance that a cookie names, "" where it names none any more."""
        with contextlib.suppress(BadSignature, ValueError, TypeError):
            arn, instance, until = self._cookies.loads(cookie)
            if arn == group.arn and self._balancing.aws.clock.now() < until:
                return str(instance)
        return ""

    def _sticky(self, group: Any, target: Target) -> list[str]:
        if group.attributes["stickiness.enabled"] != "true":
            return []
        seconds = int(group.attributes["stickiness.lb_cookie.duration_seconds"])
        until = self._balancing.aws.clock.now() + seconds
        value = self._cookies.dumps([group.arn, target.machine.id, until])
        expires = formatdate(time.time() + COOKIE_SECONDS, usegmt=True)
        common = f"{value}; Expires={expires}; Path=/"
        return [f"{COOKIE}={common}", f"{CORS_COOKIE}={common}; SameSite=None; Secure"]

    def _headers(self, front: Front, balancer: Any, request: web.BaseRequest) -> CIMultiDict[str]:
        """What the target gets: the client's headers, and where the request came from. No X-Forwarded-Host is added."""
        drops = balancer.attrs["routing.http.drop_invalid_header_fields.enabled"] == "true"
        headers = CIMultiDict(
            (name, value)
            for name, value in _passed(request.headers).items()
            if not drops or VALID_HEADER.fullmatch(name)
        )
        secure = request.transport is not None and request.transport.get_extra_info("ssl_object") is not None
        client, protocol = request.remote or "", "https" if secure else "http"
        mode = balancer.attrs["routing.http.xff_header_processing.mode"]
        before = headers.popall("X-Forwarded-For", [])
        if mode == "append":
            headers["X-Forwarded-For"] = ", ".join([*before, client])
        elif mode == "preserve" and before:
            headers["X-Forwarded-For"] = ", ".join(before)
        if mode == "append":
            headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"] = protocol, str(front.port)
        if balancer.attrs["routing.http.preserve_host_header.enabled"] != "true":
            name, _, _ = headers[hdrs.HOST].partition(":")
            default = routing.DEFAULT_PORTS[protocol] == front.port
            headers[hdrs.HOST] = name if default else f"{name}:{front.port}"
        headers["X-Amzn-Trace-Id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        return headers


def _passed(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that are meant for the other end."""
    named = {name.strip().lower() for value in headers.getall(hdrs.CONNECTION, []) for name in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP | named)


def _own(status: int, body: str | None = None, kind: str = "text/html") -> web.StreamResponse:
    """An answer of the load balancer itself."""
    reason = REASONS.get(status)
    if body is None:
        title = f"{status} {reason or ''}".strip()
        head, text = f"<head><title>{title}</title></head>", f"<body><center><h1>{title}</h1></center></body>"
        body = f"<html>\r\n{head}\r\n{text}\r\n</html>"
    response = web.Response(status=status, reason=reason, text=body, content_type=kind)
    response.headers[hdrs.SERVER] = OWN_NAME
    return response
