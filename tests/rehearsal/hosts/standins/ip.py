"""`ip rule`, for machines that have none: shows the routing rules and adds one by user id, as iproute2 does."""

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl.fibmsg import FR_ACT_NAMES

from .surroundings import complain

TABLES = {"main": 254, "local": 255, "default": 253}
NAMES = {number: name for name, number in TABLES.items()}


def main(arguments: list[str]) -> int:
    """`ip rule [show]` and `ip rule add [pref N] to ADDRESS uidrange A-B (prohibit | lookup TABLE)`."""
    match arguments[1:]:
        case ["rule"] | ["rule", "show" | "list"]:
            with IPRoute() as netlink:
                for rule in netlink.get_rules(family=2):
                    print(_shown(rule))
        case ["rule", "add", *words]:
            with IPRoute() as netlink:
                netlink.rule("add", **_parsed(words))
        case words:
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
            case "prohibit":
                rule["action"] = "prohibit"
            case "lookup" | "table":
                table = next(rest)
                rule["table"] = TABLES.get(table) or int(table)
    return rule


def _shown(rule: dict[str, object]) -> str:
    attributes = dict(rule["attrs"])  # type: ignore[call-overload]
    text = f"{attributes.get('FRA_PRIORITY', 0)}:\tfrom all"
    if "FRA_DST" in attributes:
        text += f" to {attributes['FRA_DST']}"
    if users := attributes.get("FRA_UID_RANGE"):
        text += f" uidrange {str(users).replace(':', '-')}"
    if rule["action"] == FR_ACT_NAMES["FR_ACT_PROHIBIT"]:
        return f"{text} prohibit"
    table = attributes.get("FRA_TABLE")
    return f"{text} lookup {NAMES.get(table, table)}"
