"""What really listens for a load balancer: here on loopback addresses, with servers beside it in the place of nodes."""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from yarl import URL

from rehearsal.aws.services.autoscaling import scaling_activities
from rehearsal.aws.services.elbv2 import routing
from rehearsal.aws.services.elbv2.targets import probe
from rehearsal.initial_account import ZONE_ID
from tests.unit.rehearsal.balanced_account import DELAY, INTERVAL, MODULES, PORT, Account
from tests.unit.rehearsal.fake_hosts import local_aws
from tests.waiting import PATIENCE, until

HOST = "workbench.example.com"
SECURE, PLAIN = 8443, 8080
SILENT_SECONDS = 10.0


class Node:
    """A server on an instance's address, which says who it is and what it was asked."""

    def __init__(self, instance: str, address: str) -> None:
        self.instance, self.address = instance, address
        self.health = 200
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(PATIENCE)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/health-check", self._health)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/silent", self._silent)
        app.router.add_route("*", "/{path:.*}", self._say)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, PORT).start()

    def stop(self) -> None:
        async def stop() -> None:
            assert self._runner
            await self._runner.cleanup()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=self.health)

    async def _silent(self, _: web.Request) -> web.Response:
        await asyncio.sleep(SILENT_SECONDS)
        return web.Response()

    async def _say(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        said = {
            "instance": self.instance,
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
            "peer": request.remote,
            "body": body,
        }
        response = web.json_response(said, headers={"X-Answer": "node", "Server": "node"})
        response.headers.extend([("Set-Cookie", "one=1"), ("Set-Cookie", "two=2")])
        return response

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ours = web.WebSocketResponse(protocols=["shell"])
        await ours.prepare(request)
        await ours.send_str(self.instance)
        async for message in ours:
            if message.type is aiohttp.WSMsgType.BINARY:
                await ours.send_bytes(message.data[::-1])
            elif message.data == "end":
                await ours.close(code=4001)
            else:
                await ours.send_str(message.data.upper())
        return ours


class World:
    """A load balancer in front of two nodes, and a client beside it."""

    def __init__(self, account: Account, authority: trustme.CA) -> None:
        self.account, self.authority = account, authority
        self.nodes: dict[str, Node] = {}
        described = account.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": ["ELB app/front/*"]}]
        )
        self.addresses = sorted(each["PrivateIpAddress"] for each in described["NetworkInterfaces"])

    def place(self, port: int = SECURE) -> str:
        scheme = "https" if port == SECURE else "http"
        return f"{scheme}://{self.addresses[0]}:{port}"

    def use(self, work: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> Any:
        """What a client gets done that trusts the certificate's authority and asks for the host by its name."""

        async def connected() -> Any:
            context = ssl.create_default_context()
            self.authority.configure_trust(context)
            connector = aiohttp.TCPConnector(ssl=context)
            jar, headers = aiohttp.CookieJar(unsafe=True), {"Host": HOST}
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=headers) as session:
                return await work(session)

        return asyncio.run(asyncio.wait_for(connected(), PATIENCE))

    def ask(self, path: str = "/", port: int = SECURE, method: str = "GET", **more: Any) -> tuple[int, Any, Any]:
        """Status, headers and body of one request."""

        async def asked(session: aiohttp.ClientSession) -> tuple[int, Any, Any]:
            named: dict[str, Any] = {"server_hostname": HOST} if port == SECURE else {}
            url = URL(f"{self.place(port)}{path}", encoded=True)
            async with session.request(method, url, allow_redirects=False, **named, **more) as answer:
                text = await answer.text()
                return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text

        return self.use(asked)  # type: ignore[no-any-return]

    def attributes(self, **changed: str) -> None:
        listed = [{"Key": key.replace("__", "."), "Value": value} for key, value in changed.items()]
        self.account.elbv2.modify_load_balancer_attributes(LoadBalancerArn=self.account.balancer, Attributes=listed)

    def sticky(self) -> None:
        on = [{"Key": "stickiness.enabled", "Value": "true"}]
        self.account.elbv2.modify_target_group_attributes(TargetGroupArn=self.account.targets, Attributes=on)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as ending:
        patch.setattr(scaling_activities, "LAST_WORK_SECONDS", 0.01)
        aws = ending.enter_context(local_aws(tmp_path_factory.mktemp("aws"), modules=MODULES))
        authority = trustme.CA()
        aws.hosts.mirror = SimpleNamespace(authority=authority)
        present: set[str] = set()  # of no effect: all of 127.0.0.0/8 is there
        aws.hosts.network = SimpleNamespace(add_address=present.add, remove_address=present.remove, present=present)
        account = Account(aws, network="127.0")
        account.elbv2.delete_listener(ListenerArn=account.listener)
        aws.balancing.probe = probe
        for port in (SECURE, PLAIN):
            rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}
            account.ec2.authorize_security_group_ingress(GroupId=account.front, IpPermissions=[rule])
        account.listen_as_the_template_does(HOST, SECURE, PLAIN)
        built = World(account, authority)
        account.create(2)
        for instance in account.in_service():
            machine = aws.machines.by_id[instance]
            built.nodes[instance] = node = Node(instance, machine.address)
            ending.callback(node.stop)
        account.healthy()
        yield built


def test_requests_reach_the_nodes_in_turn_with_where_they_came_from(world: World) -> None:
    answers = [world.ask("/some%2Fpath?a=b%20c", headers={"X-Forwarded-For": "192.0.2.7"}) for _ in range(4)]
    assert {status for status, _, _ in answers} == {200}
    assert {said["instance"] for _, _, said in answers} == set(world.nodes)
    _, headers, said = answers[0]
    assert (headers["X-Answer"], headers["Server"]) == ("node", "node")
    assert headers.getall("Set-Cookie") == ["one=1", "two=2"]
    assert said["path"] == "/some%2Fpath?a=b%20c"
    assert said["peer"] in world.addresses
    received = {name.lower(): value for name, value in said["headers"]}
    assert received["host"] == f"{HOST}:{SECURE}"  # a port stands in it where it is not that of the protocol
    assert received["x-forwarded-proto"] == "https"
    assert received["x-forwarded-port"] == str(SECURE)
    assert received["x-forwarded-for"].startswith("192.0.2.7, 127.0.")
    assert "x-forwarded-host" not in received
    assert received["x-amzn-trace-id"].startswith("Root=1-")


def test_a_body_is_passed_on(world: World) -> None:
    _, _, said = world.ask("/upload", method="POST", data="x" * 300_000)
    assert (said["method"], len(said["body"])) == ("POST", 300_000)


def test_plain_requests_are_redirected(world: World) -> None:
    status, headers, _ = world.ask("/a/b?c=d", port=PLAIN)
    assert (status, headers["Location"], headers["Server"]) == (301, f"https://{HOST}:443/a/b?c=d", "awselb/2.0")


def test_operational_paths_are_answered_by_the_load_balancer(world: World) -> None:
    status, headers, body = world.ask("/load-balancer/status")
    assert (status, headers["Server"], body) == (403, "awselb/2.0", "No.")


@pytest.mark.parametrize(
    "path",
    ["/%6coad-balancer/status", "/load-balancer/%73tatus", "/a/../load-balancer/x", "/./a/%2E%2e/load-balancer/"],
)
def test_a_rule_sees_the_normalised_path(world: World, path: str) -> None:
    assert world.ask(path)[0] == 403


def test_what_a_rule_does_not_match_is_forwarded_as_it_was_written(world: World) -> None:
    status, _, body = world.ask("/load-balancer%2fstatus/%7Eann/./x")
    assert (status, body["path"]) == (200, "/load-balancer%2fstatus/%7Eann/./x")


@pytest.mark.parametrize("drop", ["true", "false"])
def test_invalid_headers_are_dropped_where_that_is_wanted(world: World, drop: str) -> None:
    world.attributes(routing__http__drop_invalid_header_fields__enabled=drop)
    _, _, said = world.ask(headers={"X_Secret": "1", "X-Right": "2"})
    names = {name for name, _ in said["headers"]}
    assert ("X_Secret" in names, "X-Right" in names) == (drop == "false", True)


def test_a_client_stays_on_its_node_while_that_is_healthy(world: World) -> None:
    world.sticky()

    async def visit(session: aiohttp.ClientSession) -> list[str]:
        seen: list[str] = []
        for number in range(6):
            if number == 3:  # its node gets ill
                world.nodes[seen[0]].health = 503
                await asyncio.to_thread(world.account.aws.clock.sleep, 4 * INTERVAL)
            async with session.get(f"{world.place()}/", server_hostname=HOST) as answer:
                seen.append((await answer.json())["instance"])
        return seen

    try:
        seen = world.use(visit)
    finally:
        for node in world.nodes.values():
            node.health = 200
        world.account.until(lambda: set(world.account.health().values()) == {"healthy"})
    first, second = seen[0], seen[3]
    assert first != second
    assert seen == [first] * 3 + [second] * 3


def test_a_forged_cookie_names_no_node(world: World) -> None:
    world.sticky()
    _, headers, said = world.ask()
    cookie = next(each for each in headers.getall("Set-Cookie") if each.startswith("AWSALB=")).split(";")[0]
    kept = {world.ask(headers={"Cookie": cookie})[2]["instance"] for _ in range(4)}
    assert kept == {said["instance"]}
    value, _, signature = cookie.rpartition(".")
    forged = f"{value}.{signature[::-1]}"  # new last characters alone would be the old ones in one run of a thousand
    assert {world.ask(headers={"Cookie": forged})[2]["instance"] for _ in range(4)} == set(world.nodes)


def test_a_web_socket_stays_with_its_node(world: World) -> None:
    async def talk(session: aiohttp.ClientSession) -> list[Any]:
        url = f"{world.place()}/socket"
        async with session.ws_connect(url, server_hostname=HOST, protocols=["other", "shell"]) as socket:
            said: list[Any] = [await socket.receive_str(), socket.protocol]
            await socket.send_str("hello")
            said.append(await socket.receive_str())
            await socket.send_bytes(b"\x01\x02")
            said.append(await socket.receive_bytes())
            await socket.send_str("end")
            await socket.receive()
            return [*said, socket.close_code]

    instance, *rest = world.use(talk)
    assert instance in world.nodes
    assert rest == ["shell", "HELLO", b"\x02\x01", 4001]


def test_who_is_silent_for_too_long_is_cut_off(world: World) -> None:
    world.attributes(idle_timeout__timeout_seconds="3")

    async def wait(session: aiohttp.ClientSession) -> Any:
        async with session.ws_connect(f"{world.place()}/socket", server_hostname=HOST) as socket:
            await socket.receive_str()
            return (await socket.receive()).type

    try:
        assert world.ask("/silent")[0] == 504
        assert world.use(wait) in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    finally:
        world.attributes(idle_timeout__timeout_seconds="60")


def test_without_a_healthy_node_requests_go_to_all(world: World) -> None:
    for node in world.nodes.values():
        node.health = 503
    world.account.until(lambda: all(state.startswith("unhealthy") for state in world.account.health().values()))
    try:
        assert {world.ask()[2]["instance"] for _ in range(6)} == set(world.nodes)
    finally:
        for node in world.nodes.values():
            node.health = 200
        world.account.until(lambda: set(world.account.health().values()) == {"healthy"})


def test_a_closed_security_group_never_answers(world: World) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": SECURE, "ToPort": SECURE, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}
    world.account.ec2.revoke_security_group_ingress(GroupId=world.account.front, IpPermissions=[rule])
    try:
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            world.ask(timeout=aiohttp.ClientTimeout(total=0.5))
    finally:
        world.account.ec2.authorize_security_group_ingress(GroupId=world.account.front, IpPermissions=[rule])
    assert world.ask()[0] == 200


def test_nodes_behind_a_closed_security_group_are_out_of_reach(world: World) -> None:
    account = world.account
    account.ec2.revoke_security_group_ingress(GroupId=account.nodes, IpPermissions=account.rule)
    try:
        assert world.ask()[0] == 504
    finally:
        account.ec2.authorize_security_group_ingress(GroupId=account.nodes, IpPermissions=account.rule)


def test_a_name_that_the_certificate_does_not_have_is_no_name_of_it(world: World) -> None:
    async def other(session: aiohttp.ClientSession) -> None:
        await session.get(world.place(), server_hostname="other.example.com")

    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        world.use(other)


def test_the_door_for_browsers_is_where_https_is_spoken(world: World) -> None:
    door = world.account.aws.balancing.door()
    assert door.place in {(address, SECURE) for address in world.addresses}
    assert door.names == (HOST,)


def test_names_of_the_load_balancer_resolve(world: World) -> None:
    (balancer,) = world.account.elbv2.describe_load_balancers()["LoadBalancers"]
    alias = {
        "Name": HOST,
        "Type": "A",
        "AliasTarget": {
            "DNSName": balancer["DNSName"],
            "HostedZoneId": balancer["CanonicalHostedZoneId"],
            "EvaluateTargetHealth": False,
        },
    }
    published: dict[str, list[str]] = {}

    def publish(names: dict[str, list[str]]) -> None:
        published.clear()
        published.update(names)

    world.account.aws.hosts.publish = publish
    route53 = world.account.aws.client("route53")
    for action in ("CREATE", "DELETE"):
        changes = {"Changes": [{"Action": action, "ResourceRecordSet": alias}]}
        route53.change_resource_record_sets(HostedZoneId=ZONE_ID, ChangeBatch=changes)
        named = {balancer["DNSName"].lower()} | ({HOST} if action == "CREATE" else set())
        assert set(published) == named
        assert {name: sorted(addresses) for name, addresses in published.items()} == dict.fromkeys(
            named, world.addresses
        )
        names = world.account.aws.names
        assert {name: addresses[0] for name, addresses in published.items()} == {name: names[name] for name in named}


def test_a_node_that_leaves_gets_no_new_requests_and_its_web_sockets_end_with_its_draining(world: World) -> None:
    """The last test here: it takes a node away."""
    account = world.account

    async def stay(session: aiohttp.ClientSession) -> tuple[str, set[str], bool, Any]:
        async with session.ws_connect(f"{world.place()}/socket", server_hostname=HOST) as socket:
            instance = await socket.receive_str()
            account.elbv2.deregister_targets(TargetGroupArn=account.targets, Targets=[{"Id": instance}])
            seen = set()
            for _ in range(4):
                async with session.get(f"{world.place()}/", server_hostname=HOST) as answer:
                    seen.add((await answer.json())["instance"])
            await asyncio.to_thread(account.aws.clock.sleep, DELAY - 20)
            await socket.send_str("still")
            still = await socket.receive_str() == "STILL"
            await asyncio.to_thread(account.aws.clock.sleep, 40)
            return instance, seen, still, (await socket.receive()).type

    leaving, seen, still, last = world.use(stay)
    assert seen == set(world.nodes) - {leaving}
    assert still
    assert last in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


def test_a_deleted_listener_listens_no_more(world: World) -> None:
    listeners = world.account.elbv2.describe_listeners(LoadBalancerArn=world.account.balancer)["Listeners"]
    plain = next(each["ListenerArn"] for each in listeners if each["Port"] == PLAIN)
    world.account.elbv2.delete_listener(ListenerArn=plain)

    def is_closed() -> bool:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            world.ask(port=PLAIN)
            return False
        return True

    until(is_closed, "the port to be closed")


def test_the_addresses_of_a_deleted_load_balancer_are_free_when_its_interfaces_have_gone(world: World) -> None:
    """Else a node that gets one of them would not be reached."""
    account, network = world.account, world.account.aws.hosts.network
    assert network.present == set(world.addresses)
    account.elbv2.delete_load_balancer(LoadBalancerArn=account.balancer)
    account.aws.clock.sleep(30)
    account.elbv2.describe_load_balancers()
    assert network.present == set(world.addresses)
    account.aws.clock.sleep(60)
    account.elbv2.describe_load_balancers()
    assert network.present == set()


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"Protocol": "HTTPS", "Port": "443"}, "https://a.example:443/x/y?q=1"),
        ({"Host": "b.example", "Path": "/new/#{path}", "Query": ""}, "http://b.example:80/new/x/y?q=1"),
        ({"Host": "www.#{host}", "Query": "was=#{path}"}, "http://www.a.example:80/x/y?was=x/y"),
    ],
)
def test_the_words_of_a_redirect_are_filled_in(config: dict[str, str], wanted: str) -> None:
    assert routing.location(config, routing.Request("http", "a.example", 80, "/x/y", "q=1")) == wanted
