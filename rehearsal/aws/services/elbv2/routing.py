"""What a listener does with a request: its rules in their order, and the words of redirects.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from yarl import URL

REASONS = {"HTTP_301": (301, "Moved Permanently"), "HTTP_302": (302, "Found")}
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    """What rules look at; `host` is without a port, `path` as the client wrote it."""

    protocol: str
    host: str
    port: int
    path: str
    query: str


def decide(listener: Any, request: Request) -> Mapping[str, Any]:
    """The action for a request, in the API's form. `listener` is moto's."""
    rules = [rule for rule in listener.rules.values() if not rule.is_default]
    for rule in sorted(rules, key=lambda each: int(each.priority)):
        if all(_holds(condition, request) for condition in rule.conditions):
            return dict(rule.actions[-1].data)
    return dict(listener.default_actions[-1].data)


def location(config: Mapping[str, str], request: Request) -> str:
    """Where a redirect leads. The port always stands in it, as that of a load balancer has it."""
    words = {
        "#{protocol}": request.protocol.upper(),
        "#{host}": request.host,
        "#{port}": str(request.port),
        "#{path}": request.path.removeprefix("/"),
        "#{query}": request.query,
    }

    def filled(name: str, default: str) -> str:
        text = config.get(name) or default
        return re.sub(r"#\{\w+\}", lambda hit: words.get(hit[0], hit[0]), text)

    protocol, host = filled("Protocol", "#{protocol}").lower(), filled("Host", "#{host}")
    port, path, query = filled("Port", "#{port}"), filled("Path", "/#{path}"), filled("Query", "#{query}")
    return f"{protocol}://{host}:{port}{path}{f'?{query}' if query else ''}"


def _holds(condition: Mapping[str, Any], request: Request) -> bool:
    if condition["Field"] == "host-header":
        values = (condition.get("HostHeaderConfig") or condition).get("Values") or []
        return any(_pattern(value.lower()).fullmatch(request.host.lower()) for value in values)
    values = (condition.get("PathPatternConfig") or condition).get("Values") or []
    return any(_pattern(value).fullmatch(_normalised(request.path)) for value in values)


def _normalised(path: str) -> str:
    """The path that rules see. AWS says that they are evaluated after the URI was normalised, and not how: this is RFC
    3986, section 6.2.2, which decodes no escape of a reserved character and keeps repeated slashes.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#path-conditions
    """
    return URL(f"http://host{path}").raw_path if path.startswith("/") else path


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """`*` stands for any characters, `?` for one; case counts."""
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in text))
