"""`go install MODULE@VERSION`: takes a module from the mirror and leaves its program in GOBIN.

Only the image of the previous release calls it (tests/deployment/previous.py).
"""

import os
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from .surroundings import complain


def main(arguments: list[str]) -> int:
    """Refuses a relative GOBIN and a missing cache, as Go does."""
    if arguments[1:2] == ["version"]:
        print("go version go1.22.2 linux/amd64")
        return 0
    found = re.fullmatch(r"(\S+)@(v[0-9.]+)", arguments[-1])
    if arguments[1:2] != ["install"] or not found:
        return complain(f"go: this stand-in does not know: {' '.join(arguments)}", 2)
    if not any(os.environ.get(name) for name in ("GOCACHE", "XDG_CACHE_HOME", "HOME")):
        return complain(
            "build cache is required, but could not be located: GOCACHE, XDG_CACHE_HOME and HOME are not defined"
        )
    target = Path(os.environ.get("GOBIN") or f"{os.environ.get('GOPATH') or os.environ['HOME'] + '/go'}/bin")
    if not target.is_absolute():
        return complain("cannot install, GOBIN must be an absolute path")
    module, version = found.groups()
    trust = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    try:
        with urllib.request.urlopen(
            f"https://proxy.golang.org/{module}/@v/{version}.zip", timeout=30, context=trust
        ) as response:
            content = response.read()
    except urllib.error.HTTPError:
        return complain(f"go: {module}@{version}: {module}@{version}: invalid version: unknown revision {version}")
    except OSError as error:
        return complain(f"go: {module}@{version}: {error}")
    target.mkdir(parents=True, exist_ok=True)
    program = target / Path(module).name
    program.write_bytes(content)
    program.chmod(0o755)
    return 0
