"""Keys of rserver.conf that Workbench may not know are warned about, and nothing else is."""

from __future__ import annotations

import pytest

from benchwright.planning.server_options import PUBLISHED, known, warn
from benchwright.values import OWNED_KEYS

VERSION = "2026.07.1+147.pro6"
UNKNOWN = ": not among the published keys of rserver.conf. "
TAIL = (
    f"With a key that Workbench {VERSION} does not know, the first node fails and the others are not touched. "
    "Compare with the output of `rserver --help` on a node; null takes a key back."
)


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ([], ""),
        (["auth-saml", "auth-saml-sp-base-uri", "auth-openid-groups-claim", "auth-timeout-minutes"], ""),
        (["www-frame-orgin"], f"www-frame-orgin (did you mean www-frame-origin?){UNKNOWN}"),
        (["no-such", "auth-none"], f"no-such{UNKNOWN}"),
        (
            [f"k{number}" for number in range(12)],
            f"k0, k1, k10, k11, k2, k3, k4, k5, k6, k7 and 2 more{UNKNOWN}",
        ),
        (
            ["session-zz"],
            f"session-zz{UNKNOWN}session-zz looks like a key of rsession.conf. ",
        ),
        (
            ["auth-google-accounts", "zz"],
            f"auth-google-accounts, zz{UNKNOWN}auth-google-accounts was removed in 2025.09. ",
        ),
    ],
)
def test_only_a_key_that_is_not_published_is_warned_about(keys: list[str], warning: str) -> None:
    assert warn(keys, VERSION) == ([f"config: {warning}{TAIL}"] if warning else [])


def test_a_key_that_was_removed_is_known_to_the_releases_before() -> None:
    assert "auth-google-accounts" in known("2025.08.9+1.pro1")
    assert "auth-google-accounts" not in known("2025.09.0+1.pro1")


def test_what_benchwright_owns_is_published() -> None:
    assert OWNED_KEYS <= PUBLISHED
