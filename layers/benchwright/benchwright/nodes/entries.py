"""A file of a node, and the forms of its content."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """A file on a node. Where only the node knows a part of the content, such as a secret, it adds that itself."""

    path: str
    mode: str
    owner: str
    group: str
    content: str


def rstudio(name: str, content: str, mode: str = "0644", owner: str = "root") -> Entry:
    """Return a file of /etc/rstudio."""
    return Entry(f"/etc/rstudio/{name}", mode, owner, owner, content)


def ini(values: Mapping[str, str]) -> str:
    return lines(f"{key}={value}" for key, value in values.items())


def lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)
