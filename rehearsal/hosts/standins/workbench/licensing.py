"""The licence, as far as the server and `license-manager` say about it."""

import contextlib
import datetime
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .state import STATE


class License(NamedTuple):
    """What a licence file is worth: `status` is Activated, Expired or Invalid; without a file there is none."""

    status: str
    file: Path
    expiration: datetime.datetime
    tier: str
    users: str

    @property
    def days_left(self) -> int:
        return max(0, (self.expiration - datetime.datetime.now(datetime.UTC)).days)


def read() -> License | None:
    """The first licence file, judged: the server runs as rstudio-server, so that user must be able to read it.

    A file may say when it expires (`Expiration: YYYY-MM-DD`), its tier (`Tier: Enhanced`) and how many users it allows
    (`Users: 25`); an empty one is no licence.
    """
    files = sorted(Path(STATE).glob("*.lic"))
    if not files:
        return None
    text = files[0].read_text(errors="replace")
    found = re.search(r"Expiration:\s*(\d{4}-\d{2}-\d{2})", text)
    now = datetime.datetime.now(datetime.UTC)
    expiration = (
        datetime.datetime.fromisoformat(f"{found[1]}T00:00:00+00:00") if found else now + datetime.timedelta(days=365)
    )
    readable = files[0].stat().st_uid == pwd.getpwnam("rstudio-server").pw_uid and not files[0].stat().st_mode & 0o077
    status = "Invalid" if not text.strip() or not readable else "Expired" if expiration < now else "Activated"
    fields = dict(re.findall(r"^(Tier|Users):\s*(\S+)", text, re.MULTILINE))
    return License(status, files[0], expiration, fields.get("Tier", "Advanced"), fields.get("Users", "0"))


LICENSE_FILE = """-- License file status --

Status: {status}
Product-Key: XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX
Has-Key: Yes
Has-Trial: No
Tier: {tier}
SKU-Year: 2024
Enable-Launcher: 1
Users: {users}
User-Activity-Days: 365
Licensee: Rehearsal
License-File: {file}
Expiration: {expiration:%Y-%m-%d %H:%M:%S}
Days-Left: {days_left}
License-Engine: 1.0.0.0
License-Scope: System

"""
OTHERS = """-- Local license status --

Trial-Type: Verified
Status: Expired
Has-Key: No
Has-Trial: Yes
License-Scope: System
License-Engine: 4.4.3.0

-- Floating license status --

License server not in use.
"""


LEASED = """-- Floating license status --

License server in use: {server}
Status: Activated
Tier: {tier}
Users: {users}
Days-Left: {days}
Lease-Expiration: 2030-01-01 00:00:00
"""
SERVER_FILE, LEASE_FILE = Path(STATE, "license-server"), Path(STATE, "lease")
LEASE_SECONDS = 5


def use_server(address: str) -> None:
    """Remember a licence server, and ask it; raises OSError where it does not answer, or has no seat left."""
    SERVER_FILE.write_text(address)
    lease()


def forget_server() -> None:
    release()
    SERVER_FILE.unlink(missing_ok=True)


def lease() -> None:
    """Take or renew the lease; raises OSError."""
    import urllib.request

    asked = urllib.request.Request(f"http://{SERVER_FILE.read_text()}/lease", data=b"", method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=LEASE_SECONDS) as answer:
            LEASE_FILE.write_text(answer.read().decode())
    except OSError:
        LEASE_FILE.unlink(missing_ok=True)
        raise


def release() -> None:
    """Give the lease back, as a server does that stops in order."""
    import urllib.request

    if LEASE_FILE.exists():
        asked = urllib.request.Request(f"http://{SERVER_FILE.read_text()}/lease", method="DELETE")
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=LEASE_SECONDS):
            pass
    LEASE_FILE.unlink(missing_ok=True)


def leased() -> dict[str, str]:
    """What the lease of this host allows; empty where it has none."""
    import json

    return dict(json.loads(LEASE_FILE.read_text())) if LEASE_FILE.exists() else {}


def is_remote(server: Mapping[str, str]) -> bool:
    """Whether rserver.conf asks for a lease; a licence file comes first, whatever it says."""
    return server.get("server-license-type") == "remote" and SERVER_FILE.exists() and read() is None


def report(version: str) -> str:
    """What `license-manager status` prints: a section for each kind of licence, so `Status:` appears more than once."""
    found = read()
    own = LICENSE_FILE.format(**found._asdict(), days_left=found.days_left) if found else ""
    others = OTHERS
    if held := leased():
        terms = {"tier": held["tier"], "users": held["users"], "days": held["days-left"]}
        others = OTHERS.partition("-- Floating")[0] + LEASED.format(server=SERVER_FILE.read_text(), **terms)
    return f"RStudio License Manager {version}\n\n{own}{others}"


def json_report(version: str) -> str:
    """The same as JSON. Its shape is not published: an object for each section, in the order of their names."""
    import json

    sections = report(version).split("-- ")[1:]
    reported = {}
    for section in sections:
        title, *lines = section.splitlines()
        pairs = (line.partition(": ") for line in lines if ": " in line)
        reported[title.partition(" ")[0].lower()] = {name.lower(): value for name, _, value in pairs}
    return json.dumps(reported, sort_keys=True, indent=2) + "\n"
