"""What a request is answered with."""

from typing import NamedTuple

from .sign_in import Headers, outside


class Answer(NamedTuple):
    """Status, text and headers."""

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def lead(headers: Headers, place: str, *more: tuple[str, str]) -> Answer:
    """To another page, by the address that the browser sees."""
    return Answer(302, "", (("Location", f"{outside(headers)}{place}"), *more))
