"""`needrestart`, which apt runs after an installation: on Ubuntu 24.04 it restarts services whose libraries changed.

Here every package changes the libraries of all. Rules are read as `$nrconf{override_rc}{qr(PATTERN)} = 0;`.
"""

import contextlib
import re
from pathlib import Path

from . import systemd

RULES = Path("/etc/needrestart/conf.d")
RULE = re.compile(r"^\$nrconf\{override_rc\}\{qr\((.*)\)\}\s*=\s*0;", re.MULTILINE)


def main(_: list[str]) -> int:
    """Restart what runs and is not excluded."""
    kept = [pattern for file in sorted(RULES.glob("*.conf")) for pattern in RULE.findall(file.read_text())]
    for name in systemd.recorded():
        excluded = any(re.search(pattern, name) for pattern in kept)
        if name.endswith(".service") and not excluded and systemd.load(name).processes():
            print(f"Restarting services... systemctl restart {name}")
            systemd.stop(name)
            with contextlib.suppress(systemd.UnitError):
                systemd.start(name)
    return 0
