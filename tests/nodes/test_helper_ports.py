"""The guard of the image keeps ordinary users from the ports at which mount helpers listen, and from nothing else."""

from pathlib import Path

from rehearsal.hosts.host import Host
from tests.nodes.conftest import World

OURS, OTHERS = (20049, 20534, 21049), (2049, 8787, 20048, 21050, 40000)
USERS = ("nobody", "ubuntu", "rstudio-server")
LISTEN = f"""#!/usr/bin/env python3
import os, socket
listeners = [socket.create_server(("127.0.0.1", port)) for port in {OURS + OTHERS}]
if not os.fork():
    os.setsid()
    for number in range(3):
        os.dup2(os.open("/dev/null", os.O_RDWR), number)
    while True:
        os.read(os.pipe()[0], 1)
"""
# Also what a user may set on a socket: the wildcard address is the loopback, and an IPv6 socket speaks IPv4, too.
CONNECT = """#!/usr/bin/env python3
import errno, socket
ways = {{
    "plain": lambda port: ("127.0.0.1", port),
    "any": lambda port: ("0.0.0.0", port),
    "mapped": lambda port: ("::ffff:127.0.0.1", port),
    "bound": lambda port: ("127.0.0.1", port),
    "device": lambda port: ("127.0.0.1", port),
}}
for port in {ports}:
    for way, address in ways.items():
        with socket.socket(socket.AF_INET6 if way == "mapped" else socket.AF_INET) as client:
            client.settimeout(0.2)
            if way in ("bound", "device"):
                client.bind(("127.0.0.9", 0))
            if way == "device":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            try:
                client.connect(address(port))
            except OSError as error:
                print(port, way, errno.errorcode.get(error.errno, "timeout"))
            else:
                print(port, way, "reached")
"""
METADATA = "to 169.254.169.254 uidrange 1-4294967294"
HELPER = "to 127.0.0.0/8 uidrange 1-4294967294 ipproto tcp dport 20049-21049"
RULES = [
    f"99:\tfrom all {METADATA} lookup 169",
    f"99:\tfrom all {HELPER} lookup 169",
    f"100:\tfrom all {METADATA} prohibit",
    f"100:\tfrom all {HELPER} prohibit",
    "110:\tfrom all lookup local",
    "32766:\tfrom all lookup main",
    "32767:\tfrom all lookup default",
]


def reached(host: Host, user: str, ports: tuple[int, ...]) -> set[str]:
    """How attempts to reach these ports in each way ended, with the ways."""
    done = host.run(CONNECT.format(ports=ports), timeout=60, user=user)
    assert done.returncode == 0, done.stderr
    return {line.partition(" ")[2] for line in done.stdout.splitlines()}


def everything(ports: str = "reached") -> set[str]:
    return {f"{way} {ports}" for way in ("plain", "any", "mapped", "bound", "device")}


def rules(host: Host) -> list[str]:
    return sorted(
        host.run("ip rule show", timeout=60).stdout.splitlines(), key=lambda rule: int(rule.partition(":")[0])
    )


def test_only_root_reaches_the_ports_of_mount_helpers_and_everyone_all_others(world: World, image: Path) -> None:
    host = world.boot(206, image=image)
    try:
        assert host.run(LISTEN, timeout=60).returncode == 0
        assert reached(host, "nobody", OURS) == everything()  # without the guard everyone reads every home
        host.run_boot()
        assert reached(host, "root", OURS + OTHERS) == everything()
        for user in USERS:
            assert reached(host, user, OTHERS) == everything()
            assert reached(host, user, OURS) == everything("ENETUNREACH")
    finally:
        host.stop()


def test_the_guard_gives_the_same_rules_wherever_an_earlier_run_was_interrupted(world: World, image: Path) -> None:
    host = world.boot(207, image=image)
    try:
        assert rules(host)[0] == "0:\tfrom all lookup local"
        host.run_boot()
        assert rules(host) == RULES
        no_helper = f"ip rule del pref 99 {HELPER} lookup 169; ip rule del pref 100 {HELPER} prohibit"
        both = f"{no_helper}; ip rule add pref 0 lookup local"
        for interrupted in ("true", no_helper, both, f"{both}; ip rule del pref 110 lookup local"):
            done = host.run(f"#!/bin/bash\nset -e\n{interrupted}\nbenchwright-metadata-guard", timeout=60)
            assert (done.returncode, done.stderr, rules(host)) == (0, "", RULES)
    finally:
        host.stop()
