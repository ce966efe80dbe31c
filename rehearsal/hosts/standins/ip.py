"""`ip`, for machines that have none: shows, adds and removes routing rules, and sets routes, as iproute2 does."""

import os

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.fibmsg import FR_ACT_NAMES

from .surroundings import complain

PROTOCOLS = {"tcp": 6, "udp": 17}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
TABLES = {"main": 254, "local": 255, "default": 253}
NAMES = {number: name for name, number in TABLES.items()}


def main(arguments: list[str]) -> int:
    """`ip rule [show]`, `ip rule (add | del) [pref N] SELECTOR (prohibit | lookup TABLE)` with the selectors `to`,
    `uidrange`, `ipproto` and `dport`, `ip route replace broadcast ADDRESS dev NAME table N`.
    """
    try:
        return _do(arguments[1:])
    except NetlinkError as error:
        return complain(f"RTNETLINK answers: {os.strerror(error.code)}", 2)


def _do(words: list[str]) -> int:
    match words:
        case ["rule"] | ["rule", "show" | "list"]:
            with IPRoute() as netlink:
                for rule in netlink.get_rules(family=2):
                    print(_shown(rule))
        case ["rule", "add" | "del" as command, *rule]:
            with IPRoute() as netlink:
                netlink.rule(command, **_parsed(rule))
        case ["route", "replace", "broadcast", address, "dev", device, "table", table]:
            with IPRoute() as netlink:
                (index,) = netlink.link_lookup(ifname=device)
                netlink.route("replace", dst=address, oif=index, table=int(table), type="broadcast", scope="link")
        case _:
            return complain(f'Object "{" ".join(words)}" is unknown to this stand-in of ip.')
    return 0


def _parsed(words: list[str]) -> dict[str, object]:
    rule: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        match word:
            case "pref" | "priority":
                rule["priority"] = int(next(rest))
            case "to":
                address, _, length = next(rest).partition("/")
                rule |= {"dst": address, "dst_len": int(length or 32)}
            case "uidrange":
                first, _, last = next(rest).partition("-")
                rule["uid_range"] = f"{first}:{last}"
            case "ipproto":
                rule["ip_proto"] = PROTOCOLS[next(rest)]
            case "dport":
                first, _, last = next(rest).partition("-")
                rule["dport_range"] = f"{first}:{last or first}"
            case "prohibit":
                rule["action"] = "prohibit"
            case "lookup" | "table":
                table = next(rest)
                rule["table"] = TABLES.get(table) or int(table)
            case _:
                raise SystemExit(complain(f'Error: argument "{word}" is wrong: Failed to parse rule type', 255))
    return rule


def _shown(rule: dict[str, object]) -> str:
    attributes = dict(rule["attrs"])  # type: ignore[call-overload]
    text = f"{attributes.get('FRA_PRIORITY', 0)}:\tfrom all"
    if "FRA_DST" in attributes:
        length = rule["dst_len"]
        text += f" to {attributes['FRA_DST']}" + (f"/{length}" if length != 32 else "")
    if users := attributes.get("FRA_UID_RANGE"):
        text += f" uidrange {str(users).replace(':', '-')}"
    if protocol := attributes.get("FRA_IP_PROTO"):
        text += f" ipproto {PROTOCOL_NAMES.get(protocol, protocol)}"
    if ports := attributes.get("FRA_DPORT_RANGE"):
        text += f" dport {str(ports).replace(':', '-')}"
    if rule["action"] == FR_ACT_NAMES["FR_ACT_PROHIBIT"]:
        return f"{text} prohibit"
    table = attributes.get("FRA_TABLE")
    return f"{text} lookup {NAMES.get(table, table)}"
